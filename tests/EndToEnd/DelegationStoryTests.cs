using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Samples;

namespace McpAuth.EndToEnd;

/// <summary>An agent that works for a person at two tool servers, over several lives of its tokens; samples/Person plays the person.</summary>
public sealed class DelegationStoryTests : IAsyncLifetime
{
    private const string Email = "ann@example.com", Password = "correct horse battery staple",
        Reports = """{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}""";

    private readonly TempDirectory directory = new();
    private Deployment deployment = null!;

    public async Task InitializeAsync() => deployment = await Deployment.StartAsync(
        postgres: null, nodes: 1, ["files", "archive"], Register, new Dictionary<string, string?> { ["McpAuth__AccessTokenLifetime"] = "00:00:03" });

    public async Task DisposeAsync()
    {
        await deployment.DisposeAsync();
        directory.Dispose();
    }

    [Fact]
    [Trait("Spec", "RFC6749-6")]
    [Trait("Spec", "Invariant-3")]
    public async Task Delegation_AtTwoToolServersOverSeveralTokens_IsOneTaskForThePersonUntilSheEndsIt()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        using var browser = new LoopbackBrowser(Person("--open"));
        DelegationRequest ask = await session.AskPerson(browser.RedirectUri, "summarise the year", deployment.Authority(Reports));
        await using AgentTask task = await ask.BeginTask(await browser.Ask(ask.Address, default));
        Assert.Equal("usr_ann", task.View.User);
        JsonNode claims = (await task.GetToken(deployment.Servers[0].Resource)).Claims();
        Assert.Equal(("usr_ann", "agt_first"), (claims["sub"]!.GetValue<string>(), claims["act"]!["sub"]!.GetValue<string>()));

        // Both at once, each through three tokens: had they used a refresh token twice, the task would be over.
        int[] calls = await Task.WhenAll(deployment.Servers.Select(server => WorkAsync(server, task, tokens: 3)));
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(f => f.Type == AuditTypes.CallFinished) == calls.Sum());
        Assert.All(story.Where(e => e.Type == AuditTypes.CallDecided), e => Assert.Equal(("usr_ann", "agt_first", "allow"), (e.User, e.Agent, e.Decision)));
        Assert.Equal(2, story.Where(e => e.Type == AuditTypes.CallDecided).Select(e => e.Resource).Distinct().Count());
        Assert.Empty(await deployment.EventsAsync(AuditTypes.ReplayDetected, AuditTypes.TokenRefused));

        using RawCaller files = await deployment.Servers[0].CallerAsync(session, task), archive = await deployment.Servers[1].CallerAsync(session, task);
        await using ChildProcess end = ChildProcess.Start(ChildProcess.Dotnet, [.. Person("--end", "agt_first", "--open").Skip(1), deployment.Issuer + Names.Paths.Account]);
        Assert.True(await end.WaitForExitAsync(Deployment.Patience) == 0, end.Text);
        await Eventually.TrueAsync(async () => await files.IsRefusedAsync() && await archive.IsRefusedAsync(), "both tool servers refuse", 5 * Limits.RevocationBound);
        OAuthErrorException refused = await Assert.ThrowsAsync<OAuthErrorException>(async () =>
        {
            // A token that has some life left is kept; its successor is refused.
            while (true)
            {
                await task.GetToken(deployment.Servers[1].Resource);
                await Task.Delay(50);
            }
        }).WaitAsync(Deployment.Patience);
        Assert.Contains(refused.Reason, new[] { Names.Reasons.Revoked, Names.Reasons.TaskEnded });
    }

    private static async Task<int> WorkAsync(GuardedServer server, AgentTask task, int tokens)
    {
        await using McpClient mcp = await server.ConnectAsync(task);
        var seen = new HashSet<string>();
        using var limit = new CancellationTokenSource(Deployment.Patience);
        for (int calls = 0; ; calls++)
        {
            if (seen.Count >= tokens) return calls;
            CallToolResult result = await mcp.CallToolAsync("read_file", new Dictionary<string, object?> { ["path"] = "reports/q1.md" }, cancellationToken: limit.Token);
            Assert.NotEqual(true, result.IsError);
            seen.Add((await task.GetToken(server.Resource, limit.Token)).Jti());
            await Task.Delay(20, limit.Token);
        }
    }

    private string[] Person(params string[] what) =>
        [ChildProcess.Dotnet, Built.Dll("samples/Person"), "--email", Email, "--password-file", directory.Write("password", Password), .. what];

    private static void Register(JsonObject registry)
    {
        registry["users"]![0]!["password"] = Password;
        JsonNode client = registry["clients"]![0]!;
        client["grant_types"] = new JsonArray(Names.Exchange.GrantType, Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken);
        client["redirect_uris"] = new JsonArray("http://127.0.0.1/callback");
    }
}
