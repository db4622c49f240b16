using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Registry;

namespace McpAuthServer.Tests.Registry;

/// <summary>What guards report against what was approved.</summary>
public abstract class ToolReportTests : RegistrySuite
{
    private const string A = "sha-256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", B = "sha-256:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    private protected override Task Arrange() => Registry.Applied(ApplyFile.Full());

    [SuiteFact]
    public async Task Report_UnknownTool_IsNewAndDestructive()
    {
        var before = await Registry.Snapshot();
        var (answer, events) = await Report(("shred", A));

        Assert.Equal([new ManifestToolState("shred", "new", "destructive", null, "none")], answer.Tools);
        var after = await Registry.Snapshot();
        var tool = after.ToolServers["srv_files"].Tools["shred"];
        Assert.Equal(("new", "destructive", false, null), (tool.State, tool.Sensitivity, tool.Approved, tool.Digest));
        Assert.Equal((before.Version + 1, before.ToolServers["srv_files"].Manifest + 1), (after.Version, after.ToolServers["srv_files"].Manifest));
        Assert.Equal(answer.Manifest, after.ToolServers["srv_files"].Manifest);
        Assert.Equal(["{\"name\":\"shred\"}|" + A], await Registry.Query("select definition, reported_digest from tools where name = 'shred'"));
        var e = Assert.Single(events);
        Assert.Equal((AuditTypes.ManifestReported, "success", "https://files.example/mcp"), (e.Type, e.Outcome, e.Resource));
        Assert.Equal("shred", (string)e.Data!["changed"]![0]!["tool"]!);
    }

    [SuiteFact]
    public async Task Report_ApprovedToolWithoutDigest_IsPinned()
    {
        var (answer, _) = await Report(("read_order", B));

        Assert.Equal([new ManifestToolState("read_order", "approved", "read", B, "none")], answer.Tools);
        Assert.Equal(B, (await Registry.Snapshot()).ToolServers["srv_files"].Tools["read_order"].Digest);
    }

    [SuiteFact]
    public async Task Report_SameAsApproved_ChangesNothingButIsAudited()
    {
        await Report(("refund", A), ("read_order", A));
        var before = await Registry.Dump();

        var (answer, events) = await Report(("read_order", A), ("refund", A));

        Assert.Equal(["read_order", "refund"], answer.Tools.Select(t => t.Name));
        Assert.All(answer.Tools, t => Assert.Equal("approved", t.State));
        Assert.Equal(before, await Registry.Dump());
        Assert.Empty(Assert.Single(events).Data!["changed"]!.AsArray());
    }

    [SuiteFact]
    public async Task Report_ChangedDefinition_DriftsUntilItIsAsApprovedAgain()
    {
        await Report(("refund", A));
        var (drifted, _) = await Report(("refund", B));
        var whileDrifted = await Registry.Snapshot();
        var (back, _) = await Report(("refund", A));
        var after = await Registry.Snapshot();

        Assert.Equal([new ManifestToolState("refund", "drifted", "destructive", A, "required")], drifted.Tools);
        Assert.False(whileDrifted.ToolServers["srv_files"].Tools["refund"].Approved);
        Assert.Equal([new ManifestToolState("refund", "approved", "destructive", A, "required")], back.Tools);
        Assert.True(after.ToolServers["srv_files"].Tools["refund"].Approved);
        Assert.Equal((whileDrifted.Version + 1, drifted.Manifest + 1), (after.Version, back.Manifest));
    }

    [SuiteFact]
    public async Task Report_FirstReportUnlikeTheDigestOfTheFile_Drifts()
    {
        var (answer, _) = await Report(("refund", B));

        Assert.Equal("drifted", Assert.Single(answer.Tools).State);
    }

    [SuiteFact]
    public async Task Apply_DriftedToolWithTheSameFile_StaysDrifted()
    {
        await Report(("refund", B), ("read_order", A));
        await Report(("read_order", B));

        Assert.Equal(0, await Registry.Applied(ApplyFile.Full()));
        var tools = (await Registry.Snapshot()).ToolServers["srv_files"].Tools;
        Assert.Equal(("drifted", "drifted"), (tools["refund"].State, tools["read_order"].State));
    }

    [SuiteFact]
    public async Task Apply_NewDigestOfADriftedTool_ApprovesItAgain()
    {
        await Report(("refund", B));

        Assert.Equal(1, await Registry.Applied(ApplyFile.With("tool_servers[0].tools[0].digest", $"\"{B}\"")));
        var tool = (await Registry.Snapshot()).ToolServers["srv_files"].Tools["refund"];
        Assert.Equal(("approved", B), (tool.State, tool.Digest));
    }

