using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol.Json;

namespace McpAuth.Protocol.Tests.Json;

public class CanonicalJsonTests
{
    private static string Canonical(JsonElement value) => Encoding.UTF8.GetString(CanonicalJson.ToBytes(value));

    // The samples of RFC 8785 Appendix B.
    [Theory, Trait("Spec", "RFC8785-3.2.2.3")]
    [InlineData(0x0000000000000000, "0"), InlineData(0x8000000000000000, "0"), InlineData(0x0000000000000001, "5e-324"), InlineData(0x8000000000000001, "-5e-324")]
    [InlineData(0x7fefffffffffffff, "1.7976931348623157e+308"), InlineData(0xffefffffffffffff, "-1.7976931348623157e+308")]
    [InlineData(0x4340000000000000, "9007199254740992"), InlineData(0xc340000000000000, "-9007199254740992"), InlineData(0x4430000000000000, "295147905179352830000")]
    [InlineData(0x44b52d02c7e14af5, "9.999999999999997e+22"), InlineData(0x44b52d02c7e14af6, "1e+23"), InlineData(0x44b52d02c7e14af7, "1.0000000000000001e+23")]
    [InlineData(0x444b1ae4d6e2ef4e, "999999999999999700000"), InlineData(0x444b1ae4d6e2ef4f, "999999999999999900000"), InlineData(0x444b1ae4d6e2ef50, "1e+21")]
    [InlineData(0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"), InlineData(0x3eb0c6f7a0b5ed8d, "0.000001")]
    [InlineData(0x41b3de4355555553, "333333333.3333332"), InlineData(0x41b3de4355555554, "333333333.33333325"), InlineData(0x41b3de4355555555, "333333333.3333333")]
    [InlineData(0x41b3de4355555556, "333333333.3333334"), InlineData(0x41b3de4355555557, "333333333.33333343")]
    [InlineData(0xbecbf647612f3696, "-0.0000033333333333333333"), InlineData(0x43143ff3c1cb0959, "1424953923781206.2")]
    public void CanonicalJson_NumberSamplesOfTheStandard_AreWrittenAsItSays(ulong bits, string expected) =>
        Assert.Equal(expected, Canonical(JsonSerializer.SerializeToElement(BitConverter.UInt64BitsToDouble(bits))));

    [Theory, Trait("Spec", "RFC8785-3.2.2.3")]
    [InlineData("1e400"), InlineData("-1e400")]
    public void CanonicalJson_NumberPastBinary64_IsAnError(string number) =>
        Assert.Throws<ArgumentException>(() => CanonicalJson.ToBytes(JsonElement.Parse(number)));

    [Fact, Trait("Spec", "RFC8785-3.2.2")]
    public void CanonicalJson_LiteralsStringsAndNumbers_AreWrittenAsTheStandardsSample() => Assert.Equal(
        """{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}""",
        Canonical(JsonElement.Parse("""
            {
              "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
              "literals": [null, true, false]
            }
            """)));

    [Fact, Trait("Spec", "RFC8785-3.2.3")]
    public void CanonicalJson_Members_AreOrderedByUtf16CodeUnits() => Assert.Equal(
        "{\"\\r\":1,\"1\":2,\"\u0080\":3,\"ö\":4,\"€\":5,\"\uD83D\uDE00\":6,\"\uFB33\":7}",
        Canonical(JsonElement.Parse("""{"\u20ac":5,"\r":1,"\ufb33":7,"1":2,"\ud83d\ude00":6,"\u0080":3,"\u00f6":4}""")));

    [Fact, Trait("Spec", "RFC8785-3.2.2.2")]
    public void CanonicalJson_ControlCharacters_HaveTheirShortestEscape() => Assert.Equal(
        "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001b\\u001f \u007f</\\\"\\\\\"",
        Canonical(JsonSerializer.SerializeToElement("\0\b\t\n\u000b\f\r\u001b\u001f \u007f</\"\\")));

    [Fact]
    public void CanonicalJson_Digest_IsThatOfTheCanonicalBytes()
    {
        // echo -n '{"a":1,"b":[]}' | openssl dgst -sha256 -binary | basenc --base64url
        Assert.Equal("sha-256:-H5Amem-XnUJTgpPRtPcGKnDdCkxSlokkPt40x5-Fww", CanonicalJson.Digest(JsonElement.Parse("""{ "b": [ ], "a": 1.0 }""")));
        Assert.NotEqual(CanonicalJson.Digest(JsonElement.Parse("[1,2]")), CanonicalJson.Digest(JsonElement.Parse("[2,1]")));
    }

    [Fact, Trait("Spec", "RFC8785-3.1")]
    public void CanonicalJson_AnyValue_IsStrictJsonStableAndIndependentOfOrderAndSpelling() => Prop.ForAll(Values(3).ToArbitrary(), node =>
    {
        var canonical = CanonicalJson.ToBytes(JsonElement.Parse(node?.ToJsonString() ?? "null"));
        var again = StrictJson.Parse(canonical, new JsonLimits(1 << 20));
        var otherSpelling = Reversed(node)?.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) ?? "null";
        return again.Ok && CanonicalJson.ToBytes(again.Value).AsSpan().SequenceEqual(canonical)
            && CanonicalJson.ToBytes(JsonElement.Parse(otherSpelling)).AsSpan().SequenceEqual(canonical)
            && JsonNode.DeepEquals(JsonNode.Parse(canonical), JsonNode.Parse(node?.ToJsonString() ?? "null"));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact, Trait("Spec", "RFC8785-3.2")]
    public void CanonicalJson_ValueThatIsNoTextYet_IsWrittenAsItsTextWouldBe()
    {
        Prop.ForAll(Values(3).ToArbitrary(), node =>
        {
            var expected = CanonicalJson.ToBytes(JsonElement.Parse(node?.ToJsonString() ?? "null"));
            return Written(node).SequenceEqual(expected) && Written(JsonNode.Parse(expected)).SequenceEqual(expected);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
        Assert.Equal("""{"B":[],"a":-7,"at":"2026-01-01T00:00:00+00:00","b":{}}"""u8, Written(new JsonObject
        {
            ["b"] = new JsonObject(), ["at"] = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), ["a"] = -7, ["B"] = new JsonArray(),
        }));
        Assert.Equal("\"a\uFFFDb\""u8, Written(JsonValue.Create("a\uD800b")));

        static byte[] Written(JsonNode? node)
        {
            var output = new ArrayBufferWriter<byte>();
            CanonicalJson.Write(node, output);
            return output.WrittenSpan.ToArray();
        }
    }

    private static Gen<string> Texts => Gen.Elements("a", "b", "\"", "\\", "\n", "\u0001", "é", "€", "\uD83D\uDE00", "\uFB33", "</", " ")
        .ArrayOf().Resize(6).Select(string.Concat);

    private static Gen<JsonNode?> Values(int depth)
    {
        var leaf = Gen.OneOf(
            Gen.Constant<JsonNode?>(null),
            Gen.Elements(true, false).Select(b => (JsonNode?)JsonValue.Create(b)),
            Texts.Select(t => (JsonNode?)JsonValue.Create(t)),
            ArbMap.Default.GeneratorFor<long>().Select(BitConverter.Int64BitsToDouble).Where(double.IsFinite).Select(d => (JsonNode?)JsonValue.Create(d)),
            Gen.Choose(-1000, 1000).Select(i => (JsonNode?)JsonValue.Create(i / 8.0)));
        if (depth == 0)
            return leaf;
        var inner = Values(depth - 1);
        var array = inner.ArrayOf().Resize(4).Select(items => (JsonNode?)new JsonArray([.. items.Select(i => i?.DeepClone())]));
        var members = from name in Texts from value in inner select (name, value);
        var obj = members.ArrayOf().Resize(5).Select(all => (JsonNode?)new JsonObject(
            all.DistinctBy(m => m.name, StringComparer.OrdinalIgnoreCase).Select(m => KeyValuePair.Create(m.name, m.value?.DeepClone()))));
        return Gen.OneOf(leaf, array, obj);
    }

    private static JsonNode? Reversed(JsonNode? node) => node switch
    {
        JsonObject o => new JsonObject(o.Reverse().Select(m => KeyValuePair.Create(m.Key, Reversed(m.Value)))),
        JsonArray a => new JsonArray([.. a.Select(Reversed)]),
        _ => node?.DeepClone(),
    };
}
