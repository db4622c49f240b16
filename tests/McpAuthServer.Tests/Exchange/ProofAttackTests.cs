using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Exchange;

/// <summary>Bound tokens at the server's own APIs, presented wrongly.</summary>
public sealed class ProofAttackTests(TestServer server) : IClassFixture<TestServer>
{
    /// <summary>Every endpoint that takes a token.</summary>
    public static TheoryData<string, string> Endpoints => new()
    {
        { "POST", "/tasks" }, { "GET", "/tasks/{task}" }, { "GET", "/tasks/{task}/story" }, { "POST", "/tasks/{task}/complete" }, { "POST", "/tasks/{task}/fail" },
        { "POST", "/tasks/{task}/suspend" }, { "POST", "/tasks/{task}/resume" }, { "POST", "/tasks/{task}/revoke" }, { "DELETE", "/agents/instances/{instance}" },
        { "POST", "/guard/streams" }, { "POST", "/guard/revocations" }, { "POST", "/guard/manifest" }, { "POST", "/guard/audit" }, { "POST", "/guard/budgets" },
        { "POST", "/introspect" },
    };

    [Theory]
    [MemberData(nameof(Endpoints))]
    [Trait("Attack", "110"), Trait("Spec", "RFC9449-7.1")]
    public async Task Api_ProofByAnotherKey_IsRefused(string method, string path)
    {
        using var other = SigningKey.Create();
        await RefusedAsync(method, path, "wrong_key", Names.Errors.InvalidToken, (_, x) => (Proof(other, x), $"DPoP {x.Token}"));
    }

    [Theory]
    [MemberData(nameof(Endpoints))]
    [Trait("Attack", "111"), Trait("Spec", "RFC9449-7.2")]
    public async Task Api_BoundTokenAsBearer_IsRefused(string method, string path) =>
        await RefusedAsync(method, path, Names.Reasons.Malformed, Names.Errors.InvalidToken, (_, x) => (Proof(x.Key, x), $"Bearer {x.Token}"));

    [Theory]
    [MemberData(nameof(Endpoints))]
    [Trait("Attack", "111")]
    public async Task Api_BearerTokenAsBoundOne_IsRefused(string method, string path)
    {
        // A token by scope, bound to nothing, with a proof by anyone.
        var s = await server.ScenarioAsync();
        var bearer = (await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken;
        await RefusedAsync(method, path, "wrong_audience", Names.Errors.InvalidToken, (_, x) => (Proof(x.Key, x with { Token = bearer }), $"DPoP {bearer}"));
    }

    [Theory]
    [MemberData(nameof(Endpoints))]
    [Trait("Attack", "110"), Trait("Spec", "RFC6750-3.1")]
    public async Task Api_TokenOfTheOtherKindOrNone_IsRefused(string method, string path)
    {
        await RefusedAsync(method, path, "wrong_audience", Names.Errors.InvalidToken, (all, x) =>
        {
            var swapped = x with { Token = all.Other, Key = all.OtherKey };
            return (Proof(swapped.Key, swapped), $"DPoP {swapped.Token}");
        });
        await RefusedAsync(method, path, Names.Reasons.Malformed, Names.Errors.InvalidToken, (_, x) => (Proof(x.Key, x), null));
    }

    [Theory]
    [InlineData("/tasks", AuditTypes.TokenRefused)]
    [InlineData("/guard/streams", AuditTypes.GuardRefused)]
    [Trait("Attack", "127"), Trait("Spec", "RFC6750-3.1")]
    public async Task Api_TwoTokens_AreABadRequest(string path, string refused)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Headers.TryAddWithoutValidation("Authorization", ["DPoP one", "DPoP two"]);
        HttpResponseMessage? answer = null;

        await server.RefusedAsync(
            async () => answer = await server.Client().SendAsync(request), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.Malformed, refused, Names.Reasons.Malformed);

        Assert.Equal("DPoP error=\"invalid_request\", algs=\"ES256 RS256\"", Assert.Single(answer!.Headers.WwwAuthenticate).ToString());
    }

