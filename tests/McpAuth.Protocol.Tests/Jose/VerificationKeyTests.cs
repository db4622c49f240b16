using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Jose;

namespace McpAuth.Protocol.Tests.Jose;

public sealed class VerificationKeyTests(VerificationKeyTests.Keys keys) : IClassFixture<VerificationKeyTests.Keys>
{
    private static readonly JwtRules Any = new("test token", ["JWT"], TypeRequired: true, ["ES256", "ES384", "RS256", "PS256", "HS256", "none"]);
    private readonly SigningKey ec = keys.Ec, rsa = keys.Rsa;

    /// <summary>One of each kind for the class: making an RSA key takes longer than all that is done with it here.</summary>
    public sealed class Keys : IDisposable
    {
        public SigningKey Ec { get; } = SigningKey.Create();
        public SigningKey Rsa { get; } = SigningKey.Create("RS256");

        public void Dispose()
        {
            Ec.Dispose();
            Rsa.Dispose();
        }
    }

    private static StrictJwt Read(string compact) => StrictJwt.Read(compact, Any).Value;

    private static JsonObject Node(VerificationKey key) => JsonNode.Parse(key.Jwk.GetRawText())!.AsObject();

    private static Result<VerificationKey> FromJwk(JsonNode? jwk) => VerificationKey.FromJwk(JsonElement.Parse(jwk?.ToJsonString() ?? "null"));

    [Theory, Trait("Spec", "RFC7515-5.1"), InlineData("ES256"), InlineData("RS256")]
    public void SigningKey_WhatItSigns_VerifiesWithItsPublicKeyAndNoOther(string algorithm)
    {
        var (key, other) = algorithm == "ES256" ? (ec, rsa) : (rsa, ec);
        using var sameKind = SigningKey.Create(algorithm);
        var compact = key.Sign("JWT", w => w.WriteString("a", "b"));
        var jwt = Read(compact);
        Assert.Equal((algorithm, key.KeyId), (jwt.Algorithm, jwt.KeyId));
        Assert.True(key.Public.Verify(jwt));
        Assert.True(VerificationKey.FromJwk(key.Public.Jwk).Value.Verify(jwt));
        Assert.False(other.Public.Verify(jwt));
        Assert.False(sameKind.Public.Verify(jwt));
        Assert.False(key.Public.Verify(Read(Forge.WithPart(compact, 1, _ => Encoding.UTF8.GetBytes("{\"a\":\"c\"}")))));
    }

    [Theory, Trait("Spec", "RFC7515-5.2"), InlineData("ES256"), InlineData("RS256")]
    public void VerificationKey_AnyBitOfTheSignatureFlipped_IsRefused(string algorithm)
    {
        var key = algorithm == "ES256" ? ec : rsa;
        var compact = key.Sign("JWT", w => w.WriteString("a", "b"));
        for (var bit = 0; bit < 512; bit++)
            Assert.False(key.Public.Verify(Read(Forge.WithPart(compact, 2, s => { s[bit / 8] ^= (byte)(1 << (bit % 8)); return s; }))));
    }

    [Fact, Trait("Attack", "79"), Trait("Spec", "RFC7518-3.4")]
    public void VerificationKey_Es256SignatureInAnotherForm_IsRefused()
    {
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(ec.ExportPkcs8(), out _);
        const string header = "{\"typ\":\"JWT\",\"alg\":\"ES256\"}";
        string By(Func<byte[], byte[]> sign) => Forge.Signed(header, "{}", sign);
        byte[] Raw(byte[] input) => ecdsa.SignData(input, HashAlgorithmName.SHA256);

        Assert.True(ec.Public.Verify(Read(By(Raw))));
        Assert.False(ec.Public.Verify(Read(By(i => ecdsa.SignData(i, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)))));
        Assert.False(ec.Public.Verify(Read(By(i => [0, .. Raw(i)]))));
        Assert.False(ec.Public.Verify(Read(By(i => [.. Raw(i), 0]))));
        Assert.False(ec.Public.Verify(Read(By(i => Raw(i)[..63]))));
        Assert.False(ec.Public.Verify(Read(By(_ => []))));
        Assert.False(ec.Public.Verify(Read(By(i => ecdsa.SignData(i, HashAlgorithmName.SHA384)))));
        // s + n is the same number modulo the order, in more than 32 bytes only by chance: out of range must be refused.
        var n = BigInteger.Parse("0ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", System.Globalization.NumberStyles.HexNumber, null);
        Assert.False(ec.Public.Verify(Read(By(i => [.. Raw(i)[..32], .. n.ToByteArray(isUnsigned: true, isBigEndian: true)]))));
    }

