using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Exchange;

/// <summary>A proof is used once: on one node, on another, after a restart (RFC 9449 §11.1).</summary>
public abstract class ProofReplaySuite : IAsyncLifetime
{
    private Nodes nodes = null!;

    protected TestServer Server { get; private set; } = null!;

    private protected abstract Task<Nodes> NewNodesAsync();

    private protected Nodes All => nodes;

    public async Task InitializeAsync() => Server = await (nodes = await NewNodesAsync()).StartAsync();

    public async Task DisposeAsync() => await nodes.DisposeAsync();

    [SuiteFact]
    [Trait("Attack", "108"), Trait("Spec", "RFC9449-11.1")]
    public async Task Proof_UsedTwiceAtTheTokenEndpoint_IsRefused()
    {
        var (s, form) = await ReadyAsync();
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        await (await s.Agent.ExchangeRawAsync(form, proof)).ReadAsync(ProtocolJson.Default.TokenResponse);
        await ReplayRefusedAsync(Server, s.Agent, proof, Server.Client(), s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" })));
    }

    [SuiteFact]
    [Trait("Attack", "108")]
    public async Task Proof_UsedAgainAfterARestart_IsRefused()
    {
        var (s, form) = await ReadyAsync();
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        await (await s.Agent.ExchangeRawAsync(form, proof)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var now = Server.Time.GetUtcNow();
        var fresh = Enumerable.Range(0, 2).Select(_ => s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }))).ToList();
        await nodes.StopAsync(Server);
        var again = await nodes.StartAsync(now);
        await ReplayRefusedAsync(again, s.Agent, proof, again.Client(), fresh[0]);
        await (await s.Agent.PostFormAsync(Names.Paths.Token, fresh[1], s.Agent.Proof(HttpMethod.Post, Names.Paths.Token), again.Client()))
            .ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [SuiteFact]
    [Trait("Attack", "108")]
    public async Task Proof_UsedTwiceAtAnApi_IsRefusedAndNothingIsDoneTwice()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        var guard = await TestGuard.OfAsync(s);
        var body = new JsonObject { ["purpose"] = "twice", ["authorization_details"] = s.Details(["read_file"]) };
        foreach (var (method, path, content) in new[]
        {
            (HttpMethod.Post, "/tasks", body), (HttpMethod.Get, $"/tasks/{task}", null), (HttpMethod.Get, $"/tasks/{task}/story", null),
            (HttpMethod.Post, $"/tasks/{task}/suspend", null), (HttpMethod.Post, $"/tasks/{task}/complete", null),
            (HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}", (JsonObject?)null),
        })
        {
            var proof = s.Agent.Proof(method, path, s.Agent.InstanceToken);
            Assert.True((await s.Agent.CallAsync(method, path, content, proof: proof)).IsSuccessStatusCode, path);
            // The instance is gone after its end: then that is the reason, whatever the proof.
            var ended = method == HttpMethod.Delete;
            await Server.RefusedAsync(
                () => s.Agent.CallAsync(method, path, content, proof: proof), HttpStatusCode.Unauthorized, ended ? Names.Errors.InvalidToken : Names.Errors.InvalidDpopProof, null,
                ended ? AuditTypes.TokenRefused : AuditTypes.ReplayDetected, ended ? Names.Reasons.InstanceEnded : Names.Reasons.Replay);
        }
        foreach (var path in new[] { Names.Paths.GuardStreams, Names.Paths.Introspect })
        {
            var proof = guard.Proof(path, guard.Token);
            HttpContent? Content() => path == Names.Paths.Introspect ? new FormUrlEncodedContent([KeyValuePair.Create("token", "x")]) : null;
            Assert.True((await guard.SendAsync(path, Content(), proof: proof)).IsSuccessStatusCode, path);
            await Server.RefusedAsync(
                () => guard.SendAsync(path, Content(), proof: proof), HttpStatusCode.Unauthorized, Names.Errors.InvalidDpopProof, null, AuditTypes.ReplayDetected, Names.Reasons.Replay);
        }
    }

    [SuiteFact]
    [Trait("Attack", "108")]
    public async Task Proof_UsedTwentyTimesAtOnce_SucceedsOnce()
    {
        var (s, _) = await ReadyAsync();
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        var forms = Enumerable.Range(0, 20).Select(_ => s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }))).ToList();
        var before = await Server.ScalarAsync("select count(*) from grants");
        var answers = await Task.WhenAll(forms.Select(f => s.Agent.ExchangeRawAsync(f, proof))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(1, answers.Count(a => a.IsSuccessStatusCode));
        foreach (var refused in answers.Where(a => !a.IsSuccessStatusCode))
            await refused.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, Names.Reasons.Replay);
        Assert.Equal(before + 1, await Server.ScalarAsync("select count(*) from grants"));
    }

    private protected async Task<(Scenario, Dictionary<string, string>)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return (s, s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" })));
    }

    private protected static async Task ReplayRefusedAsync(TestServer at, TestAgent agent, string proof, HttpClient client, Dictionary<string, string> form)
    {
        var e = await at.RefusedAsync(
            () => agent.PostFormAsync(Names.Paths.Token, form, proof, client), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, Names.Reasons.Replay,
            AuditTypes.ReplayDetected, Names.Reasons.Replay);
        Assert.Equal(agent.ClientId, e.Client);
    }
}

public sealed class ProofReplayOnSqliteTests : ProofReplaySuite
{
    private protected override Task<Nodes> NewNodesAsync() => Task.FromResult(Nodes.OnSqlite());
}

[NeedsPostgres]
public sealed class ProofReplayOnPostgresTests : ProofReplaySuite
{
    private protected override Task<Nodes> NewNodesAsync() => Nodes.OnPostgresAsync();

    [SuiteFact]
    [Trait("Attack", "108")]
    public async Task Proof_UsedAgainAtAnotherNode_IsRefused()
    {
        var (s, form) = await ReadyAsync();
        var other = await All.StartAsync(Server.Time.GetUtcNow());
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        await (await s.Agent.ExchangeRawAsync(form, proof)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var fresh = s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }));
        await ReplayRefusedAsync(other, s.Agent, proof, other.Client(), fresh);
        // A fresh proof works there: it was the replay that was refused, not the node.
        await (await s.Agent.PostFormAsync(Names.Paths.Token, s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" })), client: other.Client()))
            .ReadAsync(ProtocolJson.Default.TokenResponse);
    }
}