    [SuiteFact]
    public async Task Apply_NewToolNamed_ApprovesWhatWasReported()
    {
        await Report(("shred", B));

        await Registry.Applied(ApplyFile.With("tool_servers[0].tools[2]", """{"name":"shred","sensitivity":"destructive"}"""));
        var tool = (await Registry.Snapshot()).ToolServers["srv_files"].Tools["shred"];
        Assert.Equal(("approved", B), (tool.State, tool.Digest));

        Assert.Equal("drifted", (await Report(("shred", A))).Answer.Tools[0].State);
    }

    [SuiteFact]
    public async Task Report_RetiredTool_StaysRetired()
    {
        await Registry.Applied(ApplyFile.With("tool_servers[0].tools[0].state", "\"retired\""));
        var before = (await Registry.Snapshot()).Version;

        Assert.Equal("retired", (await Report(("refund", B))).Answer.Tools[0].State);
        Assert.Equal(before, (await Registry.Snapshot()).Version);
        // Naming it without a state does not bring it back, and "approved" does.
        await Registry.Applied(ApplyFile.With("tool_servers[0].tools[0].state", null));
        Assert.Equal("retired", (await Registry.Snapshot()).ToolServers["srv_files"].Tools["refund"].State);
        await Registry.Applied(ApplyFile.With("tool_servers[0].tools[0].digest", $"\"{B}\""));
        Assert.Equal("approved", (await Registry.Snapshot()).ToolServers["srv_files"].Tools["refund"].State);
    }

    [SuiteFact]
    public async Task Report_NewToolThatChanged_KeepsTheNewestDefinitionWithoutANewVersion()
    {
        await Report(("shred", A));
        var before = (await Registry.Snapshot()).Version;
        await Report(("shred", B));

        Assert.Equal([B], await Registry.Query("select reported_digest from tools where name = 'shred'"));
        Assert.Equal(before, (await Registry.Snapshot()).Version);
    }

    [SuiteFact]
    public async Task Report_NameThatCannotBeApproved_IsAnsweredAndNotKept()
    {
        var before = await Registry.Dump();
        string[] names = ["re fund", "", "réfund", new('a', 129)];
        var (answer, _) = await Report([.. names.Select(n => (n, A))]);

        Assert.Equal(names.Select(n => new ManifestToolState(n, "new", "destructive", null, "none")), answer.Tools);
        Assert.Equal(before, await Registry.Dump());
    }

    [SuiteFact]
    public async Task Report_MoreToolsThanTheBound_AreNotKept()
    {
        await Report([.. Enumerable.Range(0, ToolReportUnit.MaxTools + 50).Select(i => ($"t{i}", A))]);

        Assert.Equal(ToolReportUnit.MaxTools, (await Registry.Snapshot()).ToolServers["srv_files"].Tools.Count);
    }

    [SuiteFact]
    public async Task Report_SameToolTwice_IsTakenInOrder()
    {
        var (answer, _) = await Report(("read_order", A), ("read_order", B));

        Assert.Equal(["approved", "drifted"], answer.Tools.Select(t => t.State));
        Assert.Equal("drifted", (await Registry.Snapshot()).ToolServers["srv_files"].Tools["read_order"].State);
    }

    [SuiteFact]
    public async Task Report_AnotherServersTool_IsAToolOfTheReportingServer()
    {
        await Report(("post", B));

        var servers = (await Registry.Snapshot()).ToolServers;
        Assert.Equal(("approved", null), (servers["srv_ledger"].Tools["post"].State, servers["srv_ledger"].Tools["post"].Digest));
        Assert.Equal("new", servers["srv_files"].Tools["post"].State);
    }

    [SuiteFact]
    public async Task Report_UnknownToolServer_IsNothing() =>
        Assert.Null(await Registry.Log.Commit(new ToolReportUnit("srv_nowhere", [new("t", "{}", A)], Time)));

    private async Task<(ManifestResponse Answer, List<AuditEvent> Events)> Report(params (string Name, string Digest)[] tools)
    {
        ManifestResponse? answer = null;
        var events = await Registry.EventsOf(async () => answer = await Registry.Log.Commit(
            new ToolReportUnit("srv_files", [.. tools.Select(t => new ReportedTool(t.Name, $"{{\"name\":\"{t.Name}\"}}", t.Digest))], Time, "grd_1")));
        return (answer!, events);
    }
}
