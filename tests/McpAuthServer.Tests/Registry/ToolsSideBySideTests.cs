using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Admin;
using McpAuthServer.Registry;

namespace McpAuthServer.Tests.Registry;

/// <summary>Several guards of one tool server, with different definitions of one tool: what is approved, and what can be looked at.</summary>
public abstract class ToolsSideBySideTests : RegistrySuite
{
    private const string A = "sha-256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", B = "sha-256:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", C = "sha-256:CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    private protected override async Task Arrange()
    {
        await Registry.Applied(File());
        foreach (var guard in new[] { "grd_1", "grd_2", "grd_3", "grd_4" })
            await EnrolAsync(guard);
        await EnrolAsync("grd_elsewhere", "srv_files");
    }

    [SuiteFact]
    public async Task Repetition_OfWhatIsNotApprovedAnyMore_CanBeLookedAt_AndApprovedAgain()
    {
        await Report("grd_1", A);
        await Report("grd_2", B);
        await Approve(B);
        var before = await Standing();

        for (var i = 0; i < 2; i++)
        {
            var (answer, e) = await Report("grd_1", A);

            Assert.Equal([new ManifestToolState("post", "drifted", "write", B, "none")], answer.Tools);
            Assert.Empty(e.Data!["changed"]!.AsArray());
            Assert.Equal(before with { Reported = A, Definition = Definition(A) }, await Standing());
        }
        // Whoever is approved says so again, and takes nothing back.
        Assert.Equal("approved", (await Report("grd_2", B)).Answer.Tools[0].State);
        Assert.Equal(A, (await Standing()).Reported);

        await Approve(A);
        Assert.Equal("approved", (await Report("grd_1", A)).Answer.Tools[0].State);
        Assert.Equal(("approved", A, Definition(A)), await ApprovedAs());
    }

    [SuiteFact]
    public async Task FirstReport_AsApproved_RestoresTheTool_AndLeavesWhatAnotherGuardReports()
    {
        await Report("grd_1", A);
        await Report("grd_2", B);
        Assert.Equal("drifted", (await Standing()).State);

        Assert.Equal("approved", (await Report("grd_3", A)).Answer.Tools[0].State);

        var now = await Standing();
        Assert.Equal(("approved", A, B, Definition(B)), (now.State, now.Digest, now.Reported, now.Definition));
        // It had changed before the mark was set, so a new guard's word does not approve it.
        await Registry.Applied(File(onChange: "accept"));
        Assert.Equal("drifted", (await Report("grd_4", B)).Answer.Tools[0].State);
        Assert.Equal(A, (await Standing()).Digest);
    }

    [SuiteFact]
    public async Task FirstReport_AsApproved_ReplacesWhatNoOtherGuardOfTheToolServerSays()
    {
        await Report("grd_1", A);
        await Report("grd_2", B);
        // A guard of another tool server says it, of its own tool.
        await Registry.Execute("insert into guard_reports (guard_id, tool, digest) values ('grd_elsewhere', 'post', @b)", B);

        await Report("grd_2", A);

        Assert.Equal(("approved", A, Definition(A)), ((await Standing()).State, (await Standing()).Reported, (await Standing()).Definition));
    }

    [SuiteFact]
    public async Task Repetition_IsNeverAcceptedByTheMark()
    {
        await Report("grd_1", A);
        await Report("grd_2", B);
        await Report("grd_3", C);
        await Registry.Applied(File(onChange: "accept"));

        Assert.Equal("drifted", (await Report("grd_2", B)).Answer.Tools[0].State);

        var drifted = await Standing();
        Assert.Equal(("drifted", A, B), (drifted.State, drifted.Digest, drifted.Reported));
        await Report("grd_1", A);
        Assert.Equal("drifted", (await Report("grd_3", C)).Answer.Tools[0].State);
        var approved = await Standing();
        Assert.Equal(("approved", A, C), (approved.State, approved.Digest, approved.Reported));
    }

    [SuiteFact]
    public async Task Repetition_InDeveloperMode_IsNotApproved()
    {
        await Registry.Applied(File(development: true));
        await Report("grd_1", A);
        await Report("grd_2", B);
        var before = await Standing();

        Assert.Equal("drifted", (await Report("grd_1", A)).Answer.Tools[0].State);

        Assert.Equal(before with { Reported = A, Definition = Definition(A) }, await Standing());
    }

    [SuiteFact]
    public async Task RestoredTool_KeepsItsOwnDefinition_WhileAnotherOneIsReported()
    {
        await Registry.Applied(File().With("tool_servers[1].tools[0].digest", $"\"{A}\""));
        await Report("grd_2", B);
        var drifted = await Standing();

        await Report("grd_1", A);

        Assert.Equal(("approved", A, Definition(A)), await ApprovedAs());
        var restored = await Standing();
        Assert.Equal((B, drifted.Version + 1, drifted.Manifest + 1), (restored.Reported, restored.Version, restored.Manifest));
    }

    [SuiteFact]
    public async Task ToolThatIsPinnedByTheFile_GetsItsDefinition_WithTheFirstReport_AndGuardsAskAgain()
    {
        await Registry.Applied(File().With("tool_servers[1].tools[0].digest", $"\"{A}\""));
        var before = await Standing();

        var (answer, e) = await Report("grd_1", A);

        Assert.Equal(("approved", A, Definition(A)), await ApprovedAs());
        var after = await Standing();
        Assert.Equal((before.Version + 1, before.Manifest + 1, after.Manifest), (after.Version, after.Manifest, answer.Manifest));
        Assert.Empty(e.Data!["changed"]!.AsArray());
        Assert.Equal(after.Manifest, (await Report("grd_1", A)).Answer.Manifest);
    }

