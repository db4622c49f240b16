using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Registry;

namespace McpAuthServer.Tests.Registry;

/// <summary>What is approved although nobody looks at it: changes of a tool that is marked so, and everything in developer mode.</summary>
public abstract class ToolMarkTests : RegistrySuite
{
    private const string A = "sha-256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", B = "sha-256:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", C = "sha-256:CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    private protected override Task Arrange() => Registry.Applied(File());

    [SuiteFact]
    public async Task Change_OfAToolThatIsMarked_IsPinnedAnewAtOnce_AndIsOnRecord()
    {
        await Report("post", A);
        var before = await Registry.Snapshot();

        var (answer, e) = await Report("post", B);

        Assert.Equal([new ManifestToolState("post", "approved", "write", B, "none")], answer.Tools);
        Assert.Null(answer.Development);
        var after = await Registry.Snapshot();
        Assert.Equal((before.Version + 1, B, "{\"name\":\"post\",\"annotations\":{}}"), (after.Version, Ledger(after)["post"].Digest, Ledger(after)["post"].Definition));
        var change = Assert.Single(e.Data!["changed"]!.AsArray())!;
        Assert.Equal(("post", "approved", A, B, "accept"), ((string?)change["tool"], (string?)change["state"], (string?)change["before"], (string?)change["digest"], (string?)change["approved_by"]));
        // As it was before it changes again, and the first pinning approved nothing unseen.
        Assert.Equal("approved", (await Report("post", A)).Answer.Tools[0].State);
        Assert.Empty((await Report("post", A)).Event.Data!["changed"]!.AsArray());
    }

    [SuiteFact]
    public async Task FirstDefinition_OfAToolThatIsMarked_IsPinnedAsEveryOther()
    {
        var change = Assert.Single((await Report("post", A)).Event.Data!["changed"]!.AsArray())!;
        Assert.Equal((null, A), ((string?)change["approved_by"], (string?)change["digest"]));
    }

    [SuiteFact]
    public async Task Mark_DoesNotApproveWhatHadChangedBefore()
    {
        await Registry.Applied(File(onChange: "hold"));
        await Report("post", A);
        Assert.Equal("drifted", (await Report("post", B)).Answer.Tools[0].State);

        await Registry.Applied(File());

        Assert.Equal("drifted", (await Report("post", B)).Answer.Tools[0].State);
        Assert.Equal(("approved", C), ((await Report("post", C)).Answer.Tools[0].State, Ledger(await Registry.Snapshot())["post"].Digest));
    }

    [SuiteFact]
    public async Task Mark_OfARetiredTool_ApprovesNothing()
    {
        await Registry.Applied(File().With("tool_servers[1].tools[0].state", "\"retired\""));
        Assert.Equal("retired", (await Report("post", A)).Answer.Tools[0].State);
        Assert.Equal("retired", (await Report("post", B)).Answer.Tools[0].State);
    }

    [SuiteFact]
    public async Task Mark_LeftOutOfAFile_IsHoldAgain()
    {
        await Report("post", A);
        await Registry.Applied(File(onChange: null));
        Assert.Equal("drifted", (await Report("post", B)).Answer.Tools[0].State);
    }

    [SuiteFact]
    public Task TwoVersions_SideBySide_EachHearOfTheirOwn_AndComeToRest() => SideBySide("hold", development: false, older: "approved", newer: "drifted");

    [SuiteFact]
    public Task TwoVersions_OfAToolThatIsMarked_ComeToRest() => SideBySide("accept", development: false, older: "drifted", newer: "approved");

    [SuiteFact]
    public Task TwoVersions_InDeveloperMode_ComeToRest() => SideBySide("hold", development: true, older: "drifted", newer: "approved");