    [Theory, Trait("Attack", "79")]
    [InlineData(0, 0), InlineData(0, 1), InlineData(1, 0), InlineData(0, 255), InlineData(255, 0), InlineData(255, 255)]
    public void VerificationKey_ZeroOrOutOfRangeRAndS_AreRefused(byte r, byte s)
    {
        byte[] Number(byte value) => value == 1 ? [.. new byte[31], 1] : [.. Enumerable.Repeat(value, 32)];
        Assert.False(ec.Public.Verify(Read(Forge.Signed("{\"typ\":\"JWT\",\"alg\":\"ES256\"}", "{}", _ => [.. Number(r), .. Number(s)]))));
    }

    [Fact, Trait("Attack", "78"), Trait("Attack", "124"), Trait("Spec", "RFC8725-2.1")]
    public void VerificationKey_HmacKeyedWithThePublicKey_IsRefused()
    {
        foreach (var key in new[] { ec, rsa })
        {
            using AsymmetricAlgorithm platform = key == ec ? ECDsa.Create() : RSA.Create();
            platform.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
            var pem = platform.ExportSubjectPublicKeyInfoPem();
            byte[][] secrets = [Encoding.ASCII.GetBytes(pem), Encoding.ASCII.GetBytes(pem + "\n"), platform.ExportSubjectPublicKeyInfo(), Encoding.UTF8.GetBytes(key.Public.Jwk.GetRawText())];
            foreach (var secret in secrets)
                Assert.False(key.Public.Verify(Read(Forge.Signed("{\"typ\":\"JWT\",\"alg\":\"HS256\"}", "{}", input => HMACSHA256.HashData(secret, input)))));
            Assert.False(key.Public.Verify(Read(Forge.Signed("{\"typ\":\"JWT\",\"alg\":\"none\"}", "{}", _ => []))));
        }
    }

    [Theory, Trait("Attack", "79"), Trait("Attack", "124"), Trait("Spec", "RFC8725-3.1")]
    [InlineData("ES384"), InlineData("RS256"), InlineData("PS256"), InlineData("HS256"), InlineData("none")]
    public void VerificationKey_RightSignatureUnderAnAlgorithmOfAnotherKind_IsRefused(string named) =>
        Assert.False(ec.Public.Verify(Read(Forge.Es256(ec, $"{{\"typ\":\"JWT\",\"alg\":\"{named}\"}}", "{}"))));

    [Fact, Trait("Spec", "RFC8725-3.1")]
    public void VerificationKey_RsaKeyThatNamesItsAlgorithm_IsUsedWithNoOther()
    {
        using var platform = RSA.Create();
        platform.ImportPkcs8PrivateKey(rsa.ExportPkcs8(), out _);
        var pss = Read(Forge.Signed("{\"typ\":\"JWT\",\"alg\":\"PS256\"}", "{}", i => platform.SignData(i, HashAlgorithmName.SHA256, RSASignaturePadding.Pss)));
        Assert.False(rsa.Public.Verify(pss));
        var unnamed = Node(rsa.Public);
        unnamed.Remove("alg");
        Assert.True(FromJwk(unnamed).Value.Verify(pss));
        unnamed["alg"] = "PS256";
        Assert.True(FromJwk(unnamed).Value.Verify(pss));
        Assert.False(FromJwk(unnamed).Value.Verify(Read(rsa.Sign("JWT", _ => { }))));
    }

    [Fact]
    public void VerificationKey_P384_VerifiesEs384Only()
    {
        using var platform = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var q = platform.ExportParameters(false).Q;
        var key = FromJwk(new JsonObject { ["kty"] = "EC", ["crv"] = "P-384", ["x"] = Base64Url.Encode(q.X), ["y"] = Base64Url.Encode(q.Y) }).Value;
        Assert.True(key.Verify(Read(Forge.Signed("{\"typ\":\"JWT\",\"alg\":\"ES384\"}", "{}", i => platform.SignData(i, HashAlgorithmName.SHA384)))));
        Assert.False(key.Verify(Read(Forge.Signed("{\"typ\":\"JWT\",\"alg\":\"ES256\"}", "{}", i => platform.SignData(i, HashAlgorithmName.SHA256)))));
    }

