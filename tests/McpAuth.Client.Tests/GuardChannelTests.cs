using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client.Tests;

public sealed class GuardChannelTests : IClassFixture<FakeServer>, IDisposable
{
    private const string Stream = """{"stream":"str_1","cursor":7,"snapshot":[{"kind":"task","id":"tsk_1","until":9}],"args_key":{"version":1,"key":"AAAA"}}""";
    private readonly FakeServer server;
    private readonly SigningKey key = SigningKey.Create();
    private readonly GuardChannel guard;

    public GuardChannelTests(FakeServer server)
    {
        this.server = server;
        server.Reset();
        server.Clients["grd_1"] = key.Public;
        server.Answers["/guard/streams"] = _ => Answer.Json(Stream);
        guard = new GuardChannel(server.Issuer, "grd_1", key, server.Options());
    }

    [Fact]
    public async Task Enroll_Answer_GivesTheIdentityAndTheRequestHoldsThePublicKeyOnly()
    {
        server.Answers["/guard/enroll"] = _ => Answer.Json("""{"guard_id":"grd_9","tool_server":"srv_1","resource":"https://files.example/mcp","args_key":{"version":1,"key":"AAAA"}}""");
        EnrollResponse answer = await GuardChannel.EnrollAsync(server.Issuer, "https://files.example/mcp", "once-only", key, server.Options());
        Assert.Equal("grd_9", answer.GuardId);
        JsonElement sent = server.To("/guard/enroll").Single().Json;
        Assert.Equal("once-only", sent.GetProperty("enrolment_secret").GetString());
        Assert.Equal("https://files.example/mcp", sent.GetProperty("resource").GetString());
        Assert.Equal(key.Public.Thumbprint, VerificationKey.FromJwk(sent.GetProperty("jwk")).Value.Thumbprint);
        Assert.False(sent.GetProperty("jwk").TryGetProperty("d", out _));
    }

    [Fact]
    [Trait("Attack", "162")]
    public async Task Enroll_Refused_TextDoesNotHoldTheSecret()
    {
        server.Answers["/guard/enroll"] = _ => Answer.Error(401, "invalid_client", "The secret was used before.");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(
            () => GuardChannel.EnrollAsync(server.Issuer, "https://files.example/mcp", "once-only", key, server.Options()));
        Assert.Equal(401, e.Status);
        Assert.Equal("invalid_client", e.Error);
        Assert.DoesNotContain("once-only", e.ToString(), StringComparison.Ordinal);
        Assert.Single(server.To("/guard/enroll"));
    }

    [Fact]
    public async Task OpenStream_FirstCall_GetsABoundTokenForTheGuardsAudience()
    {
        StreamResponse answer = await guard.OpenStream();
        Assert.Equal(("str_1", 7L), (answer.Stream, answer.Cursor));
        Assert.Equal("tsk_1", answer.Snapshot.Single().Id);

        Received token = server.To("/token").Single();
        Assert.Equal("grd_1", token.Client);
        Assert.Equal(key.Public.Thumbprint, token.Proof!.Thumbprint);
        Assert.Equal("client_credentials", token.Field("grant_type"));
        Assert.Equal(server.Issuer + "/guard", token.Field("resource"));

        Received call = server.To("/guard/streams").Single();
        Assert.Equal("DPoP token-1", call.Authorization);
        Assert.Equal(key.Public.Thumbprint, call.Proof!.Thumbprint);
    }