    private async Task SideBySide(string onChange, bool development, string older, string newer)
    {
        await Registry.Applied(File(onChange, development));
        await Report("post", A, guard: "grd_old");
        await Report("post", B, guard: "grd_new");

        // Whoever hears that something changed asks again, and says what it said.
        for (var i = 0; i < 2; i++)
            foreach (var (guard, digest) in new[] { ("grd_old", A), ("grd_new", B) })
                await Report("post", digest, guard: guard);
        var rest = await Registry.Snapshot();

        Assert.Equal(older, (await Report("post", A, guard: "grd_old")).Answer.Tools[0].State);
        Assert.Equal(newer, (await Report("post", B, guard: "grd_new")).Answer.Tools[0].State);
        var after = await Registry.Snapshot();
        Assert.Equal((rest.Version, rest.ToolServers["srv_ledger"].Manifest), (after.Version, after.ToolServers["srv_ledger"].Manifest));
        Assert.Equal(("approved", newer == "approved" ? B : A), (Ledger(after)["post"].State, Ledger(after)["post"].Digest));
        // The one that is refused is what can be looked at, and approved.
        Assert.Equal([newer == "approved" ? A : B], await Registry.Query("select reported_digest from tools where name = 'post'"));
    }

    [SuiteFact]
    public async Task NewTool_InDeveloperMode_IsApprovedAsItsAnnotationsClaim()
    {
        await Registry.Applied(File(development: true));
        foreach (var (annotations, sensitivity) in new[]
                 {
                     ("""{"readOnlyHint":true}""", "read"), ("""{"readOnlyHint":true,"destructiveHint":true}""", "read"), ("""{"destructiveHint":false}""", "write"),
                     ("""{"readOnlyHint":false,"destructiveHint":false}""", "write"), ("""{"destructiveHint":true}""", "destructive"),
                     ("""{"readOnlyHint":"true","destructiveHint":0}""", "destructive"), ("{}", "destructive"), ("[true]", "destructive"),
                 })
        {
            var tool = $"fresh{(await Registry.Snapshot()).ToolServers["srv_ledger"].Tools.Count}";
            var before = await Registry.Snapshot();

            var (answer, e) = await Report(tool, A, annotations);

            Assert.Equal([new ManifestToolState(tool, "approved", sensitivity, A, "none")], answer.Tools);
            Assert.Equal([tool], answer.Development!);
            var after = await Registry.Snapshot();
            Assert.Equal(("approved", sensitivity, A, before.Version + 1), (Ledger(after)[tool].State, Ledger(after)[tool].Sensitivity, Ledger(after)[tool].Digest, after.Version));
            Assert.NotNull(Ledger(after)[tool].Definition);
            var change = Assert.Single(e.Data!["changed"]!.AsArray())!;
            Assert.Equal((tool, "development", sensitivity), ((string?)change["tool"], (string?)change["approved_by"], (string?)change["sensitivity"]));
            // Told once: the next report approves nothing.
            var again = await Report(tool, A, annotations);
            Assert.Equal((0, 0, answer.Manifest), (again.Answer.Development!.Count, again.Event.Data!["changed"]!.AsArray().Count, again.Answer.Manifest));
        }
    }

    [SuiteFact]
    public async Task ChangedTool_InDeveloperMode_IsApproved_AndItsMarkDoesNotSurviveAClaimOfDanger()
    {
        await Registry.Applied(File(development: true));
        await Report("post", A);
        Assert.Equal("write", Ledger(await Registry.Snapshot())["post"].Sensitivity);

        var (answer, e) = await Report("post", B);

        Assert.Equal([new ManifestToolState("post", "approved", "destructive", B, "none")], answer.Tools);
        Assert.Equal((A, "development"), ((string?)e.Data!["changed"]![0]!["before"], (string?)e.Data["changed"]![0]!["approved_by"]));
        Assert.Equal(["hold"], await Registry.Query("select on_change from tools where name = 'post'"));
    }

