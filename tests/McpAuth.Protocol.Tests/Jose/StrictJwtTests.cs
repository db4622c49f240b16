using System.Globalization;
using System.Text;
using McpAuth.Protocol.Jose;

namespace McpAuth.Protocol.Tests.Jose;

public sealed class StrictJwtTests : IDisposable
{
    private static readonly JwtRules AccessToken = new("access token", [Names.Types.AccessToken], TypeRequired: true, ["ES256", "RS256"]);
    private static readonly JwtRules Assertion = new("client assertion", [Names.Types.Jwt, Names.Types.ClientAuthentication], TypeRequired: false, ["ES256"]);
    private readonly SigningKey key = SigningKey.Create();

    public void Dispose() => key.Dispose();

    private static string? Code(string compact, JwtRules? rules = null) => StrictJwt.Read(compact, rules ?? AccessToken).Fault?.Code;

    private static string Unsigned(string header, string payload = "{}") => $"{Forge.Part(header)}.{Forge.Part(payload)}.AAAA";

    [Fact, Trait("Spec", "RFC7519-7.2")]
    public void StrictJwt_SignedToken_GivesBackWhatWasSigned()
    {
        var compact = key.Sign(Names.Types.AccessToken, w => { w.WriteString("sub", "usr_é"); w.WriteNumber("exp", 1_795_345_500); w.WriteStartArray("aud"); w.WriteStringValue("a"); w.WriteStringValue("b"); w.WriteEndArray(); });
        var jwt = StrictJwt.Read(compact, AccessToken).Value;
        Assert.Equal(("ES256", key.KeyId, "usr_é"), (jwt.Algorithm, jwt.KeyId, jwt.Text("sub")));
        Assert.Equal(["a", "b"], jwt.Audiences);
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_795_345_500), jwt.Time("exp"));
        Assert.Equal(compact[..compact.LastIndexOf('.')], Encoding.ASCII.GetString(jwt.SigningInput.Span));
        Assert.Equal(compact[(compact.LastIndexOf('.') + 1)..], Base64Url.Encode(jwt.Signature.Span));
        Assert.Equal("at+jwt", jwt.Header.GetProperty("typ").GetString());
        Assert.True(key.Public.Verify(jwt));
    }

    [Theory, Trait("Spec", "RFC7515-5.2")]
    [InlineData(""), InlineData("."), InlineData(".."), InlineData("a.b"), InlineData("a.b.c.d"), InlineData("a.b.c.d.e"), InlineData("{\"payload\":\"\",\"signatures\":[]}")]
    public void StrictJwt_NotThreeParts_IsMalformed(string compact) => Assert.Contains(Code(compact), new[] { "malformed", "invalid_json" });

    [Theory, Trait("Spec", "RFC7515-2"), InlineData(0), InlineData(1), InlineData(2)]
    public void StrictJwt_PartInAnotherSpelling_IsMalformed(int part)
    {
        var parts = key.Sign("at+jwt", w => w.WriteString("a", "bc")).Split('.');
        foreach (var spelling in new[] { parts[part] + "=", parts[part] + " ", " " + parts[part], parts[part] + "\n", parts[part].Insert(2, "+"), "*" + parts[part] })
            Assert.Equal("malformed", Code(string.Join('.', parts.Select((p, i) => i == part ? spelling : p))));
    }

    [Fact, Trait("Spec", "RFC7515-2")]
    public void StrictJwt_SignatureWithOtherTrailingBits_IsMalformed()
    {
        var compact = key.Sign("at+jwt", w => w.WriteString("a", "b"));
        // 64 bytes are 86 characters, the last of which carries two bits: A, Q, g or w.
        var other = compact[..^1] + (char)(compact[^1] + 1);
        Assert.Null(Code(compact));
        Assert.Equal("malformed", Code(other));
    }

    [Fact]
    public void StrictJwt_LongerThanTheLimit_IsMalformed()
    {
        Assert.Equal("malformed", Code(Unsigned("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", $"{{\"a\":\"{new string('x', Limits.JwtLength)}\"}}")));
        Assert.Null(Code(Unsigned("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", $"{{\"a\":\"{new string('x', 11_000)}\"}}")));
    }

    [Theory, Trait("Attack", "78"), Trait("Attack", "124"), Trait("Spec", "RFC8725-3.1")]
    [InlineData("\"none\""), InlineData("\"nOnE\""), InlineData("\"None\""), InlineData("\"\""), InlineData("\"HS256\""), InlineData("\"HS384\""), InlineData("\"HS512\"")]
    [InlineData("\"es256\""), InlineData("\"ES256 \""), InlineData("\"ES384\""), InlineData("\"PS256\""), InlineData("\"EdDSA\""), InlineData("null"), InlineData("[\"ES256\"]"), InlineData("256")]
    public void StrictJwt_AlgorithmThatTheUseDoesNotName_IsRefused(string alg) =>
        Assert.Equal("wrong_algorithm", Code(Unsigned($"{{\"typ\":\"at+jwt\",\"alg\":{alg}}}")));

    [Fact, Trait("Attack", "78"), Trait("Spec", "RFC7515-4.1.1")]
    public void StrictJwt_NoAlgorithm_IsRefused()
    {
        Assert.Equal("wrong_algorithm", Code(Unsigned("{\"typ\":\"at+jwt\"}")));
        Assert.Equal("wrong_algorithm", Code($"{Forge.Part("{\"typ\":\"at+jwt\",\"alg\":\"none\"}")}.{Forge.Part("{}")}."));
    }

    [Theory, Trait("Attack", "82"), Trait("Spec", "RFC7515-4.1.11")]
    [InlineData("\"crit\":[\"exp\"],\"exp\":1"), InlineData("\"crit\":[]"), InlineData("\"crit\":null"), InlineData("\"crit\":[\"b64\"],\"b64\":false"), InlineData("\"b64\":false"), InlineData("\"b64\":true"), InlineData("\"zip\":\"DEF\"")]
    public void StrictJwt_ExtensionHeader_IsRefused(string member) =>
        Assert.Equal("unsupported_header", Code(Forge.Es256(key, $"{{\"typ\":\"at+jwt\",\"alg\":\"ES256\",{member}}}", "{}")));

    [Theory, Trait("Attack", "82"), Trait("Spec", "RFC7515-4")]
    [InlineData("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"alg\":\"none\"}"), InlineData("{\"alg\":\"none\",\"typ\":\"at+jwt\",\"alg\":\"ES256\"}"), InlineData("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"ALG\":\"none\"}"), InlineData("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"\\u0061lg\":\"ES256\"}")]
    public void StrictJwt_DuplicateHeaderMember_IsRefused(string header) => Assert.Equal("duplicate_member", Code(Forge.Es256(key, header, "{}")));

    [Theory, Trait("Attack", "133"), Trait("Spec", "RFC7519-4")]
    [InlineData("{\"sub\":\"a\",\"sub\":\"b\"}"), InlineData("{\"sub\":\"a\",\"Sub\":\"b\"}"), InlineData("{\"act\":{\"sub\":\"a\",\"s\\u0075b\":\"b\"}}")]
    public void StrictJwt_DuplicateClaim_IsRefused(string payload) => Assert.Equal("duplicate_member", Code(Forge.Es256(key, "{\"typ\":\"at+jwt\",\"alg\":\"ES256\"}", payload)));

    [Theory, Trait("Attack", "81"), Trait("Spec", "RFC8725-3.10")]
    [InlineData("\"jku\":\"http://127.0.0.1:9/\""), InlineData("\"x5u\":\"http://127.0.0.1:9/\""), InlineData("\"x5c\":[\"MIIB\"]"), InlineData("\"jwk\":{\"kty\":\"EC\"}"), InlineData("\"jwk\":null")]
    public void StrictJwt_KeyNamedByTheSender_IsRefused(string member)
    {
        Assert.Equal("unsupported_header", Code(Forge.Es256(key, $"{{\"typ\":\"at+jwt\",\"alg\":\"ES256\",{member}}}", "{}")));
        Assert.Equal("unsupported_header", Code(Forge.Es256(key, $"{{\"alg\":\"ES256\",{member}}}", "{}"), Assertion));
    }

    [Theory, Trait("Spec", "RFC8725-3.11"), Trait("Spec", "RFC7515-4.1.9")]
    [InlineData("\"at+jwt\""), InlineData("\"AT+JWT\""), InlineData("\"application/at+jwt\""), InlineData("\"Application/At+Jwt\"")]
    public void StrictJwt_RightType_IsAcceptedInEverySpelling(string typ) => Assert.Null(Code(Unsigned($"{{\"alg\":\"ES256\",\"typ\":{typ}}}")));

    [Theory, Trait("Attack", "123"), Trait("Spec", "RFC8725-3.11")]
    [InlineData(",\"typ\":\"JWT\""), InlineData(",\"typ\":\"dpop+jwt\""), InlineData(",\"typ\":\"secevent+jwt\""), InlineData(",\"typ\":\"client-authentication+jwt\""), InlineData("")]
    [InlineData(",\"typ\":null"), InlineData(",\"typ\":[\"at+jwt\"]"), InlineData(",\"typ\":\"\""), InlineData(",\"typ\":\"application/x/at+jwt\""), InlineData(",\"typ\":\"text/at+jwt\""), InlineData(",\"typ\":\"at+jwt \"")]
    public void StrictJwt_TypeOfAnotherUse_IsRefused(string member) => Assert.Equal("wrong_type", Code(Unsigned($"{{\"alg\":\"ES256\"{member}}}")));

    [Fact, Trait("Spec", "RFC8725-3.11")]
    public void StrictJwt_TypeNotRequired_MayBeAbsentButNotAnother()
    {
        Assert.Null(Code(Unsigned("{\"alg\":\"ES256\"}"), Assertion));
        Assert.Null(Code(Unsigned("{\"alg\":\"ES256\",\"typ\":\"JWT\"}"), Assertion));
        Assert.Equal("wrong_type", Code(Unsigned("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}"), Assertion));
        Assert.Equal("wrong_type", Code(Unsigned("{\"alg\":\"ES256\",\"typ\":null}"), Assertion));
    }

    [Theory, Trait("Spec", "RFC7519-7.2")]
    [InlineData("[]", "malformed"), InlineData("\"a\"", "malformed"), InlineData("null", "malformed"), InlineData("", "invalid_json"), InlineData("{", "invalid_json"), InlineData("{\"exp\":1e400}", "inexact_number")]
    public void StrictJwt_PayloadThatIsNoObject_IsRefused(string payload, string code) => Assert.Equal(code, Code(Unsigned("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", payload)));

    [Theory, Trait("Spec", "RFC7515-4")]
    [InlineData("[]", "malformed"), InlineData("\"ES256\"", "malformed"), InlineData("null", "malformed"), InlineData("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":1}", "malformed"), InlineData("{\"alg\":\"ES256\",}", "invalid_json")]
    public void StrictJwt_HeaderThatIsNoHeader_IsRefused(string header, string code) => Assert.Equal(code, Code(Unsigned(header)));

    [Theory, Trait("Spec", "RFC7519-2")]
    [InlineData("1795345200", "2026-11-22T11:00:00Z"), InlineData("1795345200.5", "2026-11-22T11:00:00.5Z"), InlineData("1.7953452e9", "2026-11-22T11:00:00Z"), InlineData("0", "1970-01-01T00:00:00Z"), InlineData("253402300799", "9999-12-31T23:59:59Z")]
    [InlineData("1795345200.123456", "2026-11-22T11:00:00.123456Z"), InlineData("1e-30", "1970-01-01T00:00:00Z")]
    public void StrictJwt_NumericDate_IsRead(string number, string expected) =>
        Assert.Equal(DateTimeOffset.Parse(expected, CultureInfo.InvariantCulture), Claims($"{{\"t\":{number}}}").Time("t"));

    [Theory, Trait("Spec", "RFC7519-2")]
    [InlineData("-1"), InlineData("253402300800"), InlineData("1e300"), InlineData("\"1795345200\""), InlineData("null"), InlineData("true"), InlineData("[1]")]
    public void StrictJwt_OtherDate_IsNone(string value) => Assert.Null(Claims($"{{\"t\":{value}}}").Time("t"));

    [Theory, Trait("Spec", "RFC7519-4.1.3")]
    [InlineData("{\"aud\":\"a\"}", "a"), InlineData("{\"aud\":[\"a\",\"b\"]}", "a|b"), InlineData("{\"aud\":[]}", ""), InlineData("{}", ""), InlineData("{\"aud\":null}", ""), InlineData("{\"aud\":[\"a\",1]}", ""), InlineData("{\"aud\":[[\"a\"]]}", ""), InlineData("{\"aud\":{\"a\":1}}", "")]
    public void StrictJwt_Audiences_AreAllStringsOrNone(string payload, string expected) => Assert.Equal(expected, string.Join('|', Claims(payload).Audiences));

    [Fact]
    public void StrictJwt_ClaimOfAnotherJsonType_IsNoText() => Assert.Null(Claims("{\"sub\":1}").Text("sub"));

    private static StrictJwt Claims(string payload) => StrictJwt.Read(Unsigned("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", payload), AccessToken).Value;
}