    [Fact]
    public async Task Token_ManyCallsAtOnce_IsFetchedOnce()
    {
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => guard.OpenStream()));
        Assert.Single(server.To("/token"));
        Assert.Equal(20, server.To("/guard/streams").Count());
    }

    [Fact]
    public async Task Token_NearItsExpiry_IsRenewed()
    {
        await guard.OpenStream();
        server.Clock.Advance(TimeSpan.FromSeconds(269));
        await guard.OpenStream();
        Assert.Single(server.To("/token"));
        server.Clock.Advance(TimeSpan.FromSeconds(1));
        await guard.OpenStream();
        Assert.Equal("DPoP token-2", server.To("/guard/streams").Last().Authorization);
    }

    [Fact]
    public async Task Token_RenewalUnreachableWhileItStillLives_IsUsedOn()
    {
        await guard.OpenStream();
        server.Clock.Advance(TimeSpan.FromSeconds(280));
        server.Answers["/token"] = _ => new Answer(200, "not json");
        await guard.OpenStream();
        Assert.Equal("DPoP token-1", server.To("/guard/streams").Last().Authorization);
        server.Clock.Advance(TimeSpan.FromSeconds(20));
        await Assert.ThrowsAsync<HttpRequestException>(() => guard.OpenStream());
    }

    [Fact]
    public async Task Call_TokenNoLongerTaken_IsSentOnceMoreWithAFreshOne()
    {
        await guard.OpenStream();
        server.Answers["/guard/streams"] = r => r.Authorization == "DPoP token-1" ? Answer.Error(401, "invalid_token") : Answer.Json(Stream);
        await guard.OpenStream();
        Assert.Equal(["DPoP token-1", "DPoP token-1", "DPoP token-2"], server.To("/guard/streams").Select(r => r.Authorization));
    }

    [Fact]
    public async Task Call_EveryTokenRefused_StopsAfterTheSecond()
    {
        server.Answers["/guard/streams"] = _ => new Answer(401, null) { Headers = { ["WWW-Authenticate"] = "DPoP error=\"invalid_token\", algs=\"ES256\"" } };
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => guard.OpenStream());
        Assert.Equal((401, "invalid_token"), (e.Status, e.Error));
        Assert.Equal(2, server.To("/guard/streams").Count());
        Assert.Equal(2, server.To("/token").Count());
    }

    [Fact]
    public async Task TokenEndpoint_AnswersBearer_IsNotUsed()
    {
        server.Answers["/token"] = _ => Answer.Json("""{"access_token":"t","token_type":"Bearer","expires_in":300}""");
        await Assert.ThrowsAsync<HttpRequestException>(() => guard.OpenStream());
        Assert.Empty(server.To("/guard/streams"));
    }

    [Theory]
    [InlineData(503, "temporarily_unavailable")]
    [InlineData(429, "slow_down")]
    public async Task Call_Unavailable_IsSentAgainWithAFreshProof(int status, string error)
    {
        int calls = 0;
        server.Answers["/guard/streams"] = _ => Interlocked.Increment(ref calls) < 3 ? Answer.Error(status, error) : Answer.Json(Stream);
        await guard.OpenStream();
        Assert.Equal(3, server.To("/guard/streams").Select(r => r.Proof!.Jti).Distinct().Count());
    }

    [Fact]
    public async Task Call_UnavailableForGood_EndsAfterTheDeclaredAttempts()
    {
        server.Answers["/guard/streams"] = _ => Answer.Error(503, "temporarily_unavailable");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => guard.OpenStream());
        Assert.Equal(503, e.Status);
        Assert.Equal(3, server.To("/guard/streams").Count());
    }

    [Theory]
    [InlineData(400)]
    [InlineData(403)]
    [InlineData(500)]
    [InlineData(502)]
    public async Task Call_AnyOtherRefusal_IsNotSentAgain(int status)
    {
        server.Answers["/guard/budgets"] = _ => new Answer(status, "<html>", "text/html");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => guard.Spend(new BudgetRequest("at_1", "refund")));
        Assert.Equal((status, "server_error"), (e.Status, e.Error));
        Assert.Single(server.To("/guard/budgets"));
    }

    [Fact]
    public async Task Poll_Unavailable_IsSentOnceBecauseTheCallerLoops()
    {
        server.Answers["/guard/revocations"] = _ => Answer.Error(503, "temporarily_unavailable");
        await Assert.ThrowsAsync<OAuthErrorException>(() => guard.Poll(new RevocationsRequest("str_1", 7)));
        Assert.Single(server.To("/guard/revocations"));
    }

    [Fact]
    public async Task Poll_Answer_CarriesSetsAndPlaces()
    {
        server.Answers["/guard/revocations"] = _ => Answer.Json("""{"sets":{"set_2":"eyJ"},"seq":{"set_2":812},"highWater":812,"moreAvailable":false,"manifest":3}""");
        RevocationsResponse answer = await guard.Poll(new RevocationsRequest("str_1", 7));
        Assert.Equal(812, answer.Seq["set_2"]);
        Assert.Equal(3, answer.Manifest);
        JsonElement sent = server.To("/guard/revocations").Single().Json;
        Assert.Equal(("str_1", 7), (sent.GetProperty("stream").GetString(), sent.GetProperty("after").GetInt32()));
    }

    [Fact]
    public async Task Introspect_Form_HoldsTheTokenAndTheGuardsOwnTokenStandsInTheHeader()
    {
        server.Answers["/introspect"] = _ => Answer.Json("""{"active":false,"reason":"revoked"}""");
        IntrospectionResponse answer = await guard.Introspect("the-agents-token");
        Assert.False(answer.Active);
        Received sent = server.To("/introspect").Single();
        Assert.Equal("the-agents-token", sent.Field("token"));
        Assert.Equal("DPoP token-1", sent.Authorization);
        Assert.NotNull(sent.Proof);
    }

    [Fact]
    public async Task Manifest_Audit_Budget_ReachTheirPathsAndAreRead()
    {
        server.Answers["/guard/manifest"] = _ => Answer.Json("""{"manifest":4,"tools":[{"name":"read_file","state":"approved","sensitivity":"read","digest":"sha-256:x"}]}""");
        server.Answers["/guard/audit"] = _ => Answer.Json("""{"acknowledged":12}""");
        server.Answers["/guard/budgets"] = _ => Answer.Json("""{"granted":1}""");
        using var definition = JsonDocument.Parse("""{"name":"read_file"}""");
        ManifestResponse manifest = await guard.ReportManifest(new ManifestRequest([new ManifestTool("read_file", definition.RootElement)]));
        Assert.Equal("approved", manifest.Tools.Single().State);
        Assert.Equal(12, (await guard.Deliver("""{"entries":[]}"""u8.ToArray())).Acknowledged);
        Assert.Equal("""{"entries":[]}""", server.To("/guard/audit").Single().Body);
        Assert.Equal(1, (await guard.Spend(new BudgetRequest("at_1", "refund"))).Granted);
        Assert.Equal("""{"jti":"at_1","tool":"refund","calls":1}""", server.To("/guard/budgets").Single().Body);
    }

    [Fact]
    public async Task Keys_Jwks_GivesVerificationKeys()
    {
        server.Answers["/jwks"] = _ => Answer.Json($$"""{"keys":[{{key.Public.Jwk.GetRawText()}}]}""");
        Assert.Equal(key.Public.Thumbprint, (await guard.Keys()).Single().Thumbprint);
        // A cache's copy would be from before a key was revoked.
        Assert.Equal("no-cache", server.To("/jwks").Single().CacheControl);
        server.Answers["/jwks"] = _ => Answer.Json("""{"keys":5}""");
        await Assert.ThrowsAsync<HttpRequestException>(() => guard.Keys());
    }

    [Fact]
    [Trait("Spec", "RFC9449-8")]
    public async Task Token_NonceAsked_IsSentOnceMoreWithItAndRemembered()
    {
        int issued = 0;
        server.Answers["/token"] = r => r.Proof!.Nonce == "n-1"
            ? Answer.Json($$"""{"access_token":"nonced-{{++issued}}","token_type":"DPoP","expires_in":60}""")
            : Answer.Error(400, "use_dpop_nonce") with { Headers = new() { ["DPoP-Nonce"] = "n-1" } };
        await guard.OpenStream();
        Assert.Equal([null, "n-1"], server.To("/token").Select(r => r.Proof!.Nonce));
        server.Clock.Advance(TimeSpan.FromSeconds(60));
        await guard.OpenStream();
        Assert.Equal([null, "n-1", "n-1"], server.To("/token").Select(r => r.Proof!.Nonce));
    }

    [Fact]
    [Trait("Spec", "RFC9449-8.2")]
    public async Task Token_NonceThatComesWithAToken_IsUsedFromThenOn()
    {
        int issued = 0;
        server.Answers["/token"] = _ => Answer.Json($$"""{"access_token":"next-{{++issued}}","token_type":"DPoP","expires_in":60}""") with
        {
            Headers = new() { ["DPoP-Nonce"] = issued < 3 ? $"n-{issued}" : "" },
        };
        for (int i = 0; i < 4; i++)
        {
            await guard.OpenStream();
            server.Clock.Advance(TimeSpan.FromSeconds(60));
        }
        Assert.Equal([null, "n-1", "n-2", "n-2"], server.To("/token").Select(r => r.Proof!.Nonce));
    }

    [Fact]
    [Trait("Spec", "RFC9449-8")]
    public async Task Token_ANewNonceEveryTime_EndsAfterTheSecond()
    {
        int nonce = 0;
        server.Answers["/token"] = _ => Answer.Error(400, "use_dpop_nonce") with { Headers = new() { ["DPoP-Nonce"] = $"n-{++nonce}" } };
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => guard.OpenStream());
        Assert.Equal("use_dpop_nonce", e.Error);
        Assert.Equal(2, server.To("/token").Count());
    }

    [Theory]
    [InlineData("""{"stream":"str_1","stream":"str_2"}""")]
    [InlineData("""[1]""")]
    [InlineData("""null""")]
    [InlineData("""{"stream":5}""")]
    public async Task Call_AnswerThatMakesNoSense_IsAnInvalidResponse(string body)
    {
        server.Answers["/guard/streams"] = _ => Answer.Json(body);
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => guard.OpenStream());
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
    }

    [Fact]
    public async Task Call_AnswerLongerThanTheLimit_IsAnInvalidResponse()
    {
        server.Answers["/guard/streams"] = _ => Answer.Json($"\"{new string('x', 5 * 1024 * 1024)}\"");
        await Assert.ThrowsAsync<HttpRequestException>(() => guard.OpenStream());
    }

    [Fact]
    public async Task Call_NothingListens_IsTriedAgainAndThenSaysSo()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        using var away = new GuardChannel($"http://127.0.0.1:{port}", "grd_1", key, server.Options());
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => away.OpenStream());
        Assert.Equal(HttpRequestError.ConnectionError, e.HttpRequestError);
    }

    [Fact]
    public async Task Call_SilentServer_EndsAfterTheTimeout()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var options = new ConnectionOptions { Timeout = TimeSpan.FromMilliseconds(200) };
        using var silent = new GuardChannel($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}", "grd_1", key, options);
        await Assert.ThrowsAsync<HttpRequestException>(() => silent.OpenStream());
        using var cancelled = new CancellationTokenSource(20);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => silent.OpenStream(cancelled.Token));
    }

    [Fact]
    public void Error_TextFromOutside_IsBoundedAndOnOneLine()
    {
        var e = new OAuthErrorException("invalid_request", new string('x', 5000) + "\r\nforged line", null, 400);
        Assert.InRange(e.Message.Length, 1, 300);
        Assert.DoesNotContain('\n', new OAuthErrorException("a", "b\r\nc", null, 400).Message);
    }

    public void Dispose()
    {
        guard.Dispose();
        key.Dispose();
    }
}
