using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpGuard.Sdk.Tests;

/// <summary>Which tokens open the door (RFC 9068 §4, RFC 6750).</summary>
public sealed class TokenTests(GuardFixture fixture) : IClassFixture<GuardFixture>
{
    private FakeAuthorizationServer Server => fixture.Server;
    private ToolHost Host => fixture.Host;

    [Fact]
    [Trait("Spec", "RFC9068-4")]
    public async Task Token_Right_RunsTheTool()
    {
        Answer answer = await Host.CallTool("echo", """{"text":"right"}""", Server.Token());
        Assert.Equal(200, answer.Status);
        Assert.Equal("right", answer.Text);
        Assert.Contains("echo right", Host.Runs.All);
    }

    [Theory]
    [Trait("Attack", "121")]
    [Trait("Spec", "RFC8707-2")]
    [InlineData("/")]
    [InlineData("x")]
    [InlineData("?a")]
    [InlineData(null)]
    public async Task Audience_OtherThanTheResourceExactly_IsRefused(string? suffix) =>
        await Refused(Server.Token(new() { Aud = suffix is null ? Host.Url("/") : Host.Resource + suffix }), "wrong_audience");

    [Fact]
    [Trait("Attack", "121")]
    public async Task Audience_TheResourceAmongOthers_IsRefused() =>
        await Refused(Server.Token(new() { Audiences = [Host.Resource, "https://other.example"] }), "wrong_audience");

    [Fact]
    [Trait("Attack", "121")]
    public async Task Issuer_WithATrailingSlash_IsRefused() => await Refused(Server.Token(new() { Iss = Server.Issuer + "/" }), "foreign_issuer");

    [Theory]
    [Trait("Attack", "123")]
    [Trait("Spec", "RFC8725-3.11")]
    [InlineData("JWT")]
    [InlineData("dpop+jwt")]
    [InlineData("client-authentication+jwt")]
    [InlineData("secevent+jwt")]
    public async Task Type_OtherThanAccessToken_IsRefused(string type) => await Refused(Server.Token(new() { Typ = type }), "wrong_type");

    [Theory]
    [Trait("Spec", "RFC9068-4")]
    [InlineData("application/at+jwt")]
    [InlineData("application/AT+JWT")]
    public async Task Type_AsAWholeMediaType_IsTheSame(string type) =>
        Assert.Equal("typed", (await Host.CallTool("echo", """{"text":"typed"}""", Server.Token(new() { Typ = type }))).Text);

    [Theory]
    [Trait("Spec", "RFC9068-2.2")]
    [Trait("Spec", "RFC9068-4")]
    [InlineData("iss", "foreign_issuer")]
    [InlineData("aud", "wrong_audience")]
    [InlineData("exp", "invalid_claims")]
    [InlineData("iat", "invalid_claims")]
    [InlineData("sub", "invalid_claims")]
    [InlineData("client_id", "invalid_claims")]
    [InlineData("jti", "invalid_claims")]
    public async Task Claim_ThatEveryTokenHas_Missing_IsRefused(string claim, string reason)
    {
        Assert.True(Base64Url.TryDecode(Server.Token().Split('.')[1], out byte[]? payload));
        await Refused(Server.Key.Sign("at+jwt", w =>
        {
            foreach (JsonProperty member in JsonElement.Parse(payload).EnumerateObject().Where(m => m.Name != claim)) member.WriteTo(w);
        }), reason);
    }

    [Fact]
    [Trait("Spec", "RFC9068-2.1")]
    public async Task Algorithm_RS256_IsAmongThoseThatEveryResourceServerTakes()
    {
        await using FakeAuthorizationServer server = await FakeAuthorizationServer.StartAsync();
        server.Key = SigningKey.Create("RS256");
        server.Approve("echo", "read");
        await using ToolHost host = await ToolHost.StartAsync(server);
        Assert.Equal("rsa", (await host.CallTool("echo", """{"text":"rsa"}""", server.Token())).Text);
    }

