using System.Net;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Ciba;

/// <summary>What must be one act, on either database and over two nodes.</summary>
public abstract class CibaNodeSuite
{
    private const int Callers = 20;

    protected abstract TestServer Server { get; }

    private protected virtual Task<IReadOnlyList<TestServer>> NodesAsync() => Task.FromResult<IReadOnlyList<TestServer>>([Server, Server]);

    [SuiteFact]
    [Trait("Spec", "Invariant-11")]
    public async Task Polls_ManyAtOnceAfterTheAnswer_GetOneToken_WhichDies()
    {
        var (s, nodes) = await ReadyAsync();
        var id = await s.AskAsync();
        await s.AnswerAsync("allow");

        var answers = await AtOnceAsync(i => s.PollRawAsync(id, client: nodes[i % 2].Client()));

        Assert.Single(answers, a => a.IsSuccessStatusCode);
        foreach (var refused in answers.Where(a => !a.IsSuccessStatusCode))
            await refused.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);
        Assert.Equal((1, 0), (
            await Server.ScalarAsync($"select count(*) from grants where user_id = '{s.User}'"), await Server.ScalarAsync($"select count(*) from grants where user_id = '{s.User}' and state = 'active'")));
    }

    [SuiteFact]
    public async Task Questions_ManyAtOnce_LeaveThreeWaiting()
    {
        var (s, nodes) = await ReadyAsync();

        var answers = await AtOnceAsync(i => s.AskRawAsync(client: nodes[i % 2].Client()));

        Assert.Equal(3, answers.Count(a => a.IsSuccessStatusCode));
        foreach (var refused in answers.Where(a => !a.IsSuccessStatusCode))
            await refused.RefusedAsync(HttpStatusCode.Forbidden, Names.Errors.AccessDenied, Names.Reasons.TooManyWaiting);
        Assert.Equal(3, await Server.ScalarAsync($"select count(*) from backchannel_requests where user_id = '{s.User}'"));
    }

    [SuiteFact]
    public async Task Answers_YesAndNoAtOnceOnTwoNodes_AreOneAnswer()
    {
        var (s, nodes) = await ReadyAsync();
        var id = await s.AskAsync();
        var browser = await s.BrowserAsync();
        var elsewhere = new TestBrowser(nodes[1]);
        foreach (var (name, value) in browser.Cookies)
            elsewhere.Cookies[name] = value;
        var (yes, no) = (await browser.OpenAsync(), await browser.OpenAsync());

        var answers = await Task.WhenAll(Task.Run(() => browser.AnswerAsync(yes, "allow")), Task.Run(() => elsewhere.AnswerAsync(no, "deny"))).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Single(answers, a => a.Status == HttpStatusCode.SeeOther);
        var poll = await s.PollRawAsync(id, client: nodes[1].Client());
        if (answers[0].Status == HttpStatusCode.SeeOther)
            Assert.Equal(HttpStatusCode.OK, poll.StatusCode);
        else
            await poll.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.AccessDenied);
    }

    private static async Task<HttpResponseMessage[]> AtOnceAsync(Func<int, Task<HttpResponseMessage>> call) =>
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(i => Task.Run(() => call(i)))).WaitAsync(TimeSpan.FromSeconds(60));

    private async Task<(Scenario, IReadOnlyList<TestServer>)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        var nodes = await NodesAsync();
        foreach (var node in nodes)
            await node.SeeRegistryAsync();
        return (s, nodes);
    }
}

public sealed class CibaOnSqliteTests(TestServer server) : CibaNodeSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class CibaOnPostgresTests(PostgresServer postgres) : CibaNodeSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override async Task<IReadOnlyList<TestServer>> NodesAsync() => [Server, await postgres.AnotherAsync()];
}
