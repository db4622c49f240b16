using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Jose;

namespace McpAuth.Protocol.Tests.Jose;

public sealed class DpopProofTests : IDisposable
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_795_345_200);
    private static readonly Uri Endpoint = new("https://auth.example/token");
    private readonly SigningKey key = SigningKey.Create();

    public void Dispose() => key.Dispose();

    /// <summary>A right proof but for one change to its header or claims, signed again.</summary>
    private string Changed(Action<JsonObject>? header = null, Action<JsonObject>? claims = null)
    {
        var h = new JsonObject { ["typ"] = "dpop+jwt", ["alg"] = "ES256", ["jwk"] = Jwk(key) };
        var c = new JsonObject { ["jti"] = "j-1", ["htm"] = "POST", ["htu"] = Endpoint.OriginalString, ["iat"] = Now.ToUnixTimeSeconds(), ["ath"] = Base64Url.Sha256("token") };
        header?.Invoke(h);
        claims?.Invoke(c);
        return Forge.Es256(key, h.ToJsonString(), c.ToJsonString());
    }

    private static JsonNode Jwk(SigningKey key) => JsonNode.Parse(key.Public.Jwk.GetRawText())!;

    private static string? Code(params string?[] headers) => DpopProof.Read(headers, "POST", Endpoint, "token", Now).Fault?.Code;

    [Theory, InlineData("ES256"), InlineData("RS256"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_MadeByCreate_IsRead(string algorithm)
    {
        using var made = SigningKey.Create(algorithm);
        var proof = DpopProof.Read([DpopProof.Create(made, "POST", new Uri(Endpoint, "?a=b#c"), "token", Now, "nonce-1")], "POST", Endpoint, "token", Now).Value;
        Assert.Equal((made.Public.Thumbprint, "nonce-1", Now), (proof.Thumbprint, proof.Nonce, proof.IssuedAt));
        Assert.Equal(16, Base64Url.TryDecode(proof.Jti, out var random) ? random.Length : 0);
        Assert.Null(DpopProof.Read([DpopProof.Create(made, "GET", Endpoint, null, Now)], "GET", Endpoint, null, Now).Value.Nonce);
    }

    // The proof of RFC 9449 §4.1, Figure 1, byte for byte, and the thumbprint of its key in §6.1.
    [Fact, Trait("Spec", "RFC9449-4.1")]
    public void DpopProof_OfTheStandard_IsRead()
    {
        const string proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
            + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ"
            + ".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
        var read = DpopProof.Read([proof], "POST", new Uri("https://server.example.com/token"), null, DateTimeOffset.FromUnixTimeSeconds(1_562_262_616)).Value;
        Assert.Equal(("-BwC3ESc6acc2lTc", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"), (read.Jti, read.Thumbprint));
    }

    [Fact, Trait("Attack", "112"), Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_NotExactlyOneHeader_IsRefused()
    {
        var proof = Changed();
        Assert.Null(Code(proof));
        Assert.Equal("header_count", Code());
        Assert.Equal("header_count", Code(proof, proof));
        Assert.Equal("header_count", Code(proof, null));
        Assert.Equal("header_count", Code([null]));
        Assert.Equal("header_count", Code(""));
        Assert.Equal("header_count", Code(proof + "," + proof));
        Assert.Equal("header_count", Code(proof + ", " + proof));
    }

    [Fact, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_NotAWellFormedJwt_IsRefused()
    {
        Assert.Equal("malformed", Code("x"));
        Assert.Equal("malformed", Code(Changed() + ".x"));
        Assert.Equal("malformed", Code(Changed() + "="));
        Assert.Equal("malformed", Code(Changed(h => h["crit"] = new JsonArray("jwk"))));
        Assert.Equal("malformed", Code(Changed(h => h["jku"] = "http://127.0.0.1:9/")));
        Assert.Equal("malformed", Code(Changed(h => h["x5c"] = new JsonArray("MIIB"))));
        Assert.Equal("malformed", Code(Forge.Es256(key, $"{{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"alg\":\"ES256\",\"jwk\":{key.Public.Jwk}}}", "{}")));
        Assert.Equal("malformed", Code(Forge.Es256(key, $"{{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{key.Public.Jwk}}}", "[]")));
    }

    [Theory, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    [InlineData("JWT"), InlineData("at+jwt"), InlineData("dpop"), InlineData(null)]
    public void DpopProof_OfAnotherType_IsRefused(string? typ) => Assert.Equal("wrong_type", Code(Changed(h => { if (typ is null) h.Remove("typ"); else h["typ"] = typ; })));

    [Theory, Trait("Attack", "112"), Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    [InlineData("none"), InlineData("HS256"), InlineData("ES512"), InlineData("")]
    public void DpopProof_WithAnAlgorithmNotInUse_IsRefused(string alg) => Assert.Equal("wrong_algorithm", Code(Changed(h => h["alg"] = alg)));

    [Fact, Trait("Attack", "112"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_HmacUnderTheEmbeddedKey_IsRefused()
    {
        var secret = RandomNumberGenerator.GetBytes(32);
        var header = new JsonObject { ["typ"] = "dpop+jwt", ["alg"] = "HS256", ["jwk"] = new JsonObject { ["kty"] = "oct", ["k"] = Base64Url.Encode(secret) } };
        Assert.Equal("wrong_algorithm", Code(Forge.Signed(header.ToJsonString(), "{}", i => HMACSHA256.HashData(secret, i))));
        header["alg"] = "ES256";
        Assert.Equal("invalid_key", Code(Forge.Signed(header.ToJsonString(), "{}", i => HMACSHA256.HashData(secret, i))));
    }

    [Fact, Trait("Attack", "112"), Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_KeyThatIsNotAPublicKey_IsRefused()
    {
        using var platform = ECDsa.Create();
        platform.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
        Assert.Equal("invalid_key", Code(Changed(h => h["jwk"]!["d"] = Base64Url.Encode(platform.ExportParameters(true).D))));
        Assert.Equal("invalid_key", Code(Changed(h => h.Remove("jwk"))));
        Assert.Equal("invalid_key", Code(Changed(h => h["jwk"] = null)));
        Assert.Equal("invalid_key", Code(Changed(h => h["jwk"] = "EC")));
        Assert.Equal("invalid_key", Code(Changed(h => h["jwk"]!["y"] = h["jwk"]!["x"]!.GetValue<string>())));
        Assert.Equal("invalid_key", Code(Changed(h => h["jwk"]!["alg"] = "RS256")));
    }

    [Fact, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_SignedByAnotherKey_IsRefusedAlsoWhenTheKeyIsKnown()
    {
        using var other = SigningKey.Create();
        Assert.Equal("bad_signature", Code(Changed(h => h["jwk"] = Jwk(other))));
        Assert.Null(Code(Changed()));
        for (var i = 0; i < 2; i++)
            Assert.Equal("bad_signature", Code(Forge.WithPart(Changed(), 2, s => { s[5] ^= 1; return s; })));
        Assert.Equal("bad_signature", Code(Forge.WithPart(Changed(), 2, _ => new byte[64])));
        Assert.Null(Code(Changed()));
    }

    [Theory, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.2")]
    [InlineData("jti"), InlineData("htm"), InlineData("htu"), InlineData("iat")]
    public void DpopProof_WithoutARequiredClaim_IsRefused(string claim)
    {
        var removed = DpopProof.Read([Changed(claims: c => c.Remove(claim))], "POST", Endpoint, "token", Now).Fault;
        Assert.Equal(("missing_claim", claim), (removed?.Code, removed?.Path));
        Assert.Equal("missing_claim", Code(Changed(claims: c => c[claim] = new JsonArray())));
        Assert.Equal("missing_claim", Code(Changed(claims: c => c[claim] = null)));
    }

    [Fact, Trait("Attack", "107")]
    public void DpopProof_JtiThatCannotBeRemembered_IsRefused()
    {
        Assert.Equal("missing_claim", Code(Changed(claims: c => c["jti"] = "")));
        Assert.Equal("missing_claim", Code(Changed(claims: c => c["jti"] = new string('j', 257))));
        Assert.Null(Code(Changed(claims: c => c["jti"] = new string('j', 256))));
    }

    [Theory, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    [InlineData("GET"), InlineData("post"), InlineData(""), InlineData("POST ")]
    public void DpopProof_ForAnotherMethod_IsRefused(string method) => Assert.Equal("htm", Code(Changed(claims: c => c["htm"] = method)));

    [Theory, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    [InlineData("https://evil.example/token"), InlineData("http://auth.example/token"), InlineData("https://auth.example/Token"), InlineData("https://auth.example/token/"), InlineData("https://auth.example:444/token"), InlineData("https://auth.example/")]
    [InlineData("https://auth.example.evil.example/token"), InlineData("https://u@auth.example/token"), InlineData("https://auth.example\\token"), InlineData("https://auth.example/\\token"), InlineData(" https://auth.example/token"), InlineData("https://auth.example/token\n")]
    [InlineData("/token"), InlineData(""), InlineData("https:/auth.example/token"), InlineData("https:auth.example/token"), InlineData("//auth.example/token"), InlineData("https://auth.example/%2Ftoken"), InlineData("https://auth.example/tok%C3%A9n"), InlineData("https://auth.example./token")]
    public void DpopProof_ForAnotherAddress_IsRefused(string htu) => Assert.Equal("htu", Code(Changed(claims: c => c["htu"] = htu)));

    [Theory, Trait("Spec", "RFC9449-4.3")]
    [InlineData("https://auth.example/token", "HTTPS://AUTH.example/token"), InlineData("https://auth.example/token", "https://auth.example:443/token"), InlineData("https://auth.example:443/token", "https://auth.example/token")]
    [InlineData("https://auth.example/token", "https://auth.example/./a/../token"), InlineData("https://auth.example/token", "https://auth.example/%74oken"), InlineData("https://auth.example/token", "https://auth.example/token?a=b"), InlineData("https://auth.example/token", "https://auth.example/token#f")]
    [InlineData("https://files.example", "https://files.example/"), InlineData("https://files.example/", "https://files.example"), InlineData("http://127.0.0.1:80/mcp", "http://127.0.0.1/mcp"), InlineData("https://files.example/a%2fb", "https://files.example/a%2Fb"), InlineData("https://files.example/mcp?x=1", "https://files.example/mcp")]
    [InlineData("https://files.example/a~b", "https://files.example/a%7eb")]
    public void DpopProof_SameAddressInAnotherSpelling_IsAccepted(string endpoint, string htu) =>
        Assert.Null(DpopProof.Read([Changed(claims: c => c["htu"] = htu)], "POST", new Uri(endpoint), "token", Now).Fault);

    [Fact]
    [Trait("Spec", "RFC8705-5")]
    public void DpopProof_ForTheEndpointsOtherAddress_IsAcceptedAndForAThirdNot()
    {
        var alias = new Uri("https://mtls.example/token");

        Assert.Null(DpopProof.Read([Changed(claims: c => c["htu"] = alias.OriginalString)], "POST", Endpoint, "token", Now, alias).Fault);
        Assert.Null(DpopProof.Read([Changed()], "POST", Endpoint, "token", Now, alias).Fault);
        Assert.Equal("htu", DpopProof.Read([Changed(claims: c => c["htu"] = "https://mtls.example/par")], "POST", Endpoint, "token", Now, alias).Fault!.Code);
    }

    [Theory, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3"), Trait("Spec", "RFC9449-11.1")]
    [InlineData(60, null), InlineData(-60, null), InlineData(61, "iat"), InlineData(-61, "iat"), InlineData(60.5, "iat"), InlineData(-1e9, "iat"), InlineData(5e8, "iat")]
    public void DpopProof_Age_IsAMinuteEitherWay(double seconds, string? code) =>
        Assert.Equal(code, Code(Changed(claims: c => c["iat"] = Now.ToUnixTimeSeconds() + seconds)));

    [Fact, Trait("Attack", "107"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_ForAnotherAccessToken_IsRefused()
    {
        Assert.Equal("ath", Code(Changed(claims: c => c["ath"] = Base64Url.Sha256("other"))));
        Assert.Equal("ath", Code(Changed(claims: c => c.Remove("ath"))));
        Assert.Equal("ath", Code(Changed(claims: c => c["ath"] = Base64Url.Sha256("token") + "=")));
        Assert.Equal("ath", Code(Changed(claims: c => c["ath"] = 1)));
        Assert.Null(DpopProof.Read([Changed(claims: c => c.Remove("ath"))], "POST", Endpoint, null, Now).Fault);
    }

    [Fact]
    public void DpopProof_MoreKeysThanAreRemembered_AreAllStillJudged()
    {
        // Enough keys to turn the cache over; each proof is right under its own key only.
        using var platform = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        for (var i = 0; i < 1100; i++)
        {
            platform.GenerateKey(ECCurve.NamedCurves.nistP256);
            var q = platform.ExportParameters(false).Q;
            var jwk = new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = Base64Url.Encode(q.X), ["y"] = Base64Url.Encode(q.Y) };
            var header = new JsonObject { ["typ"] = "dpop+jwt", ["alg"] = "ES256", ["jwk"] = jwk };
            var claims = new JsonObject { ["jti"] = "j", ["htm"] = "POST", ["htu"] = Endpoint.OriginalString, ["iat"] = Now.ToUnixTimeSeconds() };
            var proof = Forge.Signed(header.ToJsonString(), claims.ToJsonString(), input => platform.SignData(input, HashAlgorithmName.SHA256));
            Assert.Equal(VerificationKey.FromJwk(JsonElement.Parse(jwk.ToJsonString())).Value.Thumbprint, DpopProof.Read([proof], "POST", Endpoint, null, Now).Value.Thumbprint);
        }
        Assert.Null(Code(Changed()));
        Assert.Equal("bad_signature", Code(Forge.WithPart(Changed(), 2, s => { s[0] ^= 1; return s; })));
    }
}