    // The key of RFC 7638 §3.1, and that of the proofs in RFC 9449 with the thumbprint of §6.1.
    [Theory, Trait("Spec", "RFC7638-3")]
    [InlineData("""{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}""", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")]
    [InlineData("""{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}""", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")]
    public void VerificationKey_Thumbprint_IsTheStandardsExample(string jwk, string thumbprint) => Assert.Equal(thumbprint, VerificationKey.FromJwk(JsonElement.Parse(jwk)).Value.Thumbprint);

    [Theory, Trait("Attack", "13"), Trait("Attack", "112"), Trait("Spec", "RFC7517-9.2")]
    [InlineData("d"), InlineData("p"), InlineData("q"), InlineData("dp"), InlineData("dq"), InlineData("qi"), InlineData("oth"), InlineData("k")]
    public void VerificationKey_PrivateMember_IsRefused(string member)
    {
        foreach (var key in new[] { ec, rsa })
        {
            var jwk = Node(key.Public);
            jwk[member] = "AQAB";
            Assert.Equal("invalid_key", FromJwk(jwk).Fault?.Code);
            jwk[member] = null;
            Assert.Equal("invalid_key", FromJwk(jwk).Fault?.Code);
            Assert.Equal("invalid_key", VerificationKey.FromJwks(JsonElement.Parse(new JsonObject { ["keys"] = new JsonArray(jwk.DeepClone()) }.ToJsonString())).Fault?.Code);
        }
    }

    [Theory, Trait("Spec", "RFC7517-4"), Trait("Spec", "RFC7518-6.2.1")]
    [InlineData("kty", "\"oct\""), InlineData("kty", "\"RSA\""), InlineData("kty", "\"ec\""), InlineData("kty", "null"), InlineData("kty", "1"), InlineData("kty", "\"OKP\"")]
    [InlineData("crv", "\"P-384\""), InlineData("crv", "\"P-521\""), InlineData("crv", "\"secp256k1\""), InlineData("crv", "null")]
    [InlineData("x", "\"\""), InlineData("x", "null"), InlineData("x", "\"AAAA\""), InlineData("x", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""), InlineData("y", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""), InlineData("y", "\"!\"")]
    [InlineData("y", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""), InlineData("x", "\"_____________________________________________w\"")]
    [InlineData("alg", "\"ES384\""), InlineData("alg", "\"RS256\""), InlineData("alg", "\"none\""), InlineData("alg", "\"HS256\""), InlineData("alg", "1"), InlineData("use", "\"enc\""), InlineData("use", "1"), InlineData("kid", "1")]
    [InlineData("key_ops", "[\"sign\"]"), InlineData("key_ops", "[]"), InlineData("key_ops", "\"verify\""), InlineData("key_ops", "[\"verify\",\"verify\"]"), InlineData("key_ops", "[1]")]
    public void VerificationKey_EcJwkWithAWrongMember_IsRefused(string member, string value)
    {
        var jwk = Node(ec.Public);
        jwk[member] = JsonNode.Parse(value);
        Assert.Equal("invalid_key", FromJwk(jwk).Fault?.Code);
    }

    [Theory, InlineData("null"), InlineData("[]"), InlineData("\"x\""), InlineData("{}")]
    public void VerificationKey_NotAJwk_IsRefused(string json)
    {
        Assert.Equal("invalid_key", VerificationKey.FromJwk(JsonElement.Parse(json)).Fault?.Code);
        Assert.Equal("invalid_key", VerificationKey.FromJwks(JsonElement.Parse(json)).Fault?.Code);
    }

    [Fact, Trait("Spec", "RFC7518-3.3")]
    public void VerificationKey_WeakRsaKey_IsRefused()
    {
        string? Code(byte[] n, byte[] e) => FromJwk(new JsonObject { ["kty"] = "RSA", ["n"] = Base64Url.Encode(n), ["e"] = Base64Url.Encode(e) }).Fault?.Code;
        using var sound = RSA.Create(2048);
        var n = sound.ExportParameters(false).Modulus!;
        byte[] e = [1, 0, 1];
        Assert.Null(Code(n, e));
        using var small = RSA.Create(1024);
        Assert.Equal("invalid_key", Code(small.ExportParameters(false).Modulus!, e));
        Assert.Equal("invalid_key", Code([0, .. n], e));
        Assert.Equal("invalid_key", Code(n, [0, 1, 0, 1]));
        Assert.Equal("invalid_key", Code(n, [1]));
        Assert.Equal("invalid_key", Code(n, [2]));
        Assert.Equal("invalid_key", Code(n, []));
        Assert.Equal("invalid_key", Code(n, [1, 0, 0, 0, 1]));
        Assert.Equal("invalid_key", Code([.. n[..^1], (byte)(n[^1] & 0xFE)], e));
        Assert.Equal("invalid_key", Code([0x7F, .. n[1..]], e));
        Assert.Equal("invalid_key", Code([.. Enumerable.Repeat((byte)0xFF, 1025)], e));
    }

    [Fact, Trait("Spec", "RFC7517-5")]
    public void VerificationKey_Set_LeavesOutWhatItCannotUse()
    {
        var set = new JsonObject
        {
            ["keys"] = new JsonArray(Node(ec.Public), Node(rsa.Public), new JsonObject { ["kty"] = "OKP", ["crv"] = "Ed25519", ["x"] = "AA", ["kid"] = "ed" },
                new JsonObject { ["kty"] = "EC", ["crv"] = "P-521" }, JsonNode.Parse("1"), With(Node(ec.Public), "use", "enc", "kid", "enc")),
        };
        var keys = VerificationKey.FromJwks(JsonElement.Parse(set.ToJsonString())).Value;
        Assert.Equal([ec.KeyId, rsa.KeyId], keys.Select(k => k.KeyId));
        static JsonObject With(JsonObject jwk, params string[] members)
        {
            for (var i = 0; i < members.Length; i += 2)
                jwk[members[i]] = members[i + 1];
            return jwk;
        }
    }

    [Fact, Trait("Spec", "RFC7517-4.5")]
    public void VerificationKey_SetWithTwoKeysOfOneKid_IsRefused()
    {
        var other = new JsonObject { ["kty"] = "OKP", ["kid"] = ec.KeyId };
        var set = new JsonObject { ["keys"] = new JsonArray(Node(ec.Public), other) };
        Assert.Equal("invalid_key", VerificationKey.FromJwks(JsonElement.Parse(set.ToJsonString())).Fault?.Code);
    }

    [Theory, InlineData("ES256"), InlineData("RS256")]
    public void SigningKey_ExportedAndImported_IsTheSameKey(string algorithm)
    {
        var key = algorithm == "ES256" ? ec : rsa;
        using var again = SigningKey.Import(key.ExportPkcs8(), algorithm);
        Assert.Equal((key.KeyId, key.Public.Thumbprint), (again.KeyId, again.KeyId));
        Assert.True(key.Public.Verify(Read(again.Sign("JWT", _ => { }))));
        Assert.Equal(["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"], again.Public.Jwk.EnumerateObject().Select(m => m.Name)
            .Union(["crv", "e", "n", "x", "y"]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void SigningKey_KeyOfAnotherKind_IsNotImported()
    {
        Assert.ThrowsAny<CryptographicException>(() => SigningKey.Import(ec.ExportPkcs8(), "RS256"));
        Assert.ThrowsAny<CryptographicException>(() => SigningKey.Import(rsa.ExportPkcs8(), "ES256"));
        using var p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        Assert.ThrowsAny<CryptographicException>(() => SigningKey.Import(p384.ExportPkcs8PrivateKey(), "ES256"));
        Assert.ThrowsAny<CryptographicException>(() => SigningKey.Import([1, 2, 3], "ES256"));
        Assert.ThrowsAny<CryptographicException>(() => SigningKey.Import([.. ec.ExportPkcs8(), 0], "ES256"));
        Assert.Throws<ArgumentException>(() => SigningKey.Create("HS256"));
    }

    [Fact]
    public void SigningKey_OneSigningInsideAnother_KeepsBothApart()
    {
        string? inner = null;
        var outer = ec.Sign("JWT", w => { w.WriteString("a", "1"); inner = ec.Sign("JWT", v => v.WriteString("b", "2")); w.WriteString("c", "3"); });
        Assert.Equal("{\"a\":\"1\",\"c\":\"3\"}", Read(outer).Payload.GetRawText());
        Assert.Equal("{\"b\":\"2\"}", Read(inner!).Payload.GetRawText());
        Assert.Throws<InvalidOperationException>(() => ec.Sign("JWT", _ => throw new InvalidOperationException("the caller's")));
        Assert.Equal("{}", Read(ec.Sign("JWT", _ => { })).Payload.GetRawText());
    }

    [Fact]
    public void SigningKey_ManyThreads_ShareOneKey()
    {
        var right = 0;
        Parallel.For(0, 2000, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            var jwt = Read(ec.Sign("JWT", i, static (w, n) => w.WriteNumber("n", n)));
            if (ec.Public.Verify(jwt) && jwt.Payload.GetProperty("n").GetInt32() == i)
                Interlocked.Increment(ref right);
        });
        Assert.Equal(2000, right);
    }
}
