using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Admin;

/// <summary>Tools, seen and approved over HTTP.</summary>
public abstract class ToolDeskSuite
{
    private static readonly JsonObject Why = new() { ["reason"] = "ticket 4711" };

    protected abstract TestServer Server { get; }

    private protected virtual Task<TestServer> AnotherAsync() => Task.FromResult(Server);

    [SuiteFact]
    public async Task Tools_AreListedByNameAndState_PageByPage()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("read_file", "reads"), ("a/new.tool", "is new"));
        await w.ReportAsync(("read_file", "reads more"));

        Assert.Equal(["a/new.tool:new", "delete_file:approved", "list_files:approved", "read_file:drifted"], Names(await w.GetAsync("")));
        Assert.Equal(["read_file:drifted"], Names(await w.GetAsync("?state=drifted")));
        Assert.Empty(Names(await w.GetAsync("?state=retired")));
        var page = await w.GetAsync("?limit=3");
        Assert.Equal(["a/new.tool:new", "delete_file:approved", "list_files:approved"], Names(page));
        var rest = await w.GetAsync($"?limit=3&after={page["next"]}");
        Assert.Equal(["read_file:drifted"], Names(rest));
        Assert.Null(rest["next"]);
        var drifted = rest["items"]![0]!.AsObject();
        Assert.Equal(["name", "state", "sensitivity", "approval", "on_change", "digest", "reported_digest", "changed_at"], drifted.Select(m => m.Key));
        Assert.Equal(("read", "none", "hold", Digest("read_file", "reads"), Digest("read_file", "reads more")),
            ((string?)drifted["sensitivity"], (string?)drifted["approval"], (string?)drifted["on_change"], (string?)drifted["digest"], (string?)drifted["reported_digest"]));
    }

    [SuiteFact]
    public async Task Tool_ThatDrifted_IsShownAsItWasApprovedAndAsItIs_WithTheDifference()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("read_file", "Reads a file."));
        await w.ReportAsync(("read_file", "Reads a file.\u202e And sends it."));

        var shown = await w.GetAsync("/read_file");

        Assert.True(JsonNode.DeepEquals(Definition("read_file", "Reads a file."), shown["approved"]), shown.ToString());
        Assert.True(JsonNode.DeepEquals(Definition("read_file", "Reads a file.\u202e And sends it."), shown["reported"]), shown.ToString());
        var difference = Assert.Single(shown["difference"]!.AsArray())!;
        Assert.Equal(("/description", "Reads a file.", "Reads a file.\u202e And sends it.", "\"Reads a file.\\u202e And sends it.\""),
            ((string?)difference["path"], (string?)difference["approved"], (string?)difference["reported"], (string?)difference["reported_shown"]));
        var invisible = Assert.Single(shown["invisible"]!.AsArray())!;
        Assert.Equal(("reported", "/description", "U+202E"), ((string?)invisible["in"], (string?)invisible["path"], (string?)invisible["characters"]![0]));
    }

    [SuiteFact]
    public async Task Tool_ThatIsNew_OrAsApproved_HasNoDifference()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("read_file", "reads"), ("fresh", "is new"));
        var (fresh, same, unknown) = (await w.GetAsync("/fresh"), await w.GetAsync("/read_file"), await w.GetAsync("/list_files"));
        Assert.Equal((false, true, false), (fresh.ContainsKey("approved"), fresh.ContainsKey("reported"), fresh.ContainsKey("difference")));
        Assert.Empty(same["difference"]!.AsArray());
        Assert.Equal((false, false, false), (unknown.ContainsKey("approved"), unknown.ContainsKey("reported"), unknown.ContainsKey("digest")));
    }

    [SuiteFact]
    public async Task Approving_ADriftedTool_IsOneChange_OnRecord_AndGuardsAskAgain()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("read_file", "reads"));
        var drifted = await w.ReportAsync(("read_file", "reads more"));
        var (was, now) = (Digest("read_file", "reads"), Digest("read_file", "reads more"));
        var (mark, version) = (await Server.NowAsync(), (await Server.Services.SnapshotAsync()).Version);

        var answer = await w.ApproveAsync("read_file", now);

        Assert.Equal(("approved", now, "read", "hold"), ((string?)answer["state"], (string?)answer["digest"], (string?)answer["sensitivity"], (string?)answer["on_change"]));
        Assert.Empty(answer["difference"]!.AsArray());
        var e = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal((AuditTypes.AdminChanged, "tool", $"{w.S.ToolServer}/read_file", w.Ops.Id, w.Ops.Id), (e.Type, (string?)e.Data!["kind"], (string?)e.Data["id"], (string?)e.Data["by"], e.Client));
        Assert.Equal(("drifted", was), ((string?)e.Data["before"]!["state"], (string?)e.Data["before"]!["digest"]));
        Assert.Equal(("approved", now), ((string?)e.Data["after"]!["state"], (string?)e.Data["after"]!["digest"]));
        Assert.Equal(["state", "digest"], e.Data["members"]!.AsArray().Select(m => (string)m!));
        var registry = await Server.Services.SnapshotAsync();
        Assert.Equal((version + 1, drifted.Manifest + 1), (registry.Version, registry.ToolServers[w.S.ToolServer].Manifest));
        var again = await w.ReportAsync(("read_file", "reads more"));
        Assert.Equal(("approved", now), (again.Tools[0].State, again.Tools[0].Digest));
        // The next change is shown beside what was approved now.
        await w.ReportAsync(("read_file", "reads and sends"));
        Assert.Equal("reads more", (string?)(await w.GetAsync("/read_file"))["difference"]![0]!["approved"]);
    }

    [SuiteFact]
    public async Task NewVersion_BesideTheApprovedOne_IsListedShownAndApproved()
    {
        var older = await ToolWorld.OfAsync(Server);
        var newer = await older.BesideAsync();
        await older.ReportAsync(("read_file", "reads"));
        await newer.ReportAsync(("read_file", "reads more"));
        Assert.Equal("approved", (await older.ReportAsync(("read_file", "reads"))).Tools[0].State);
        Assert.Equal("drifted", (await newer.ReportAsync(("read_file", "reads more"))).Tools[0].State);

        Assert.Equal(["read_file:approved"], Names(await older.GetAsync("?state=drifted")));
        Assert.Equal("reads more", (string?)Assert.Single((await older.GetAsync("/read_file"))["difference"]!.AsArray())!["reported"]);
        await older.ApproveAsync("read_file", Digest("read_file", "reads more"));

        Assert.Equal("drifted", (await older.ReportAsync(("read_file", "reads"))).Tools[0].State);
        Assert.Equal("approved", (await newer.ReportAsync(("read_file", "reads more"))).Tools[0].State);
        // Now the older one is refused, and can be approved again: the newer one may be gone.
        Assert.Equal(["read_file:approved"], Names(await older.GetAsync("?state=drifted")));
        Assert.Equal("reads", (string?)Assert.Single((await older.GetAsync("/read_file"))["difference"]!.AsArray())!["reported"]);
        await older.ApproveAsync("read_file", Digest("read_file", "reads"));
        Assert.Equal("approved", (await older.ReportAsync(("read_file", "reads"))).Tools[0].State);
        Assert.Empty(Names(await older.GetAsync("?state=drifted")));
    }

    [SuiteFact]
    public async Task Approving_WhatIsApproved_ChangesNothing()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("read_file", "reads"));
        var (mark, version) = (await Server.NowAsync(), (await Server.Services.SnapshotAsync()).Version);
        Assert.Equal("approved", (string?)(await w.ApproveAsync("read_file", Digest("read_file", "reads")))["state"]);
        Assert.Empty(await Server.SinceAsync(mark));
        Assert.Equal(version, (await Server.Services.SnapshotAsync()).Version);
    }

    [SuiteFact]
    public async Task Approving_ANewTool_TakesWhatIsSaidOfIt_AndLeavesTheRest()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("a/fresh.tool", "is new"));
        var digest = Digest("a/fresh.tool", "is new");

        var answer = await w.ApproveAsync("a/fresh.tool", digest, b => (b["sensitivity"], b["class"], b["approval"], b["on_change"]) = ("write", "files", "required", "accept"));

        Assert.Equal(("approved", "write", "files", "required", "accept"),
            ((string?)answer["state"], (string?)answer["sensitivity"], (string?)answer["class"], (string?)answer["approval"], (string?)answer["on_change"]));
        answer = await w.ApproveAsync("a/fresh.tool", digest, b => b["sensitivity"] = "read");
        Assert.Equal(("read", "files", "required", "accept"), ((string?)answer["sensitivity"], (string?)answer["class"], (string?)answer["approval"], (string?)answer["on_change"]));
        var tool = (await Server.Services.SnapshotAsync()).ToolServers[w.S.ToolServer].Tools["a/fresh.tool"];
        Assert.Equal(("read", "files", true, digest), (tool.Sensitivity, tool.Class, tool.ApprovalRequired, tool.Digest));
        Assert.NotNull(tool.Definition);
    }

    [SuiteFact]
    public async Task Retiring_IsOnRecordWithItsReason_OnlyOnce_AndLastsUntilItIsApproved()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("read_file", "reads"));
        var mark = await Server.NowAsync();

        for (var i = 0; i < 2; i++)
            Assert.Equal("retired", (string?)JsonNode.Parse(await (await w.PostAsync("/read_file/retire", Why)).Content.ReadAsStringAsync())!["state"]);

        var e = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal((AuditTypes.AdminChanged, "ticket 4711", w.Ops.Id, "approved", "retired"),
            (e.Type, e.Reason, (string?)e.Data!["by"], (string?)e.Data["before"]!["state"], (string?)e.Data["after"]!["state"]));
        Assert.Equal("retired", (await w.ReportAsync(("read_file", "reads more"))).Tools[0].State);
        Assert.Equal("approved", (string?)(await w.ApproveAsync("read_file", Digest("read_file", "reads more")))["state"]);
        foreach (var body in new JsonObject[] { [], new() { ["reason"] = "two\nlines" } })
            await (await w.PostAsync("/read_file/retire", body)).ProblemAsync(HttpStatusCode.BadRequest, McpAuth.Protocol.Names.Errors.InvalidRequest);
    }

    [SuiteFact]
    public async Task Approving_WhatIsNotReportedNow_IsAConflictThatTellsBoth()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("read_file", "reads"));
        await w.ReportAsync(("read_file", "reads more"));
        var looked = (string)(await w.GetAsync("/read_file"))["reported_digest"]!;
        // The guard reports another definition while somebody looks at this one.
        await w.ReportAsync(("read_file", "reads and sends"));
        var mark = await Server.NowAsync();

        foreach (var digest in new[] { looked, Digest("read_file", "reads") })
        {
            var problem = await (await w.PostAsync("/read_file/approve", new() { ["digest"] = digest })).ProblemAsync(HttpStatusCode.Conflict, "conflict");
            Assert.All(new[] { digest, Digest("read_file", "reads and sends") }, d => Assert.Contains(d, (string)problem["detail"]!, StringComparison.Ordinal));
        }
        await (await w.PostAsync("/list_files/approve", new() { ["digest"] = looked })).ProblemAsync(HttpStatusCode.Conflict, "conflict");

        Assert.All(await Server.SinceAsync(mark), e => Assert.Equal((AuditTypes.AdminRefused, w.Ops.Id), (e.Type, e.Client)));
        var shown = await w.GetAsync("/read_file");
        Assert.Equal(("drifted", Digest("read_file", "reads")), ((string?)shown["state"], (string?)shown["digest"]));
    }

    [SuiteFact]
    public async Task Mark_OfADestructiveTool_IsAFault_WhicheverComesFirst()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("delete_file", "deletes"), ("read_file", "reads"));
        await RefusedAsync("delete_file", Digest("delete_file", "deletes"), b => b["on_change"] = "accept");
        await w.ApproveAsync("read_file", Digest("read_file", "reads"), b => b["on_change"] = "accept");
        await RefusedAsync("read_file", Digest("read_file", "reads"), b => b["sensitivity"] = "destructive");
        Assert.Equal("read", (string?)(await w.GetAsync("/read_file"))["sensitivity"]);
        await w.ApproveAsync("read_file", Digest("read_file", "reads"), b => (b["sensitivity"], b["on_change"]) = ("destructive", "hold"));

        async Task RefusedAsync(string tool, string digest, Action<JsonObject> change)
        {
            var body = new JsonObject { ["digest"] = digest };
            change(body);
            var problem = await (await w.PostAsync($"/{tool}/approve", body)).ProblemAsync(HttpStatusCode.UnprocessableEntity, "faults");
            Assert.Equal(("conflict", "$.on_change"), ((string?)problem["faults"]![0]!["code"], (string?)problem["faults"]![0]!["path"]));
        }
    }

    [SuiteFact]
    public async Task Body_ThatIsNone_IsRefused_AndNothingChanges()
    {
        var w = await ToolWorld.OfAsync(Server);
        await w.ReportAsync(("fresh", "is new"));
        var digest = Digest("fresh", "is new");
        foreach (var body in new[]
                 {
                     "{}", """{"digest":null}""", """{"digest":"sha256:x"}""", $$"""{"digest":"{{digest}}","sensitivity":"harmless"}""", $$"""{"digest":"{{digest}}","class":"a b"}""",
                     $$"""{"digest":"{{digest}}","approval":"maybe"}""", $$"""{"digest":"{{digest}}","on_change":"ignore"}""", $$"""{"digest":"{{digest}}","state":"approved"}""",
                 })
            await (await w.PostAsync("/fresh/approve", JsonNode.Parse(body)!.AsObject())).ProblemAsync(HttpStatusCode.BadRequest, McpAuth.Protocol.Names.Errors.InvalidRequest);
        Assert.Equal("new", (string?)(await w.GetAsync("/fresh"))["state"]);
        await (await w.Ops.SendAsync(HttpMethod.Get, $"/tool-servers/{w.S.ToolServer}/tools?state=odd")).ProblemAsync(HttpStatusCode.BadRequest, McpAuth.Protocol.Names.Errors.InvalidRequest);
    }

    [SuiteFact]
    public async Task Tool_OrToolServerThatIsNotThere_IsNotFound()
    {
        var w = await ToolWorld.OfAsync(Server);
        foreach (var (method, path) in new[]
                 {
                     (HttpMethod.Get, $"/tool-servers/{w.S.ToolServer}/tools/none"), (HttpMethod.Post, $"/tool-servers/{w.S.ToolServer}/tools/none/approve"),
                     (HttpMethod.Post, $"/tool-servers/{w.S.ToolServer}/tools/none/retire"), (HttpMethod.Get, "/tool-servers/srv_none/tools"), (HttpMethod.Get, "/tool-servers/srv_none/tools/read_file"),
                 })
            await (await w.Ops.SendAsync(method, path, method == HttpMethod.Get ? null : path.EndsWith("retire", StringComparison.Ordinal) ? Why.DeepClone() : new JsonObject { ["digest"] = Digest("a", "b") }))
                .ProblemAsync(HttpStatusCode.NotFound, "not_found");
    }

    [SuiteFact]
    public async Task Approvals_AtTwoNodesAtOnce_AreOneChange()
    {
        var (w, other) = (await ToolWorld.OfAsync(Server), await AnotherAsync());
        await w.ReportAsync(("read_file", "reads"));
        await w.ReportAsync(("read_file", "reads more"));
        var mark = await Server.NowAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => w.PostAsync("/read_file/approve", new() { ["digest"] = Digest("read_file", "reads more") }, at: i % 2 == 0 ? Server : other)));

        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.Single(await Server.SinceAsync(mark));
    }

    [SuiteFact]
    public async Task Approval_AndAReportAtAnotherNode_LeaveNothingApprovedThatNobodyLookedAt()
    {
        var (w, other) = (await ToolWorld.OfAsync(Server), await AnotherAsync());
        await w.ReportAsync(("read_file", "reads"));
        for (var i = 0; i < 10; i++)
        {
            var (looked, next) = ($"looked at {i}", $"next {i}");
            await w.ReportAsync(("read_file", looked));
            var mark = await Server.NowAsync();
            var approving = w.PostAsync("/read_file/approve", new() { ["digest"] = Digest("read_file", looked) });
            var reporting = w.ReportAsync(other, ("read_file", next));
            var status = (await approving).StatusCode;
            await reporting;
            await Server.SeeRegistryAsync();
            var shown = await w.GetAsync("/read_file");
            // Whichever came first: what is approved is what was looked at, or what was approved before.
            Assert.Equal(("drifted", Digest("read_file", next)), ((string?)shown["state"], (string?)shown["reported_digest"]));
            Assert.Contains(status, new[] { HttpStatusCode.OK, HttpStatusCode.Conflict });
            Assert.Equal(status == HttpStatusCode.OK, (string?)shown["digest"] == Digest("read_file", looked));
            // An approval that came too late would have left it drifted.
            Assert.All((await Server.SinceAsync(mark)).Where(e => e.Type == AuditTypes.AdminChanged), e => Assert.Equal("approved", (string?)e.Data!["after"]!["state"]));
        }
    }

    private static List<string> Names(JsonObject page) => [.. page["items"]!.AsArray().Select(t => $"{t!["name"]}:{t["state"]}")];

    private static JsonObject Definition(string name, string description) => new() { ["name"] = name, ["description"] = description, ["inputSchema"] = new JsonObject { ["type"] = "object" } };

    private static string Digest(string name, string description) => CanonicalJson.Digest(JsonElement.Parse(Definition(name, description).ToJsonString()));

    private sealed class ToolWorld
    {
        private ToolWorld(Scenario scenario, TestGuard guard, TestAdministrator ops) => (S, Guard, Ops) = (scenario, guard, ops);

        public Scenario S { get; }
        public TestGuard Guard { get; }
        public TestAdministrator Ops { get; }

        public static async Task<ToolWorld> OfAsync(TestServer server)
        {
            var s = await server.ScenarioAsync();
            return new(s, await TestGuard.OfAsync(s), await TestAdministrator.OfAsync(server));
        }

        /// <summary>Another guard of the same tool server.</summary>
        public async Task<ToolWorld> BesideAsync()
        {
            var secret = S.EnrolmentSecret + "-2";
            S.File["tool_servers"]![0]!["enrolment_secrets"]!.AsArray().Add(secret);
            await S.Server.ApplyAsync(S.File.ToJsonString());
            var other = new TestGuard(S);
            await other.EnrollAsync(other.EnrollBody(secret));
            await other.AuthenticateAsync();
            return new(S, other, Ops);
        }

        public Task<ManifestResponse> ReportAsync(params (string Name, string Description)[] tools) => ReportAsync(S.Server, tools);

        public async Task<ManifestResponse> ReportAsync(TestServer at, params (string Name, string Description)[] tools) =>
            await (await Guard.CallAsync(McpAuth.Protocol.Names.Paths.GuardManifest, new JsonObject
            {
                ["tools"] = new JsonArray([.. tools.Select(t => new JsonObject { ["name"] = t.Name, ["definition"] = Definition(t.Name, t.Description) })]),
            }, at.Client())).ReadAsync(ProtocolJson.Default.ManifestResponse);

        /// <param name="below">The collection: a query, or a tool's name.</param>
        public Task<JsonObject> GetAsync(string below) => Ops.GetAsync($"/tool-servers/{S.ToolServer}/tools{below}");

        public Task<HttpResponseMessage> PostAsync(string below, JsonObject body, TestServer? at = null) =>
            Ops.SendAsync(HttpMethod.Post, $"/tool-servers/{S.ToolServer}/tools{below}", body.DeepClone(), at: at);

        public async Task<JsonObject> ApproveAsync(string tool, string digest, Action<JsonObject>? change = null)
        {
            var body = new JsonObject { ["digest"] = digest };
            change?.Invoke(body);
            return await Ops.PostAsync($"/tool-servers/{S.ToolServer}/tools/{Uri.EscapeDataString(tool)}/approve", body);
        }
    }
}

public sealed class ToolDeskOnSqliteTests(TestServer server) : ToolDeskSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class ToolDeskOnPostgresTests(PostgresServer postgres) : ToolDeskSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> AnotherAsync() => postgres.AnotherAsync();
}