    [SuiteFact]
    public async Task DeveloperMode_ApprovesWhatHadDriftedOrWasNew_AndNothingThatIsRetired()
    {
        await Registry.Applied(File(onChange: "hold").With("tool_servers[1].tools[1]", """{"name":"gone","sensitivity":"read","state":"retired"}"""));
        foreach (var (tool, digest) in new[] { ("post", A), ("post", B), ("fresh", A), ("gone", A) })
            await Report(tool, digest);
        var before = await Registry.Snapshot();

        await Registry.Applied(File(onChange: "hold", development: true));

        // Guards are told to ask again.
        Assert.Equal(before.ToolServers["srv_ledger"].Manifest + 1, (await Registry.Snapshot()).ToolServers["srv_ledger"].Manifest);
        Assert.Equal("approved", (await Report("post", B)).Answer.Tools[0].State);
        Assert.Equal("approved", (await Report("fresh", A)).Answer.Tools[0].State);
        Assert.Equal("retired", (await Report("gone", B)).Answer.Tools[0].State);
    }

    [SuiteFact]
    public async Task DeveloperMode_TurnedOff_LeavesWhatWasApproved_AndApprovesNothingMore()
    {
        await Registry.Applied(File(development: true));
        await Report("fresh", A);

        await Registry.Applied(File(development: null));

        Assert.Equal("approved", Ledger(await Registry.Snapshot())["fresh"].State);
        var (answer, _) = await Report("fresh", B);
        Assert.Equal(("drifted", null), (answer.Tools[0].State, answer.Development));
        Assert.Equal("new", (await Report("other", A)).Answer.Tools[0].State);
    }

    [SuiteFact]
    public async Task ToolThatIsNotKept_IsNotApprovedInDeveloperModeEither()
    {
        await Registry.Applied(File(development: true));
        var (answer, _) = await Report("not a name", A);
        Assert.Equal(("new", 0), (answer.Tools[0].State, answer.Development!.Count));
    }

    [SuiteFact]
    public async Task DeveloperMode_IsOnlyOnThisMachine()
    {
        foreach (var (resource, here) in new[]
                 {
                     ("http://127.0.0.1:8090/mcp", true), ("https://127.8.9.10/mcp", true), ("https://[::1]:8443/mcp", true), ("https://localhost/mcp", true),
                     ("https://localhost.example/mcp", false), ("https://127.0.0.1.example/mcp", false), ("https://0.0.0.0/mcp", false), ("https://10.0.0.1/mcp", false), ("https://[::2]/mcp", false),
                 })
        {
            var id = "srv_" + McpAuth.Protocol.Jose.Base64Url.Sha256(resource);
            var outcome = await Registry.File(new JsonObject
            {
                ["tool_servers"] = new JsonArray(new JsonObject { ["id"] = id, ["resource"] = resource, ["name"] = "Here", ["owner"] = "usr_ada", ["development"] = true }),
            });
            Assert.Equal(here ? [] : new[] { ("conflict", (string?)"$.tool_servers[0].development") }, outcome.Faults.Select(f => (f.Code, f.Path)));
            Assert.Equal(here, (await Registry.Snapshot()).ToolServers.GetValueOrDefault(id)?.Development ?? false);
        }
    }

    /// <summary>The full file, the ledger's tool marked, and developer mode as it is wanted.</summary>
    private static JsonObject File(string? onChange = "accept", bool? development = false) =>
        ApplyFile.With("tool_servers[1].tools[0].on_change", onChange is null ? null : $"\"{onChange}\"").With("tool_servers[1].development", development switch { null => null, true => "true", _ => "false" });

    private static IReadOnlyDictionary<string, ToolRecord> Ledger(RegistrySnapshot registry) => registry.ToolServers["srv_ledger"].Tools;

    private async Task<(ManifestResponse Answer, AuditEvent Event)> Report(string tool, string digest, string annotations = "{}", string guard = "grd_1")
    {
        ManifestResponse? answer = null;
        var reported = new ReportedTool(tool, $"{{\"name\":\"{tool}\",\"annotations\":{annotations}}}", digest);
        var events = await Registry.EventsOf(async () => answer = await Registry.Log.Commit(new ToolReportUnit("srv_ledger", [reported], Time, guard)));
        return (answer!, Assert.Single(events));
    }
}