    [SuiteFact]
    public async Task RepetitionAsApproved_BringsTheDefinitionThatIsMissing()
    {
        await Registry.Applied(File().With("tool_servers[1].tools", "[]"));
        await Report("grd_1", A, "fresh");
        await Report("grd_2", B, "fresh");
        await Registry.Applied(File().With("tool_servers[1].tools", $$"""[{"name":"fresh","sensitivity":"read","digest":"{{A}}"}]"""));
        Assert.Equal("drifted", (await Standing("fresh")).State);

        Assert.Equal("approved", (await Report("grd_1", A, "fresh")).Answer.Tools[0].State);

        Assert.Equal(("approved", A, Definition(A, "fresh")), await ApprovedAs("fresh"));
        Assert.Equal(B, (await Standing("fresh")).Reported);
    }

    [SuiteFact]
    public async Task SameFile_WhileTwoVersionsRun_ChangesNothing_AndAnotherDigestThatNobodyReportsDrifts()
    {
        await Report("grd_1", A);
        await Report("grd_2", B);
        await Report("grd_1", A);
        var before = await Standing();

        Assert.Equal(0, await Registry.Applied(File()));
        Assert.Equal(before, await Standing());
        await Registry.Applied(File().With("tool_servers[1].tools[0].digest", $"\"{A}\""));
        Assert.Equal("approved", (await Standing()).State);
        await Registry.Applied(File().With("tool_servers[1].tools[0].digest", $"\"{C}\""));
        Assert.Equal(("drifted", C), ((await Standing()).State, (await Standing()).Digest));
        await Registry.Applied(File().With("tool_servers[1].tools[0].digest", $"\"{A}\""));
        Assert.Equal(("drifted", A), ((await Standing()).State, (await Standing()).Digest));
    }

    [SuiteFact]
    public async Task GuardThatIsNew_HasTheOldestForgotten_AndNoneThatIsNewerOrOfAnotherToolServer()
    {
        for (var i = 0; i < 1002; i++)
            await EnrolAsync($"grd_x{i:d4}");
        foreach (var guard in new[] { "grd_x0000", "grd_x0001", "grd_x0002", "grd_x0003" })
            await Report(guard, A);
        await Registry.Execute("insert into guard_reports (guard_id, tool, digest) values ('grd_elsewhere', 'post', @b)", B);

        await Report("grd_x1001", A);
        await Report("grd_x1001", B);

        Assert.Equal(["grd_elsewhere", "grd_x0002", "grd_x0003", "grd_x1001"], await Registry.Query("select guard_id from guard_reports order by guard_id"));
        // One that was forgotten and goes on is remembered anew, and has no newer one forgotten.
        await Report("grd_x0001", B);
        await Report("grd_x0000", A);
        Assert.Equal(
            ["grd_elsewhere", "grd_x0000", "grd_x0001", "grd_x0002", "grd_x0003", "grd_x1001"], await Registry.Query("select guard_id from guard_reports order by guard_id"));
    }

    private static JsonObject File(string onChange = "hold", bool development = false) =>
        ApplyFile.With("tool_servers[1].tools[0].on_change", $"\"{onChange}\"").With("tool_servers[1].development", development ? "true" : "false");

    private static string Definition(string digest, string tool = "post") => $"{{\"name\":\"{tool}\",\"annotations\":{{\"title\":\"{digest}\"}}}}";

    private Task EnrolAsync(string guard, string server = "srv_ledger") =>
        Registry.Execute("insert into guards (id, tool_server, jwk, state, enrolled_at, spool_seq, spool_hash) values (@id, @server, '{}', 'active', 0, 0, '')", guard, server);

    private async Task Approve(string digest, string tool = "post") =>
        Assert.Null(await Registry.Log.Commit(new ApproveTool("srv_ledger", tool, new ToolApproval(digest), "ops", Time.GetUtcNow())));

    private async Task<Stands> Standing(string tool = "post")
    {
        var row = (await Registry.Query($"select state, digest, reported_digest, definition from tools where tool_server = 'srv_ledger' and name = '{tool}'"))[0].Split('|');
        var registry = await Registry.Snapshot();
        return new(row[0], row[1], row[2], row[3], registry.Version, registry.ToolServers["srv_ledger"].Manifest);
    }

    /// <summary>As decisions see it.</summary>
    private async Task<(string State, string? Digest, string? Definition)> ApprovedAs(string tool = "post")
    {
        var record = (await Registry.Snapshot()).ToolServers["srv_ledger"].Tools[tool];
        return (record.State, record.Digest, record.Definition);
    }

    private async Task<(ManifestResponse Answer, AuditEvent Event)> Report(string guard, string digest, string tool = "post")
    {
        ManifestResponse? answer = null;
        var events = await Registry.EventsOf(async () =>
            answer = await Registry.Log.Commit(new ToolReportUnit("srv_ledger", [new(tool, Definition(digest, tool), digest)], Time, guard)));
        return (answer!, Assert.Single(events));
    }

    private sealed record Stands(string State, string Digest, string Reported, string Definition, long Version, long Manifest);
}
