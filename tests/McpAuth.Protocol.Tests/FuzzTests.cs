using System.Text;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.ToolCalls;
using McpAuth.Testing;

namespace McpAuth.Protocol.Tests;

/// <summary>Every reader, given what nobody would send: it answers, it does not throw, and what it allocates is bounded by what it was given.</summary>
public class FuzzTests
{
    private const string Form = "grant_type=authorization_code&code=ac_abc&redirect_uri=https%3A%2F%2Fclient.test%2Fcb&resource=https%3A%2F%2Fa.test%2Fmcp&resource=b&scope=tools%3Aread+tool%3Ax";

    private const string Details =
        """
        [{"type":"mcp_tool_call","locations":["https://files.test/mcp"],"actions":["tools/call"],"tools":{"refund":{"args":{"order":{"constraint_type":"exact","value":"o-9"},
        "amount":{"constraint_type":"range","min":1.5,"max":500,"max_inclusive":false},"path":{"constraint_type":"all","of":[{"constraint_type":"path_under","value":"/a/b"},{"constraint_type":"any",
        "of":[{"constraint_type":"prefix","value":"x"},{"constraint_type":"not_one_of","values":[1,"b",null]}]}]}},"optional":["amount"],"max_calls":3,"approval":"required"}},
        "task":{"purpose":"refund","expires_at":"2026-11-22T12:00:00Z"}}]
        """;

    private static readonly SigningKey Key = SigningKey.Create();
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_795_345_200);
    private static readonly Uri Address = new("https://auth.test/token");
    private static readonly string Proof = DpopProof.Create(Key, "POST", Address, null, Now);

    private static readonly string Token = Key.Sign(Names.Types.AccessToken, json => json.WriteString("iss", "https://auth.test"));

    private static readonly Gen<(int, int, int)[]> Edits =
        (from kind in Gen.Choose(0, 5) from at in Gen.Choose(0, 5000) from length in Gen.Choose(0, 60) select (kind, at, length)).ArrayOf().Resize(6);

    [Fact, Trait("Spec", "RFC6749-3.2")]
    public void StrictForm_AnyBody_IsAnswered() => Answers(Form, text =>
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        StrictForm.Parse(bytes, new HashSet<string> { "resource" });
        return StrictForm.ParseRepeated(bytes, new HashSet<string>()).Ok;
    });

    [Fact, Trait("Spec", "RFC8259-2")]
    public void StrictJson_AnyText_IsAnsweredAndWhatItTakesHasACanonicalForm() => Answers(Details, text =>
    {
        var read = StrictJson.Parse(text, new JsonLimits(Limits.TokenBody));
        if (read.Ok)
            Assert.NotEmpty(CanonicalJson.ToBytes(read.Value));
        return read.Ok;
    });

    [Fact, Trait("Spec", "RFC9396-5")]
    public void AuthorizationDetails_AnyText_AreAnsweredAndWhatIsTakenIsReadBackTheSame() => Answers(Details, text =>
    {
        if (!StrictJson.Parse(text, new JsonLimits(Limits.TokenBody)).TryGet(out var json, out _) || !Authority.ParseRequest(json).TryGet(out var read, out _))
            return false;
        var again = Authority.Parse(StrictJson.Parse(read.Authority.ToJson(), new JsonLimits(Limits.TokenBody)).Value).Value;
        Assert.Null(again.Exceeds(read.Authority));
        Assert.Null(read.Authority.Exceeds(again));
        return true;
    });

    [Fact, Trait("Spec", "RFC7515-5.2")]
    public void Jwt_AnyText_IsAnsweredAndOnlyTheTrueOneVerifies() => Answers(Token, text =>
    {
        var rules = new JwtRules("token", [Names.Types.AccessToken], TypeRequired: true, ["ES256", "RS256"]);
        var read = StrictJwt.Read(text, rules);
        Assert.True(!read.Ok || text == Token || !Key.Public.Verify(read.Value), text);
        return read.Ok;
    });

    [Fact, Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_AnyText_IsAnsweredAndOnlyTheTrueOneIsAProof() =>
        Answers(Proof, text => DpopProof.Read([text], "POST", Address, null, Now).Ok is var ok && (!ok || text == Proof ? ok : throw new InvalidOperationException(text)));

    [Fact, Trait("Spec", "RFC7517-4")]
    public void KeySet_AnyText_IsAnswered() => Answers(
        $$"""{"keys":[{{Key.Public.Jwk.GetRawText()}},{"kty":"RSA","n":"{{new string('A', 342)}}","e":"AQAB"}]}""",
        text => StrictJson.Parse(text, new JsonLimits(Limits.TokenBody)).TryGet(out var json, out _) && VerificationKey.FromJwks(json).Ok);

    /// <param name="reads">Whether it takes the text.</param>
    private static void Answers(string sound, Func<string, bool> reads)
    {
        reads(sound); // What is made once is made before it is measured.
        int taken = 0, refused = 0;
        Prop.ForAll(Edits.ToArbitrary(), edits =>
        {
            var text = Spoiled.Apply(sound, edits);
            var before = GC.GetAllocatedBytesForCurrentThread();
            _ = reads(text) ? taken++ : refused++;
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated < 256 * 1024 + (100L * text.Length), $"{allocated} bytes for {text.Length} characters");
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
        Assert.True(taken > 20 && refused > 200, $"{taken} taken, {refused} refused: the generator proves little");
    }
}
