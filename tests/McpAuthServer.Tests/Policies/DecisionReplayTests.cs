using System.Buffers;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Cedar.Mcp;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Policies;

/// <summary>What a decision was made on is kept apart from its record, encrypted and for a while, and makes it again.</summary>
public abstract class DecisionReplaySuite
{
    private const string Small = """@id("small") permit(principal, action == Mcp::Action::"read_file", resource) when { context.input has size && context.input.size <= 10 };""";

    protected abstract TestServer Server { get; }

    private protected virtual Task<TestServer> AnotherAsync() => Task.FromResult(Server);

    [SuiteFact]
    public async Task Decision_MadeAgain_IsTheSame_AtAnyNode()
    {
        var (w, other) = (await PolicyWorld.OfAsync(Server), await AnotherAsync());
        await w.ActivateAsync(Small);
        var hash = (await w.FetchAsync()).Hash;
        // What decides today is something else.
        var (allow, deny) = (Told(w, hash, 10, "allow", ["small"]), Told(w, hash, 11, "deny", []));
        await w.Guard.DeliverAsync(w.Guard.Spool(allow), w.Guard.Spool(deny));
        await w.ActivateAsync("forbid(principal, action, resource);");

        foreach (var (decision, at) in new[] { (allow, Server), (deny, Server), (allow, other), (deny, other) })
        {
            var answer = JsonNode.Parse(await (await ReplayAsync(w, decision, at)).Content.ReadAsStringAsync())!;
            Assert.True((bool?)answer["same"], answer.ToString());
            Assert.Equal((string?)decision["data"]!["policy"], (string?)answer["replayed"]!["decision"]);
            Assert.Contains("context.input.size", (string?)answer["explanation"], StringComparison.Ordinal);
        }
        var record = await EventAsync(w, allow);
        Assert.StartsWith("sha-256:", (string?)record.Data!["request_digest"], StringComparison.Ordinal);
        Assert.Null(record.Data["request"]);
    }

