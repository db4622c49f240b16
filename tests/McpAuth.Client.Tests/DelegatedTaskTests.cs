using System.Text.Json;
using McpAuth.Protocol.Jose;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>The tokens of work that was handed over: one line of refresh tokens, each used once.</summary>
public sealed class DelegatedTaskTests : IClassFixture<FakeServer>, IAsyncLifetime
{
    private readonly FakeServer server;
    private readonly SigningKey clientKey = SigningKey.Create();
    private AgentSession session = null!;
    private AgentTask task = null!;

    public DelegatedTaskTests(FakeServer server) => this.server = server;

    public async Task InitializeAsync()
    {
        PrepareDelegation(server, clientKey);
        session = await Attest(server, clientKey);
        task = await Delegated();
    }

    [Fact]
    [Trait("Spec", "RFC6749-6")]
    public async Task GetToken_NearItsExpiry_IsRenewedByTheNewestRefreshToken()
    {
        await task.GetToken(Resource);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        Assert.Equal("token-2", (await task.GetToken(Resource)).Value);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        Assert.Equal("token-3", (await task.GetToken(Resource)).Value);
        Assert.Equal(["refresh-1", "refresh-2"], Refreshes().Select(r => r.Field("refresh_token")));
        Received sent = Refreshes().First();
        Assert.Equal(["client_assertion", "client_assertion_type", "grant_type", "refresh_token", "resource"], sent.Fields);
        Assert.Equal((Resource, "summariser", session.Key.Public.Thumbprint), (sent.Field("resource"), sent.Client, sent.Proof!.Thumbprint));
    }

    [Fact]
    public async Task GetToken_AnotherToolServerOfTheTask_ComesFromTheSameLine()
    {
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
        Assert.Equal("token-2", (await task.GetToken(Other)).Value);
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        await task.GetToken(Resource);
        Assert.Equal(
            [("refresh-1", Other), ("refresh-2", Resource)], Refreshes().Select(r => (r.Field("refresh_token")!, r.Field("resource")!)));
    }

    [Fact]
    [Trait("Spec", "RFC6749-6")]
    public async Task GetToken_ForManyToolServersAtOnce_UsesNoRefreshTokenTwice()
    {
        string[] resources = [.. Enumerable.Range(0, 8).Select(i => $"https://tools-{i}.example/mcp")];
        await Task.WhenAll(resources.Select(r => task.GetToken(r).AsTask()));
        Assert.Equal(Enumerable.Range(1, 8).Select(i => $"refresh-{i}"), Refreshes().Select(r => r.Field("refresh_token")));
    }

    [Fact]
    public async Task GetToken_CallerGivesUpWhileItIsRenewed_SuccessorIsKept()
    {
        using var reached = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        Func<Received, Answer> usual = server.Answers["/token"];
        server.Answers["/token"] = r =>
        {
            Answer answer = usual(r);
            reached.Release();
            return go.Wait(TimeSpan.FromSeconds(5)) ? answer : Answer.Error(500, "server_error");
        };
        using var impatient = new CancellationTokenSource();
        Task<AccessToken> given = task.GetToken(Other, impatient.Token).AsTask();
        Assert.True(await reached.WaitAsync(TimeSpan.FromSeconds(5)));
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);

        server.Answers["/token"] = usual;
        Task<AccessToken> next = task.GetToken(Other).AsTask();
        go.Release();
        Assert.Equal("token-3", (await next).Value);
        Assert.Equal(["refresh-1", "refresh-2"], Refreshes().Select(r => r.Field("refresh_token")));
    }

    [Fact]
    public async Task GetToken_AnswerGotLost_DoesNotUseTheRefreshTokenAgain()
    {
        Func<Received, Answer> usual = server.Answers["/token"];
        server.Answers["/token"] = _ => new Answer(502, "<html>", "text/html");
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        await Assert.ThrowsAsync<OAuthErrorException>(() => task.GetToken(Resource).AsTask());
        server.Answers["/token"] = usual;
        Assert.Equal("token-2", (await task.GetToken(Resource)).Value);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        Assert.Equal("token-3", (await task.GetToken(Resource)).Value);
        Assert.Single(Refreshes());
        Assert.Equal(["token-1", "token-2"], server.To("/token").TakeLast(2).Select(r => r.Field("subject_token")));
    }

    [Theory]
    [InlineData(400, "invalid_target")]
    [InlineData(503, "temporarily_unavailable")]
    public async Task GetToken_ServerSaysNo_KeepsTheRefreshToken(int status, string error)
    {
        Func<Received, Answer> usual = server.Answers["/token"];
        server.Answers["/token"] = _ => Answer.Error(status, error);
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => task.GetToken(Other).AsTask());
        Assert.Equal(error, e.Error);
        server.Answers["/token"] = usual;
        Assert.Equal("token-2", (await task.GetToken(Other)).Value);
        Assert.Equal("refresh-1", Refreshes().Last().Field("refresh_token"));
    }

    [Fact]
    [Trait("Spec", "RFC6749-6")]
    public async Task GetToken_AnswerWithoutASuccessor_GoesOnWithTheSame()
    {
        server.Answers["/token"] = _ => Answer.Json("""{"access_token":"fresh","token_type":"DPoP","expires_in":300}""");
        await task.GetToken(Other);
        await task.GetToken("https://third.example/mcp");
        Assert.Equal(["refresh-1", "refresh-1"], Refreshes().Select(r => r.Field("refresh_token")));
    }

    [Fact]
    public async Task GetToken_PersonEndedIt_SaysSoAndAsksNoMoreThanOnce()
    {
        server.Answers["/token"] = _ => Answer.Error(400, "invalid_grant", "The refresh token was revoked.", "revoked");
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => task.GetToken(Resource).AsTask());
        Assert.Equal(("invalid_grant", "revoked"), (e.Error, e.Reason));
        Assert.Single(Refreshes());
        Assert.DoesNotContain("refresh-1", e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetToken_ClientThatMayNotRefresh_ContinuesWithItsOwnToken()
    {
        AgentTask without = await Delegated(refresh: false);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        string first = (await without.GetToken(Resource)).Value;
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        await without.GetToken(Resource);
        Assert.Empty(Refreshes());
        Assert.Equal(first, server.To("/token").Last().Field("subject_token"));
        Assert.Null(server.To("/token").Last().Field("actor_token"));
        Assert.Equal("tsk_1", Json(server.To("/token").Last().Field("authorization_details")!)[0].GetProperty("task").GetProperty("id").GetString());
    }

    [Fact]
    public async Task AcceptHandOff_WithARefreshToken_IsContinuedByIt()
    {
        JsonElement asked = Json("""[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"tools":{"read_file":{}},"task":{"purpose":"part"}}]""");
        AgentTask handed = await session.AcceptHandOff("the-other-agents-token", Resource, asked);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        await handed.GetToken(Resource);
        Assert.Equal(["refresh-2"], Refreshes().Select(r => r.Field("refresh_token")));
    }

    private IEnumerable<Received> Refreshes() => server.To("/token").Where(r => r.Field("grant_type") == "refresh_token");

    private async Task<AgentTask> Delegated(bool refresh = true)
    {
        if (!refresh) PrepareDelegation(server, clientKey, refresh);
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        return await ask.BeginTask(Answered(ask, server.Issuer));
    }

    public async Task DisposeAsync()
    {
        await session.DisposeAsync();
        clientKey.Dispose();
    }
}