    [Theory]
    [Trait("Attack", "124")]
    [Trait("Spec", "RFC8725-3.1")]
    [InlineData("none")]
    [InlineData("nOnE")]
    [InlineData("HS256")]
    [InlineData("ES384")]
    [InlineData("RS256")]
    public async Task Algorithm_OtherThanTheKeys_IsRefused(string algorithm)
    {
        string[] parts = Server.Token().Split('.');
        string header = Base64Url.Encode(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new { typ = "at+jwt", alg = algorithm, kid = Server.Key.KeyId })));
        await Refused($"{header}.{parts[1]}.{(algorithm.Equals("none", StringComparison.OrdinalIgnoreCase) ? "" : parts[2])}");
    }

    [Fact]
    [Trait("Attack", "124")]
    public async Task Signature_OfAnotherKeyUnderOurKeyId_IsRefused()
    {
        using var other = SigningKey.Create();
        string[] forged = Server.Token(new() { By = other }).Split('.');
        string header = Server.Token().Split('.')[0];
        await Refused($"{header}.{forged[1]}.{forged[2]}", "bad_signature");
    }

    [Fact]
    [Trait("Spec", "RFC9068-4")]
    public async Task Expired_BeyondTheSkew_IsRefused() =>
        await Refused(Server.Token(new() { IssuedAt = DateTimeOffset.UtcNow.AddMinutes(-6), Expires = DateTimeOffset.UtcNow.AddSeconds(-31) }), "expired");

    [Fact]
    public async Task Expired_AfterItWasCached_IsRefused()
    {
        string token = Server.Token(new() { IssuedAt = DateTimeOffset.UtcNow.AddMinutes(-5), Expires = DateTimeOffset.UtcNow.AddSeconds(-23) });
        Assert.Equal(200, (await Host.CallTool("echo", """{"text":"a"}""", token)).Status);
        await Task.Delay(TimeSpan.FromSeconds(8.5));
        await Refused(token, "expired");
    }

    [Fact]
    public async Task Lifetime_BeyondFiveMinutes_IsRefused() =>
        await Refused(Server.Token(new() { Expires = DateTimeOffset.UtcNow.AddHours(1) }), "invalid_claims");

    [Fact]
    [Trait("Attack", "127")]
    [Trait("Spec", "RFC6750-2")]
    public async Task Token_InTheQuery_IsABadRequest()
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"q"}"""), Server.Token());
        request.RequestUri = new Uri(Host.Resource + "?access_token=" + Server.Token());
        Assert.Equal(400, (await Host.Send(request)).Status);
    }

    [Fact]
    [Trait("Attack", "127")]
    [Trait("Spec", "RFC6750-3.1")]
    public async Task Authorization_Twice_IsABadRequest()
    {
        int before = Host.Runs.All.Count;
        Assert.Equal("HTTP/1.1 400 Bad Request", await Host.Raw(Server.Token(), $"Authorization: Bearer {Server.Token()}\r\n"));
        // What a proxy joined to one field is no token.
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"q"}"""), Server.Token());
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + Server.Token());
        Assert.Equal(401, (await Host.Send(request)).Status);
        Assert.Equal(before, Host.Runs.All.Count);
        Assert.Equal("HTTP/1.1 200 OK", await Host.Raw(Server.Token(), ""));
    }

    [Fact]
    [Trait("Spec", "RFC9728-5.1")]
    public async Task NoToken_IsChallengedWithTheMetadataAndNoError()
    {
        Answer answer = await Host.CallTool("echo", "{}", null);
        Assert.Equal(401, answer.Status);
        Assert.Equal($"Bearer resource_metadata=\"{Host.Url("/.well-known/oauth-protected-resource/mcp")}\", scope=\"tools:read\"", answer.Challenge);
    }

    [Theory]
    [Trait("Spec", "RFC6750-3")]
    [InlineData("nothing", 401, "Bearer")]
    [InlineData("another scheme", 401, "Bearer")]
    [InlineData("no token", 401, "Bearer")]
    [InlineData("garbage", 401, "Bearer")]
    [InlineData("bound", 401, "DPoP")]
    [InlineData("query", 400, "Bearer")]
    [InlineData("step up", 403, "Bearer")]
    public async Task Challenge_OfEveryRefusal_HasEachAttributeOnceAndOnlyCharactersItMayHave(string what, int status, string scheme)
    {
        using var key = SigningKey.Create();
        string? token = what switch
        {
            "nothing" or "another scheme" => null,
            "no token" => "\"\\",
            "garbage" => "garbage",
            "bound" => Server.Token(new() { Jkt = key.Public.Thumbprint }),
            _ => Server.Token(new() { StepUp = true, Scope = "tools:read" }),
        };
        using HttpRequestMessage request = Host.Request(ToolHost.Call("refund", """{"order_id":"c"}"""), null);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "refund");
        if (token is not null || what == "another scheme") request.Headers.TryAddWithoutValidation("Authorization", token is null ? "Basic YTpi" : "Bearer " + token);
        if (what == "query") request.RequestUri = new Uri(Host.Resource + "?access_token=" + token);

        Answer answer = await Host.Send(request);

        Assert.Equal(status, answer.Status);
        string[] parts = answer.Challenge.Split(' ', 2);
        Assert.Equal((scheme, 2), (parts[0], parts.Length));
        MatchCollection attributes = Regex.Matches(parts[1], @"(?:^|, )([a-z_]+)=""([\x20\x21\x23-\x5b\x5d-\x7e]*)""");
        Assert.Equal(parts[1].Length, attributes.Sum(a => a.Length));
        Assert.Equal(attributes.Count, attributes.Select(a => a.Groups[1].Value).Distinct().Count());
        Assert.Contains(attributes, a => a.Groups[1].Value == "resource_metadata");
    }

    [Theory]
    [Trait("Attack", "111")]
    [Trait("Spec", "RFC9449-7.2")]
    [InlineData("Bearer", true)]
    [InlineData("DPoP", false)]
    public async Task Scheme_NotTheTokensOwn_IsRefused(string scheme, bool bound)
    {
        using var key = SigningKey.Create();
        string token = Server.Token(new() { Jkt = bound ? key.Public.Thumbprint : null });
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"s"}"""), token, scheme: scheme);
        Prove(request, key, token);
        Assert.Equal(401, (await Host.Send(request)).Status);
    }

    [Fact]
    [Trait("Spec", "RFC9449-7.1")]
    public async Task BoundToken_WithItsProof_Runs()
    {
        using var key = SigningKey.Create();
        string token = Server.Token(new() { Jkt = key.Public.Thumbprint });
        Answer answer = await Bound(token, key);
        Assert.Equal("bound", answer.Text);
    }

    [Fact]
    [Trait("Attack", "108")]
    [Trait("Spec", "RFC9449-11.1")]
    public async Task Proof_UsedTwice_IsRefused()
    {
        using var key = SigningKey.Create();
        string token = Server.Token(new() { Jkt = key.Public.Thumbprint });
        string proof = DpopProof.Create(key, "POST", new Uri(Host.Resource), token, DateTimeOffset.UtcNow.AddSeconds(30));
        Assert.Equal(200, (await Bound(token, key, proof)).Status);
        Answer again = await Bound(token, key, proof);
        Assert.Equal(401, again.Status);
        Assert.StartsWith("DPoP error=\"invalid_dpop_proof\"", again.Challenge, StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Attack", "107")]
    [Trait("Spec", "RFC9449-4.3")]
    [InlineData("key")]
    [InlineData("ath")]
    [InlineData("htu")]
    [InlineData("htm")]
    [InlineData("iat")]
    [InlineData("none")]
    [InlineData("two")]
    public async Task Proof_NotForThisRequest_IsRefused(string broken)
    {
        using var key = SigningKey.Create();
        using var other = SigningKey.Create();
        string token = Server.Token(new() { Jkt = key.Public.Thumbprint });
        string Make(string? what) => DpopProof.Create(
            what == "key" ? other : key, what == "htm" ? "GET" : "POST", new Uri(what == "htu" ? Host.Url("/other") : Host.Resource),
            what == "ath" ? Server.Token() : token, DateTimeOffset.UtcNow.AddSeconds(what == "iat" ? -90 : 5));
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"p"}"""), token, scheme: "DPoP");
        if (broken != "none") request.Headers.TryAddWithoutValidation("DPoP", Make(broken));
        if (broken == "two") request.Headers.TryAddWithoutValidation("DPoP", Make(null));
        Answer answer = await Host.Send(request);
        Assert.Equal(401, answer.Status);
        Assert.Contains("invalid_dpop_proof", answer.Challenge, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC9449-9")]
    public async Task Proof_OlderThanTheProcess_NeedsANonceAndThenRuns()
    {
        using var key = SigningKey.Create();
        await using FakeAuthorizationServer server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        await using ToolHost fresh = await ToolHost.StartAsync(server);
        string token = server.Token(new() { Jkt = key.Public.Thumbprint });
        string Proof(string? nonce) => DpopProof.Create(key, "POST", new Uri(fresh.Resource), token, DateTimeOffset.UtcNow.AddSeconds(-40), nonce);
        using HttpRequestMessage first = Called(fresh, token, Proof(null));
        using HttpResponseMessage asked = await fresh.Http.SendAsync(first);
        Assert.Equal(401, (int)asked.StatusCode);
        Assert.Contains("use_dpop_nonce", asked.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        using HttpRequestMessage second = Called(fresh, token, Proof(asked.Headers.GetValues("DPoP-Nonce").Single()));
        Assert.Equal("bound", (await fresh.Send(second)).Text);
    }

    private static HttpRequestMessage Called(ToolHost host, string token, string proof)
    {
        HttpRequestMessage request = host.Request(ToolHost.Call("echo", """{"text":"bound"}"""), token, scheme: "DPoP");
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "echo");
        request.Headers.Add("DPoP", proof);
        return request;
    }

    private async Task<Answer> Bound(string token, SigningKey key, string? proof = null)
    {
        using HttpRequestMessage request = Called(Host, token, proof ?? DpopProof.Create(key, "POST", new Uri(Host.Resource), token, DateTimeOffset.UtcNow.AddSeconds(30)));
        return await Host.Send(request);
    }

    private void Prove(HttpRequestMessage request, SigningKey key, string token) =>
        request.Headers.Add("DPoP", DpopProof.Create(key, "POST", new Uri(Host.Resource), token, DateTimeOffset.UtcNow.AddSeconds(30)));

    private async Task Refused(string token, string? reason = null)
    {
        int before = Host.Runs.All.Count(r => r == "echo refused");
        Answer answer = await Host.CallTool("echo", """{"text":"refused"}""", token);
        Assert.Equal(401, answer.Status);
        Assert.StartsWith("Bearer error=\"invalid_token\", resource_metadata=", answer.Challenge, StringComparison.Ordinal);
        Assert.Equal(before, Host.Runs.All.Count(r => r == "echo refused"));
        if (reason is not null) await Server.Event(e => e.Type == "call.refused" && e.Reason == reason);
    }
}