    /// <summary>How a proof can be spoilt, and what the event says.</summary>
    public static TheoryData<string, string> Spoilt => new()
    {
        { "none", "wrong_algorithm" }, { "HS256", "wrong_algorithm" }, { "private jwk", "invalid_key" }, { "symmetric jwk", "invalid_key" }, { "no jwk", "invalid_key" },
        { "two headers", "header_count" }, { "two in one header", "header_count" }, { "no header", "header_count" }, { "wrong typ", "wrong_type" },
        { "other method", "htm" }, { "other path", "htu" }, { "other host", "htu" }, { "old", "iat" }, { "future", "iat" }, { "other token", "ath" }, { "no ath", "ath" },
        { "changed payload", "bad_signature" }, { "kid instead of jwk", "invalid_key" }, { "no jwt", "malformed" },
        { "no jti", "missing_claim" }, { "no htm", "missing_claim" }, { "no htu", "missing_claim" }, { "no iat", "missing_claim" },
    };

    [Theory]
    [MemberData(nameof(Spoilt))]
    [Trait("Attack", "107"), Trait("Attack", "112"), Trait("Spec", "RFC9449-4.3")]
    public async Task Api_SpoiltProof_IsRefused(string how, string reason)
    {
        foreach (var path in new[] { "/tasks", "/guard/streams", "/introspect" })
            await RefusedAsync("POST", path, reason, Names.Errors.InvalidDpopProof, (_, x) => (SpoiltProof(how, x.Key, x.Method, x.Path, x.Token, server.Time.GetUtcNow()), $"DPoP {x.Token}"));
    }