    [SuiteFact]
    public async Task Decision_ThatWasAltered_OrNeverAsked_CannotBeMadeAgain()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(Small);
        var hash = (await w.FetchAsync()).Hash;
        JsonObject swapped = Told(w, hash, 10, "allow", ["small"]), unasked = w.Guard.Event(null), foreign = Told(w, "sha-256:" + new string('A', 43), 10, "allow", ["small"]), lying = Told(w, hash, 11, "allow", ["small"]);
        swapped["data"]!["request"] = Told(w, hash, 10, "allow", ["small"])["data"]!["request"]!.DeepClone();
        await w.Guard.DeliverAsync([.. new[] { swapped, unasked, foreign, lying }.Select(w.Guard.Spool)]);
        foreach (var decision in new[] { swapped, unasked, foreign })
            await (await ReplayAsync(w, decision)).ProblemAsync(HttpStatusCode.Conflict, "conflict");
        Assert.False((bool?)JsonNode.Parse(await (await ReplayAsync(w, lying)).Content.ReadAsStringAsync())!["same"]);
        await (await w.Ops.SendAsync(HttpMethod.Post, "/decisions/dec_none/replay", new JsonObject())).ProblemAsync(HttpStatusCode.NotFound, "not_found");
    }

    [SuiteFact]
    public async Task Arguments_AreForgottenInTime_AndTheRecordStays()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(Small);
        var decision = Told(w, (await w.FetchAsync()).Hash, 10, "allow", ["small"]);
        await w.Guard.DeliverAsync(w.Guard.Spool(decision));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from policy_requests where decision = '{decision["id"]}'"));
        Server.Time.Advance(TimeSpan.FromDays(31));
        await Server.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<StoreUpkeep>().Single().Purge(default);
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from policy_requests where decision = '{decision["id"]}'"));
        Assert.Equal("allow", (string?)(await EventAsync(w, decision)).Data!["policy"]);
    }

    [SuiteFact]
    public async Task Shadow_IsCompared_AndEveryDifferenceIsThere()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(Small);
        var shadow = await w.DraftAsync("permit(principal, action, resource);");
        await w.MoveAsync(shadow, "shadow");
        Assert.Equal((long)shadow["version"]!, (await w.FetchAsync()).Release.Shadow!.Version);
        var hash = (await w.FetchAsync()).Hash;
        JsonObject same = Told(w, hash, 10, "allow", ["small"], ((long)shadow["version"]!, "allow")), other = Told(w, hash, 11, "deny", [], ((long)shadow["version"]!, "allow"));
        await w.Guard.DeliverAsync(w.Guard.Spool(same), w.Guard.Spool(other));
        await w.Guard.DeliverAsync(w.Guard.Spool(Told(w, hash, 12, "deny", [], ((long)shadow["version"]!, "allow"))));
        var shown = await w.ShowAsync(shadow);
        Assert.Equal((3, 2), ((long)shown["shadowed"]!["compared"]!, (long)shown["shadowed"]!["differing"]!));
        var found = (await w.GetAsync($"/{shadow["version"]}/differences"))["items"]!.AsArray();
        Assert.Equal(2, found.Count);
        Assert.Contains(found, d => (string?)d!["id"] == (string?)other["id"] && (string?)d!["decided"] == "deny" && (string?)d["shadow"] == "allow" && (string?)d["tool"] == "read_file");
    }

    /// <summary>A guard's word on policies may be anything.</summary>
    [SuiteFact]
    public async Task Told_WhatIsNoSuchThing_IsLeftOut()
    {
        var w = await PolicyWorld.OfAsync(Server);
        var before = await Server.ScalarAsync("select count(*) from policy_comparisons");
        foreach (var data in new[] { """{"policy":"maybe","request":5,"shadow":"x"}""", """{"policy":7,"shadow":{"version":"1","decision":"allow"}}""", """{"shadow":{"version":1,"decision":"perhaps"},"method":"resources/read"}""" })
        {
            var e = w.Guard.Event(null);
            e["data"] = JsonNode.Parse(data);
            await w.Guard.DeliverAsync(w.Guard.Spool(e));
            var kept = (await EventAsync(w, e)).Data;
            Assert.Equal(data.Contains("method", StringComparison.Ordinal) ? ["method"] : Array.Empty<string>(), kept?.Select(m => m.Key) ?? []);
        }
        Assert.Equal(before, await Server.ScalarAsync("select count(*) from policy_comparisons"));
    }

    /// <summary>No guard was given a version that is not there, or is a draft still.</summary>
    [SuiteFact]
    public async Task Shadow_ThatNoGuardWasGiven_IsNotBelieved()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(Small);
        var draft = (long)(await w.DraftAsync("permit(principal, action, resource);"))["version"]!;
        var hash = (await w.FetchAsync()).Hash;
        var mark = await Server.NowAsync();
        foreach (var version in new[] { draft, draft + 1, 0, -1 })
        {
            var e = Told(w, hash, 11, "deny", [], (version, "allow"));
            await w.Guard.DeliverAsync(w.Guard.Spool(e));
            Assert.Equal(["policy", "request_digest"], (await EventAsync(w, e)).Data!.Select(m => m.Key).Order(StringComparer.Ordinal));
        }
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from policy_comparisons where tool_server = '{w.S.ToolServer}'"));
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from policy_differences where tool_server = '{w.S.ToolServer}'"));
        var alerts = (await Server.SinceAsync(mark)).Where(e => e.Type == AuditTypes.GuardRefused).ToList();
        Assert.Equal(4, alerts.Count);
        Assert.All(alerts, e => Assert.Equal(("unknown_shadow", w.Guard.Id), (e.Reason, e.Client)));
    }

    /// <summary>A time that no calendar has is a guard's word like any other: it must not make the list unreadable.</summary>
    [SuiteFact]
    public async Task Differences_OfATimeThatIsNone_CanStillBeListed()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(Small);
        var shadow = await w.DraftAsync("permit(principal, action, resource);");
        await w.MoveAsync(shadow, "shadow");
        var hash = (await w.FetchAsync()).Hash;
        JsonObject odd = Told(w, hash, 11, "deny", [], ((long)shadow["version"]!, "allow")), usual = Told(w, hash, 11, "deny", [], ((long)shadow["version"]!, "allow"));
        odd["time"] = 999999999999999;
        await w.Guard.DeliverAsync(w.Guard.Spool(odd), w.Guard.Spool(usual));
        var found = (await w.GetAsync($"/{shadow["version"]}/differences"))["items"]!.AsArray();
        Assert.Contains(found, d => (string?)d!["id"] == (string?)usual["id"]);
    }

    /// <summary>What a guard sealed may be anything.</summary>
    [SuiteFact]
    public async Task Replay_OfWhatIsNoCall_IsAConflict()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(Small);
        var hash = (await w.FetchAsync()).Hash;
        foreach (var spoil in new Action<JsonObject>[]
        {
            c => c["time"] = 999999999999999, c => c["address"] = "nowhere", c => c["caller"]!["chain"] = new JsonArray((JsonNode?)null), c => c["caller"]!["subject"] = "",
            c => c["arguments"] = 5, c => c["tool"] = "", c => c["caller"]!["address"] = "x", c => c["resource"] = "", c => c["caller"]!["groups"] = new JsonArray((JsonNode?)null),
        })
        {
            var e = Told(w, hash, 10, "allow", ["small"]);
            var sealing = new SealedRequest(w.Guard.Enrolled.ArgsKey);
            var call = JsonNode.Parse(sealing.Open((string)e["id"]!, (string)e["data"]!["request"]!)!)!.AsObject();
            spoil(call);
            e["data"]!["request"] = sealing.Seal((string)e["id"]!, Encoding.UTF8.GetBytes(call.ToJsonString()));
            await w.Guard.DeliverAsync(w.Guard.Spool(e));
            var answer = await ReplayAsync(w, e);
            Assert.True((int)answer.StatusCode is 409 or 200, $"{call.ToJsonString()}: {(int)answer.StatusCode}");
        }
    }

    /// <summary>The record has a digest of what is kept elsewhere, so that it cannot be exchanged.</summary>
    [SuiteFact]
    public async Task Replay_OfARequestThatWasExchanged_IsAConflict()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(Small);
        var e = Told(w, (await w.FetchAsync()).Hash, 10, "allow", ["small"]);
        await w.Guard.DeliverAsync(w.Guard.Spool(e));
        var sealing = new SealedRequest(w.Guard.Enrolled.ArgsKey);
        var call = JsonNode.Parse(sealing.Open((string)e["id"]!, (string)e["data"]!["request"]!)!)!.AsObject();
        call["arguments"]!["size"] = 3;
        var other = sealing.Seal((string)e["id"]!, Encoding.UTF8.GetBytes(call.ToJsonString()));
        await Server.Services.GetRequiredService<ICommitLog>().Commit(new Exchange((string)e["id"]!, other));
        await (await ReplayAsync(w, e)).ProblemAsync(HttpStatusCode.Conflict, "conflict");
    }

    private sealed class Exchange(string decision, string text) : Unit<int>
    {
        private static readonly Sql Set = new("update policy_requests set sealed = @text where decision = @id");

        public override int Apply(WriteTx tx) => tx.Run(Set.With(text, decision));
    }

    /// <summary>A decision as the guard tells it, sealed by its key.</summary>
    private static JsonObject Told(PolicyWorld w, string hash, int size, string policy, string[] ids, (long Version, string Decision)? shadow = null)
    {
        var e = w.Guard.Event(null);
        e["policy_hash"] = hash;
        (e["outcome"], e["decision"]) = (policy, policy);
        if (ids.Length > 0)
            e["policy_ids"] = new JsonArray([.. ids.Select(i => (JsonNode)i)]);
        var request = new ArrayBufferWriter<byte>();
        RecordedCall.Write(
            request, RecordedCall.CallerJson(new McpCaller { Kind = McpSubject.User, Subject = "usr_7", Groups = ["support"] }), w.S.Server.Time.GetUtcNow(), w.S.Resource, "read_file",
            Encoding.UTF8.GetBytes($$"""{"path":0,"size":{{size}}}"""));
        var data = new JsonObject { ["policy"] = policy, ["request"] = new SealedRequest(w.Guard.Enrolled.ArgsKey).Seal((string)e["id"]!, request.WrittenSpan) };
        if (shadow is { } said)
            data["shadow"] = new JsonObject { ["version"] = said.Version, ["decision"] = said.Decision };
        e["data"] = data;
        return e;
    }

    private static Task<HttpResponseMessage> ReplayAsync(PolicyWorld w, JsonObject decision, TestServer? at = null) =>
        w.Ops.SendAsync(HttpMethod.Post, $"/decisions/{decision["id"]}/replay", new JsonObject(), at: at);

    private async Task<AuditEvent> EventAsync(PolicyWorld w, JsonObject decision) => (await Server.SinceAsync(0)).Single(e => e.Id == (string?)decision["id"] && e.Node == w.Guard.Id);
}

public sealed class DecisionReplayOnSqliteTests(TestServer server) : DecisionReplaySuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class DecisionReplayOnPostgresTests(PostgresServer postgres) : DecisionReplaySuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> AnotherAsync() => postgres.AnotherAsync();
}
