using System.Net;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Delegation;

/// <summary>The task behind a client's own tokens by scope.</summary>
public sealed class SessionTaskTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task SessionTask_FurtherTokens_AreOfTheSameTask()
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(await TaskAsync(s), await TaskAsync(s, "tool:read_file"));
        Assert.Equal(("session", 1L), (await OriginAsync(s), await CountAsync(s)));
    }

    [Fact]
    public async Task SessionTask_AuthorityChanged_IsReplacedAndTheOldOneEnds()
    {
        var s = await server.ScenarioAsync();
        var before = await TaskAsync(s);
        s.File["clients"]!.AsArray()[^1]!["authority"] = s.Details(["read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());

        var after = await TaskAsync(s);

        Assert.NotEqual(before, after);
        Assert.Equal(after, await TaskAsync(s));
        var ended = Assert.Single(await server.EventsAsync($"task = '{before}' and type = '{AuditTypes.TaskCompleted}'"));
        Assert.Equal(s.ServiceClient, ended.Client);
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where task_id = '{before}' and state = 'active'"));
    }

    [Fact]
    public async Task SessionTask_AnotherClientChanged_Stays()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var before = await TaskAsync(s);
        other.File["clients"]!.AsArray()[^1]!["authority"] = other.Details(["read_file"]);
        await server.ApplyAsync(other.File.ToJsonString());

        Assert.Equal(before, await TaskAsync(s));
    }

    [Theory]
    [InlineData(54)]
    [InlineData(60)]
    [InlineData(25 * 60)]
    public async Task SessionTask_AtItsEnd_IsReplaced(int minutes)
    {
        var s = await server.ScenarioAsync();
        var before = await TaskAsync(s);
        server.Time.Set(server.Time.GetUtcNow() + TimeSpan.FromHours(23));
        Assert.Equal(before, await TaskAsync(s));

        server.Time.Set(server.Time.GetUtcNow() + TimeSpan.FromMinutes(minutes + 2));
        var token = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);

        // Its token still has its whole life: the task is replaced a token's life before its own end.
        Assert.NotEqual(before, TaskOf(token));
        Assert.Equal(300, token.ExpiresIn);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where client_id = '{s.ServiceClient}' and state = 'active'"));
        Assert.Single(await server.EventsAsync($"task = '{before}' and type in ('{AuditTypes.TaskCompleted}', '{AuditTypes.TaskExpired}')"));
    }

    [Fact]
    public async Task SessionTask_ManyFirstRequestsAtOnce_MakeOne()
    {
        var s = await server.ScenarioAsync();

        var tasks = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => TaskAsync(s))));

        Assert.Single(tasks.Distinct());
        Assert.Equal(1, await CountAsync(s));
    }

    [PostgresFact]
    public async Task SessionTask_ManyFirstRequestsOnTwoNodes_MakeOne()
    {
        await using var nodes = await Nodes.OnPostgresAsync();
        var one = await nodes.StartAsync();
        var s = await one.ScenarioAsync();
        var two = await nodes.StartAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => SendAsync(s, i % 2 == 0 ? one : two))));

        Assert.Single(answers.Select(TaskOf).Distinct());
        Assert.Equal(1, await one.ScalarAsync($"select count(*) from tasks where client_id = '{s.ServiceClient}'"));
    }

    [Fact]
    public async Task SessionTask_Forgotten_IsFoundAgainAfterARestart()
    {
        await using var nodes = Nodes.OnSqlite();
        var before = await nodes.StartAsync();
        var s = await before.ScenarioAsync();
        var task = TaskOf(await SendAsync(s, before));
        await nodes.StopAsync(before);

        Assert.Equal(task, TaskOf(await SendAsync(s, await nodes.StartAsync())));
    }

    private static async Task<TokenResponse> SendAsync(Scenario s, TestServer node)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/token")
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "client_credentials", ["resource"] = s.Resource }),
        };
        request.Headers.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
        return await (await node.Client().SendAsync(request)).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    private static string TaskOf(TokenResponse token) => Answers.Claims(token.AccessToken).GetProperty("task").GetProperty("id").GetString()!;

    private static async Task<string> TaskAsync(Scenario s, string? scope = null)
    {
        using var answer = await s.ServiceTokenAsync(scope);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return TaskOf(await answer.ReadAsync(ProtocolJson.Default.TokenResponse));
    }

    private Task<long> CountAsync(Scenario s) => server.ScalarAsync($"select count(*) from tasks where client_id = '{s.ServiceClient}'");

    private async Task<string> OriginAsync(Scenario s) =>
        await server.ScalarAsync($"select count(*) from tasks where client_id = '{s.ServiceClient}' and origin = 'session'") == 1 ? "session" : "another";
}
