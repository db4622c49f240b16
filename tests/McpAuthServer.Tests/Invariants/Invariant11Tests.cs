using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Invariants;

/// <summary>11. One code, one use, on any node: assertions, proofs, enrolment secrets, budgets; fifty callers at once over all nodes.</summary>
public abstract class Invariant11Suite
{
    private const int Callers = 50;

    protected abstract TestServer Server { get; }

    private protected virtual Task<IReadOnlyList<TestServer>> NodesAsync() => Task.FromResult<IReadOnlyList<TestServer>>([Server, Server]);

    [SuiteFact]
    [Trait("Attack", "76")]
    public async Task Invariant11_OneCodeOneUseOnAnyNode_AnAssertionIsUsedOnce()
    {
        var (s, nodes) = await ReadyAsync();
        var form = s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }));
        // Every request has a proof of its own: the assertion alone is what is used again.
        await OnceAsync(nodes, i => s.Agent.PostFormAsync(Names.Paths.Token, form, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token), nodes[i % nodes.Count].Client()),
            HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, "grants");
        // Nor is it good for anything else, at another endpoint.
        var attest = new Dictionary<string, string> { [Names.ClientAssertion.TypeParameter] = form[Names.ClientAssertion.TypeParameter], [Names.ClientAssertion.Parameter] = form[Names.ClientAssertion.Parameter] };
        await (await s.Agent.AttestRawAsync(attest)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
    }

    [SuiteFact]
    [Trait("Attack", "108")]
    public async Task Invariant11_OneCodeOneUseOnAnyNode_AProofIsUsedOnce()
    {
        var (s, nodes) = await ReadyAsync();
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        var forms = Enumerable.Range(0, Callers).Select(_ => s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }))).ToList();
        await OnceAsync(nodes, i => s.Agent.PostFormAsync(Names.Paths.Token, forms[i], proof, nodes[i % nodes.Count].Client()),
            HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "grants");
    }

    [SuiteFact]
    public async Task Invariant11_OneCodeOneUseOnAnyNode_AnEnrolmentSecretIsUsedOnce()
    {
        var (s, nodes) = await ReadyAsync();
        await OnceAsync(nodes, i => new TestGuard(s).EnrollRawAsync(client: nodes[i % nodes.Count].Client()), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, "guards");
    }

    [SuiteFact]
    public async Task Invariant11_OneCodeOneUseOnAnyNode_ABudgetOfOneIsSpentOnce()
    {
        var (s, nodes) = await ReadyAsync();
        var guard = await TestGuard.OfAsync(s);
        var details = s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }).With("read_file", new JsonObject { ["max_calls"] = 1 });
        var token = await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: details))).ReadAsync(ProtocolJson.Default.TokenResponse);
        var answers = await Task.WhenAll(Enumerable.Range(0, Callers).Select(i => guard.SpendAsync(token.Jti(), "read_file", client: nodes[i % nodes.Count].Client()))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(1, answers.Sum(a => a.Granted));
    }

    private async Task OnceAsync(IReadOnlyList<TestServer> nodes, Func<int, Task<HttpResponseMessage>> call, HttpStatusCode status, string error, string counted)
    {
        var before = await Server.ScalarAsync($"select count(*) from {counted}");
        var answers = await Task.WhenAll(Enumerable.Range(0, Callers).Select(i => Task.Run(() => call(i)))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(1, answers.Count(a => a.IsSuccessStatusCode));
        foreach (var refused in answers.Where(a => !a.IsSuccessStatusCode))
            await refused.RefusedAsync(status, error);
        Assert.Equal(before + 1, await Server.ScalarAsync($"select count(*) from {counted}"));
        Assert.Equal(2, nodes.Count);
    }

    private async Task<(Scenario, IReadOnlyList<TestServer>)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var nodes = await NodesAsync();
        foreach (var node in nodes)
            await node.SeeRegistryAsync();
        return (s, nodes);
    }
}

public sealed class Invariant11OnSqliteTests(TestServer server) : Invariant11Suite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class Invariant11OnPostgresTests(PostgresServer postgres) : Invariant11Suite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override async Task<IReadOnlyList<TestServer>> NodesAsync() => [Server, await postgres.AnotherAsync()];
}
