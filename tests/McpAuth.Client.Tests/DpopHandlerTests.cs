using System.Net;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client.Tests;

public sealed class DpopHandlerTests : IClassFixture<FakeServer>, IDisposable
{
    private readonly FakeServer server;
    private readonly SigningKey key = SigningKey.Create();
    private readonly Queue<string> tokens = new(["t-1", "t-2", "t-3"]);
    private readonly List<string> refused = [];
    private readonly HttpClient http;

    public DpopHandlerTests(FakeServer server)
    {
        this.server = server;
        server.Reset();
        server.Answers["/mcp"] = _ => Answer.Json("{}");
        string? current = null;
        http = new HttpClient(new DpopHandler(
            key, new Uri(server.Issuer + "/mcp"),
            _ => new(new AccessToken(current ??= tokens.Dequeue(), server.Clock.GetUtcNow(), server.Clock.GetUtcNow().AddMinutes(5), null)),
            token => { refused.Add(token.Value); current = null; }, time: server.Clock));
    }

    [Fact]
    [Trait("Spec", "RFC9449-7.1")]
    public async Task Request_ToTheResource_CarriesTokenAndAFreshProofOfItEachTime()
    {
        await Post();
        await Post();
        Received[] sent = [.. server.To("/mcp")];
        Assert.All(sent, r => Assert.Equal("DPoP t-1", r.Authorization));
        // The fake has checked htm, htu and ath, and that no jti came twice.
        Assert.All(sent, r => Assert.Equal(key.Public.Thumbprint, r.Proof!.Thumbprint));
        Assert.All(sent, r => Assert.Equal("""{"a":1}""", r.Body));
    }

    [Theory]
    [InlineData("http://files.example/mcp")]
    [InlineData("http://127.0.0.1.example/mcp")]
    [InlineData("ftp://files.example/mcp")]
    [Trait("Spec", "RFC6750-5.3")]
    public void Resource_WithoutTls_GetsNoToken(string resource) => Assert.Throws<ArgumentException>(() => new DpopHandler(
        key, new Uri(resource), _ => new(new AccessToken("t", server.Clock.GetUtcNow(), server.Clock.GetUtcNow().AddMinutes(5), null)), inner: new SocketsHttpHandler()));

    [Fact]
    [Trait("Spec", "RFC6750-5.2")]
    public async Task Resource_CertificateThatNobodyVouchesFor_IsToldNothing()
    {
        await using UnknownServer unknown = await UnknownServer.StartAsync();
        var resource = new Uri(unknown.Address + "/mcp");
        using var stranger = new HttpClient(new DpopHandler(
            key, resource, _ => new(new AccessToken("t", server.Clock.GetUtcNow(), server.Clock.GetUtcNow().AddMinutes(5), null)), time: server.Clock));

        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => stranger.PostAsync(resource, new StringContent("{}")));

        Assert.Equal((HttpRequestError.SecureConnectionError, 0), (e.HttpRequestError, unknown.Asked));
    }

    [Fact]
    public async Task Request_ToAnotherOrigin_CarriesNeither()
    {
        await http.PostAsync(new Uri(server.Issuer.Replace("127.0.0.1", "localhost", StringComparison.Ordinal) + "/mcp"), new StringContent("{}"));
        Received sent = server.To("/mcp").Single();
        Assert.Null(sent.Authorization);
        Assert.Empty(sent.Proofs);
    }

    [Fact]
    public async Task Refusal_InvalidToken_IsHandedBackWithoutALoopAndTheTokenIsNotOfferedAgain()
    {
        server.Answers["/mcp"] = r => r.Authorization == "DPoP t-1"
            ? new Answer(401, null) { Headers = { ["WWW-Authenticate"] = "DPoP error=\"invalid_token\", resource_metadata=\"https://x/\"" } } : Answer.Json("{}");
        Assert.Equal(HttpStatusCode.Unauthorized, (await Post()).StatusCode);
        Assert.Single(server.To("/mcp"));
        Assert.Equal(["t-1"], refused);
        Assert.Equal(HttpStatusCode.OK, (await Post()).StatusCode);
        Assert.Equal("DPoP t-2", server.To("/mcp").Last().Authorization);
    }

    [Fact]
    [Trait("Spec", "RFC9449-9")]
    public async Task Refusal_NonceAsked_IsAnsweredOnceWithTheSameBody()
    {
        server.Answers["/mcp"] = r => r.Proof!.Nonce == "n-1" ? Answer.Json("{}")
            : new Answer(401, null) { Headers = { ["WWW-Authenticate"] = "DPoP error=\"use_dpop_nonce\"", ["DPoP-Nonce"] = "n-1" } };
        Assert.Equal(HttpStatusCode.OK, (await Post()).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await Post()).StatusCode);
        Assert.Equal([null, "n-1", "n-1"], server.To("/mcp").Select(r => r.Proof!.Nonce));
        Assert.All(server.To("/mcp"), r => Assert.Equal("""{"a":1}""", r.Body));
        Assert.Empty(refused);
    }

    [Fact]
    [Trait("Spec", "RFC9449-9")]
    public async Task Refusal_ANewNonceEveryTime_EndsAfterTheSecond()
    {
        int nonce = 0;
        server.Answers["/mcp"] = _ => new Answer(401, null) { Headers = { ["WWW-Authenticate"] = "DPoP error=\"use_dpop_nonce\"", ["DPoP-Nonce"] = $"n-{++nonce}" } };
        Assert.Equal(HttpStatusCode.Unauthorized, (await Post()).StatusCode);
        Assert.Equal(2, server.To("/mcp").Count());
    }

    [Fact]
    public async Task Redirect_IsNotFollowed()
    {
        server.Answers["/mcp"] = _ => new Answer(307, null) { Headers = { ["Location"] = "/elsewhere" } };
        Assert.Equal(HttpStatusCode.TemporaryRedirect, (await Post()).StatusCode);
        Assert.Empty(server.To("/elsewhere"));
    }

    [Fact]
    public void Resource_WithoutTls_IsRefused() =>
        Assert.Throws<ArgumentException>(() => new DpopHandler(key, new Uri("http://files.example/mcp"), _ => throw new InvalidOperationException()));

    // A body that can be read only once, as a serializer writes it.
    private Task<HttpResponseMessage> Post() =>
        http.PostAsync(new Uri(server.Issuer + "/mcp"), new StreamContent(new OnceReadable("""{"a":1}"""u8.ToArray())) { Headers = { ContentType = new("application/json") } });

    private sealed class OnceReadable(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }

    public void Dispose()
    {
        http.Dispose();
        key.Dispose();
    }
}