    [Theory]
    [MemberData(nameof(Spoilt))]
    [Trait("Attack", "107"), Trait("Attack", "112"), Trait("Spec", "RFC9449-5")]
    public async Task TokenEndpoint_SpoiltProof_IsRefused(string how, string reason)
    {
        // There is no token yet that `ath` could be of; and an absent header is another refusal.
        if (reason == "ath" || how == "no header")
            return;
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        foreach (var path in new[] { Names.Paths.Token, Names.Paths.Instances })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path)
            {
                Content = new FormUrlEncodedContent(
                    path == Names.Paths.Token ? s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" })) : s.Agent.AssertionForm()),
            };
            foreach (var proof in SpoiltProof(how, s.Agent.Key, "POST", path, null, server.Time.GetUtcNow()))
                request.Headers.TryAddWithoutValidation("DPoP", proof);
            await server.RefusedAsync(
                () => server.Client().SendAsync(request), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, reason,
                path == Names.Paths.Token ? AuditTypes.TokenRefused : AuditTypes.InstanceRefused, reason);
        }
    }

    private sealed record Presented(string Method, string Path, string Token, SigningKey Key);

    private sealed record Credentials(string Other, SigningKey OtherKey);

    private async Task RefusedAsync(string method, string path, string recorded, string error, Func<Credentials, Presented, (string[] Proofs, string? Authorization)> present)
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var guard = await TestGuard.OfAsync(s);
        var stream = await guard.OpenStreamAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        path = path.Replace("{task}", task, StringComparison.Ordinal).Replace("{instance}", s.Agent.Instance, StringComparison.Ordinal);
        var isGuards = path.StartsWith("/guard", StringComparison.Ordinal) || path == "/introspect";
        var right = isGuards ? new Presented(method, path, guard.Token, guard.Key) : new Presented(method, path, s.Agent.InstanceToken, s.Agent.Key);
        var (proofs, authorization) = present(isGuards ? new(s.Agent.InstanceToken, s.Agent.Key) : new(guard.Token, guard.Key), right);

        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = Body(s, path, stream.Stream) };
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        foreach (var proof in proofs)
            request.Headers.TryAddWithoutValidation("DPoP", proof);
        HttpResponseMessage? answer = null;
        await server.RefusedAsync(
            async () => answer = await server.Client().SendAsync(request), HttpStatusCode.Unauthorized, error, recorded, isGuards ? AuditTypes.GuardRefused : AuditTypes.TokenRefused, recorded);
        // RFC 9449 §7.1: the challenge names the scheme.
        var challenge = Assert.Single(answer!.Headers.WwwAuthenticate);
        Assert.Equal("DPoP", challenge.Scheme);
        // RFC 6750 §3.1: who sent no token, or by another scheme, is told of no error.
        var told = authorization?.StartsWith("DPoP ", StringComparison.Ordinal) == true ? $"error=\"{error}\", " : "";
        Assert.Equal($"{told}algs=\"ES256 RS256\"", challenge.Parameter);

        // The same call, presented rightly, is let in.
        using var good = new HttpRequestMessage(new HttpMethod(method), path) { Content = Body(s, path, stream.Stream) };
        good.Headers.Authorization = new AuthenticationHeaderValue("DPoP", right.Token);
        good.Headers.Add("DPoP", Proof(right.Key, right)[0]);
        var let = await server.Client().SendAsync(good);
        Assert.True(let.IsSuccessStatusCode || path.EndsWith("/revoke", StringComparison.Ordinal), await let.Content.ReadAsStringAsync());
    }

    private HttpContent? Body(Scenario s, string path, string stream) => path switch
    {
        "/tasks" => JsonContent.Create(new JsonObject { ["purpose"] = "p", ["authorization_details"] = s.Details(["read_file"]) }),
        "/guard/revocations" => JsonContent.Create(new JsonObject { ["stream"] = stream, ["after"] = 0, ["returnImmediately"] = true }),
        "/guard/manifest" => JsonContent.Create(new JsonObject { ["tools"] = new JsonArray() }),
        "/guard/budgets" => JsonContent.Create(new JsonObject { ["jti"] = "at_unknown", ["tool"] = "read_file" }),
        "/guard/audit" => JsonContent.Create(new JsonObject
        {
            ["entries"] = new JsonArray(new JsonObject
            {
                ["seq"] = 1, ["prev"] = "", ["event"] = new JsonObject { ["id"] = "evt_x", ["time"] = server.Time.GetUtcNow().ToUnixTimeMilliseconds(), ["type"] = "x", ["outcome"] = "allow" },
            }),
        }),
        "/introspect" => new FormUrlEncodedContent([KeyValuePair.Create("token", "x")]),
        _ => null,
    };

    private string[] Proof(SigningKey key, Presented x) => [DpopProof.Create(key, x.Method, new Uri(TestServer.Issuer + x.Path), x.Token, server.Time.GetUtcNow())];

    private static string[] SpoiltProof(string how, SigningKey key, string method, string path, string? token, DateTimeOffset now)
    {
        string Good(string? m = null, string? address = null, string? of = null, DateTimeOffset? at = null) =>
            DpopProof.Create(key, m ?? method, new Uri(address ?? TestServer.Issuer + path), of ?? token, at ?? now);
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
        string Signed(Action<JsonObject>? header = null, Action<JsonObject>? claims = null) =>
            TokenText.Forge(Good(), header, claims, input => ecdsa.SignData(input, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        return how switch
        {
            "none" => [TokenText.Forge(Good(), h => h["alg"] = "none", null, _ => [])],
            "HS256" => [TokenText.Forge(Good(), h => h["alg"] = "HS256", null, input => HMACSHA256.HashData("secret"u8, input))],
            "private jwk" => [Signed(h => h["jwk"]!["d"] = Base64Url.Encode(ecdsa.ExportParameters(true).D!))],
            "symmetric jwk" => [Signed(h => h["jwk"] = new JsonObject { ["kty"] = "oct", ["k"] = Base64Url.Encode("0123456789abcdef0123456789abcdef"u8) })],
            "no jwk" => [Signed(h => h.Remove("jwk"))],
            "kid instead of jwk" => [Signed(h =>
            {
                h.Remove("jwk");
                h["kid"] = key.KeyId;
            })],
            "two headers" => [Good(), Good()],
            "two in one header" => [$"{Good()}, {Good()}"],
            "no header" => [],
            "wrong typ" => [Signed(h => h["typ"] = "JWT")],
            "other method" => [Good(m: method == "PUT" ? "POST" : "PUT")],
            "other path" => [Good(address: TestServer.Issuer + path + "/")],
            "other host" => [Good(address: "https://elsewhere.test" + path)],
            "old" => [Good(at: now.AddSeconds(-61))],
            "future" => [Good(at: now.AddSeconds(61))],
            "other token" => [Good(of: "another")],
            "no ath" => [DpopProof.Create(key, method, new Uri(TestServer.Issuer + path), null, now)],
            "no jwt" => [Good() + ".x"],
            "no jti" or "no htm" or "no htu" or "no iat" => [Signed(claims: c => c.Remove(how[3..]))],
            "changed payload" => [TokenText.Forge(Good(), null, c => c["jti"] = "changed")],
            _ => throw new ArgumentOutOfRangeException(nameof(how)),
        };
    }
}
