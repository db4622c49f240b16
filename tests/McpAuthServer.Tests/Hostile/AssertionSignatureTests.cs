using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Jose;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>Client assertions whose claims are right and whose header or signature is not (RFC 7515, RFC 8725), at every endpoint that takes them.</summary>
public sealed class AssertionSignatureTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly Dictionary<string, (Func<Scenario, string> Make, string Reason)> NoKey = new()
    {
        ["none"] = (s => Unsigned(s, "none"), "wrong_algorithm"),
        ["nOnE"] = (s => Unsigned(s, "nOnE"), "wrong_algorithm"),
        ["None with a signature"] = (s => Forge.Assertion(s, h => h["alg"] = "None"), "wrong_algorithm"),
        ["an empty signature"] = (s => Unsigned(s, "ES256"), "bad_signature"),
        ["no alg"] = (s => Forge.Assertion(s, h => h.Remove("alg")), "wrong_algorithm"),
        ["alg null"] = (s => Forge.Assertion(s, h => h["alg"] = null), "wrong_algorithm"),
        ["alg a list"] = (s => Forge.Assertion(s, h => h["alg"] = new JsonArray("ES256")), "wrong_algorithm"),
        ["HS256, PEM"] = (s => Hmac(s, Encoding.ASCII.GetBytes(Pem(s))), "wrong_algorithm"),
        ["HS256, PEM with a line end"] = (s => Hmac(s, Encoding.ASCII.GetBytes(Pem(s) + "\n")), "wrong_algorithm"),
        ["HS256, DER"] = (s => Hmac(s, Spki(s)), "wrong_algorithm"),
        ["HS256, JWK"] = (s => Hmac(s, Encoding.UTF8.GetBytes(s.Agent.ClientKey.Public.Jwk.GetRawText())), "wrong_algorithm"),
        ["HS256, nothing"] = (s => Hmac(s, []), "wrong_algorithm"),
    };

    private static readonly Dictionary<string, (Func<Scenario, string> Make, string Reason)> WrongFamily = new()
    {
        ["RS256 said, ES256 done"] = (s => Forge.Assertion(s, h => h["alg"] = "RS256"), "bad_signature"),
        ["RS256 said and done by another's key"] = (ByRsa, "bad_signature"),
        ["ES384"] = (s => Forge.Assertion(s, h => h["alg"] = "ES384"), "wrong_algorithm"),
        ["ES256K"] = (s => Forge.Assertion(s, h => h["alg"] = "ES256K"), "wrong_algorithm"),
        ["PS256"] = (s => Forge.Assertion(s, h => h["alg"] = "PS256"), "wrong_algorithm"),
        ["EdDSA"] = (s => Forge.Assertion(s, h => h["alg"] = "EdDSA"), "wrong_algorithm"),
        ["es256"] = (s => Forge.Assertion(s, h => h["alg"] = "es256"), "wrong_algorithm"),
        ["zeros"] = (s => Signature(s, _ => new byte[64]), "bad_signature"),
        ["r zero"] = (s => Signature(s, g => [.. new byte[32], .. g[32..]]), "bad_signature"),
        ["s zero"] = (s => Signature(s, g => [.. g[..32], .. new byte[32]]), "bad_signature"),
        ["r and s the order"] = (s => Signature(s, _ => [.. Order, .. Order]), "bad_signature"),
        ["DER"] = (s => Signed(s, input => Forge.Es256(s.Agent.ClientKey, input, DSASignatureFormat.Rfc3279DerSequence)), "bad_signature"),
        ["a byte less"] = (s => Signature(s, g => g[..63]), "bad_signature"),
        ["a byte more"] = (s => Signature(s, g => [.. g, 0]), "bad_signature"),
        ["a bit turned"] = (s => Signature(s, g => [(byte)(g[0] ^ 1), .. g[1..]]), "bad_signature"),
        ["another key with the right kid"] = (s => Forge.Es256(SigningKey.Create(), Forge.Header(s.Agent).ToJsonString(), Forge.Claims(s, s.Agent).ToJsonString()), "bad_signature"),
        ["the right key under another kid"] = (s => Forge.Assertion(s, h => h["kid"] = "other"), "bad_signature"),
    };

    private static readonly Dictionary<string, (Func<Scenario, string> Make, string Reason)> Extensions = new()
    {
        ["crit unknown"] = (s => Forge.Assertion(s, h => (h["crit"], h["x"]) = (new JsonArray("x"), 1)), "unsupported_header"),
        ["crit empty"] = (s => Forge.Assertion(s, h => h["crit"] = new JsonArray()), "unsupported_header"),
        ["crit null"] = (s => Forge.Assertion(s, h => h["crit"] = null), "unsupported_header"),
        ["b64 false"] = (s => Forge.Assertion(s, h => (h["crit"], h["b64"]) = (new JsonArray("b64"), false)), "unsupported_header"),
        ["b64 false, not critical"] = (s => Forge.Assertion(s, h => h["b64"] = false), "unsupported_header"),
        ["b64 true"] = (s => Forge.Assertion(s, h => h["b64"] = true), "unsupported_header"),
        ["zip"] = (s => Forge.Assertion(s, h => h["zip"] = "DEF"), "unsupported_header"),
        ["alg twice"] = (s => RawHeader(s, """{"alg":"none","alg":"ES256"}"""), "duplicate_member"),
        ["alg twice by escape"] = (s => RawHeader(s, """{"\u0061lg":"none","alg":"ES256"}"""), "duplicate_member"),
        ["alg twice but for case"] = (s => RawHeader(s, """{"alg":"ES256","ALG":"none"}"""), "duplicate_member"),
        ["kid twice"] = (s => RawHeader(s, """{"alg":"ES256","kid":"a","kid":"b"}"""), "duplicate_member"),
        ["iss twice"] = (s => RawClaims(s, c => $$"""{"iss":"nobody",{{c[1..]}}"""), "duplicate_member"),
        ["aud twice"] = (s => RawClaims(s, c => $$"""{{c[..^1]}},"aud":"https://other.test"}"""), "duplicate_member"),
        ["a header that is a list"] = (s => RawHeader(s, """["ES256"]"""), "malformed"),
        ["claims that are a list"] = (s => RawClaims(s, c => $"[{c}]"), "malformed"),
        ["five parts"] = (s => Forge.Assertion(s) + ".AA.AA", "malformed"),
        ["two parts"] = (s => string.Join('.', Forge.Assertion(s).Split('.')[..2]), "malformed"),
        ["padding"] = (s => Forge.Assertion(s) + "==", "malformed"),
        ["JSON serialization"] = (s => Json(Forge.Assertion(s).Split('.')), "malformed"),
        ["17 KB"] = (s => Forge.Assertion(s, claims: c => c["x"] = new string('x', 17 * 1024)), "malformed"),
    };

    private static byte[] Order => Convert.FromHexString("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");

    public static TheoryData<string, string> NoKeyCases => Door.Times(NoKey.Keys);
    public static TheoryData<string, string> WrongFamilyCases => Door.Times(WrongFamily.Keys);
    public static TheoryData<string, string> ExtensionCases => Door.Times(Extensions.Keys);
    public static TheoryData<string, string> OwnKeyCases => Door.Times(["jku", "x5u", "jwk", "x5c", "jwk without kid"]);

    [Theory]
    [MemberData(nameof(NoKeyCases))]
    [Trait("Attack", "78")]
    [Trait("Spec", "RFC8725-3.1")]
    public Task ClientAssertion_UnsignedOrByHmacWithThePublicKey_IsNoClient(string how, string door) => RefusedAsync(NoKey[how], door);

    [Theory]
    [MemberData(nameof(WrongFamilyCases))]
    [Trait("Attack", "79")]
    [Trait("Spec", "RFC7518-3.4")]
    public Task ClientAssertion_SignedByTheWrongFamilyOrForm_IsNoClient(string how, string door) => RefusedAsync(WrongFamily[how], door);

    [Theory]
    [MemberData(nameof(ExtensionCases))]
    [Trait("Attack", "82")]
    [Trait("Spec", "RFC7515-4.1.11")]
    public Task ClientAssertion_UnknownExtensionOrDoubledMember_IsNoClient(string how, string door) => RefusedAsync(Extensions[how], door);

    [Theory]
    [MemberData(nameof(OwnKeyCases))]
    [Trait("Attack", "81")]
    [Trait("Spec", "RFC8725-3.10")]
    public async Task ClientAssertion_BringingItsOwnKey_IsNoClientAndNothingIsFetched(string how, string door)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = $"http://{listener.LocalEndpoint}/keys";
        using var own = SigningKey.Create();
        var at = await Door.OfAsync(server, door);

        var header = Forge.Header(at.Scenario.Agent);
        switch (how)
        {
            case "jku" or "x5u":
                header[how] = address;
                break;
            case "x5c":
                header["x5c"] = new JsonArray(Convert.ToBase64String(Certificate(own)));
                break;
            default:
                header["jwk"] = JsonNode.Parse(own.Public.Jwk.GetRawText());
                header["kid"] = own.KeyId;
                if (how != "jwk")
                    header.Remove("kid");
                break;
        }
        await at.StaysShutAsync(Forge.Es256(own, header.ToJsonString(), Forge.Claims(at.Scenario, at.Scenario.Agent).ToJsonString()), "unsupported_header");

        Assert.False(listener.Pending(), "a connection was made");
    }

    [Fact]
    [Trait("Attack", "79")]
    public async Task ClientAssertion_RsaKeyRegistered_IsTakenByRs256AndByNothingElse()
    {
        using var rsa = SigningKey.Create("RS256");
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        s.File["clients"]![0]!["jwks"]!["keys"]![0] = JsonNode.Parse(rsa.Public.Jwk.GetRawText());
        await server.ApplyAsync(s.File.ToJsonString());
        var at = await Door.OfAsync(s, Door.Token);
        var claims = Forge.Claims(s, s.Agent).ToJsonString();
        string Signed(string algorithm, RSASignaturePadding padding) =>
            Forge.Signed($$"""{"alg":"{{algorithm}}","kid":"{{rsa.KeyId}}"}""", claims, input => Rsa(rsa, input, padding));

        await at.StaysShutAsync(Signed("ES256", RSASignaturePadding.Pkcs1), "bad_signature");
        await at.StaysShutAsync(Signed("RS256", RSASignaturePadding.Pss), "bad_signature");
        await at.StaysShutAsync(Forge.Signed($$"""{"alg":"RS256","kid":"{{rsa.KeyId}}"}""", claims, _ => new byte[384]), "bad_signature");
        using var taken = await at.KnockAsync(Signed("RS256", RSASignaturePadding.Pkcs1));

        Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
    }

    private async Task RefusedAsync((Func<Scenario, string> Make, string Reason) c, string door)
    {
        var at = await Door.OfAsync(server, door);
        await at.StaysShutAsync(c.Make(at.Scenario), c.Reason);
    }

    private static string Signed(Scenario s, Func<byte[], byte[]> sign) => Forge.Signed(Forge.Header(s.Agent).ToJsonString(), Forge.Claims(s, s.Agent).ToJsonString(), sign);

    private static string Signature(Scenario s, Func<byte[], byte[]> change) => Signed(s, input => change(Forge.Es256(s.Agent.ClientKey, input)));

    private static string Unsigned(Scenario s, string algorithm)
    {
        var header = Forge.Header(s.Agent);
        header["alg"] = algorithm;
        return $"{Forge.Part(header.ToJsonString())}.{Forge.Part(Forge.Claims(s, s.Agent).ToJsonString())}.";
    }

    private static string Hmac(Scenario s, byte[] key)
    {
        var header = Forge.Header(s.Agent);
        header["alg"] = "HS256";
        return Forge.Signed(header.ToJsonString(), Forge.Claims(s, s.Agent).ToJsonString(), input => HMACSHA256.HashData(key, input));
    }

    private static string ByRsa(Scenario s)
    {
        using var rsa = SigningKey.Create("RS256");
        var header = Forge.Header(s.Agent);
        header["alg"] = "RS256";
        return Forge.Signed(header.ToJsonString(), Forge.Claims(s, s.Agent).ToJsonString(), input => Rsa(rsa, input, RSASignaturePadding.Pkcs1));
    }

    private static byte[] Rsa(SigningKey key, byte[] input, RSASignaturePadding padding)
    {
        using var rsa = RSA.Create();
        rsa.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
        return rsa.SignData(input, HashAlgorithmName.SHA256, padding);
    }

    private static string RawHeader(Scenario s, string header) => Forge.Es256(s.Agent.ClientKey, header, Forge.Claims(s, s.Agent).ToJsonString());

    private static string RawClaims(Scenario s, Func<string, string> change) =>
        Forge.Es256(s.Agent.ClientKey, Forge.Header(s.Agent).ToJsonString(), change(Forge.Claims(s, s.Agent).ToJsonString()));

    private static string Json(string[] parts) => new JsonObject { ["protected"] = parts[0], ["payload"] = parts[1], ["signature"] = parts[2] }.ToJsonString();

    private static byte[] Spki(Scenario s)
    {
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(s.Agent.ClientKey.ExportPkcs8(), out _);
        return ecdsa.ExportSubjectPublicKeyInfo();
    }

    private static string Pem(Scenario s) => PemEncoding.WriteString("PUBLIC KEY", Spki(s));

    private static byte[] Certificate(SigningKey key)
    {
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=agent", ecdsa, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        return certificate.RawData;
    }
}
