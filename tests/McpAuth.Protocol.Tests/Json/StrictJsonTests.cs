using System.Globalization;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol.Json;

namespace McpAuth.Protocol.Tests.Json;

public class StrictJsonTests
{
    private static readonly JsonLimits Body = new(Limits.GuardBody);

    private static Result<JsonElement> Parse(string text) => StrictJson.Parse(Encoding.UTF8.GetBytes(text), Body);

    private static void Refused(string code, string text)
    {
        Assert.Equal(code, Parse(text).Fault?.Code);
        Assert.Equal(code, StrictJson.Parse(text, Body).Fault?.Code);
    }

    [Theory, Trait("Spec", "RFC8259-2")]
    [InlineData("null"), InlineData(" true "), InlineData("\"\""), InlineData("0"), InlineData("[]"), InlineData("{}"), InlineData("[1,[2,{\"a\":[]}]]")]
    [InlineData("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}"), InlineData("\"\\ud83d\\ude00 \\u0000 \\\\ud800 \\/\""), InlineData("\"\uFFFF\"")]
    public void StrictJson_OrdinaryText_KeepsTheValue(string text)
    {
        var parsed = Parse(text);
        Assert.Null(parsed.Fault);
        Assert.True(JsonElement.DeepEquals(JsonElement.Parse(text), parsed.Value));
        Assert.True(JsonElement.DeepEquals(parsed.Value, StrictJson.Parse(text, Body).Value));
    }

    [Theory, Trait("Spec", "RFC8259-2")]
    [InlineData(""), InlineData(" "), InlineData("{"), InlineData("[1,]"), InlineData("{\"a\":1,}"), InlineData("[1]2"), InlineData("{}{}"), InlineData("// x\n1")]
    [InlineData("/**/1"), InlineData("01"), InlineData("+1"), InlineData(".5"), InlineData("1."), InlineData("0x10"), InlineData("nul"), InlineData("True")]
    [InlineData("'a'"), InlineData("{a:1}"), InlineData("\"\t\""), InlineData("\"\\x41\""), InlineData("\"\\u00g0\""), InlineData("\"\\"), InlineData("[1}"), InlineData("[\"a\" \"b\"]")]
    public void StrictJson_TextOutsideTheGrammar_IsRefused(string text) => Refused("invalid_json", text);

    [Fact, Trait("Spec", "RFC8259-8.1")]
    public void StrictJson_ByteOrderMark_IsRefused() => Refused("invalid_json", "\uFEFF{}");

    [Theory, Trait("Spec", "RFC8259-8.1")]
    [InlineData(0xFF), InlineData(0xC0, 0xAF), InlineData(0xED, 0xA0, 0x80), InlineData(0xF4, 0x90, 0x80, 0x80), InlineData(0xE2, 0x82), InlineData(0x80)]
    public void StrictJson_InvalidUtf8InsideAString_IsRefused(params int[] bytes)
    {
        byte[] text = [(byte)'"', .. bytes.Select(b => (byte)b), (byte)'"'];
        Assert.Equal("invalid_utf8", StrictJson.Parse(text, Body).Fault?.Code);
    }

    [Theory, Trait("Spec", "RFC7493-2.1")]
    [InlineData("\"\\ud800\""), InlineData("\"\\udc00\""), InlineData("\"\\udc00\\ud800\""), InlineData("\"\\ud800\\ud800\\udc00\""), InlineData("\"\\uD800\\n\"")]
    [InlineData("\"\\ud800x\""), InlineData("{\"\\ud800\":1}"), InlineData("[\"ok\",{\"a\":\"\\\\\\udfff\"}]"), InlineData("\"\\ud83d\\ude00\\ud83d\"")]
    public void StrictJson_EscapedLoneSurrogate_IsRefused(string text) => Refused("invalid_utf8", text);

    [Fact, Trait("Spec", "RFC7493-2.1")]
    public void StrictJson_DecodedTextWithALoneSurrogate_IsRefused() =>
        Assert.Equal("invalid_utf8", StrictJson.Parse("\"\uD800\"", Body).Fault?.Code);

    [Theory, Trait("Attack", "133"), Trait("Spec", "RFC8259-4"), Trait("Spec", "RFC7493-2.3")]
    [InlineData("{\"name\":1,\"name\":1}"), InlineData("{\"name\":1,\"Name\":2}"), InlineData("{\"arguments\":{},\"Arguments\":{}}")]
    [InlineData("{\"name\":1,\"n\\u0061me\":2}"), InlineData("{\"n\\u0041me\":1,\"name\":2}"), InlineData("[{},{\"x\":{\"y\":[{\"a\":1,\"b\":2,\"a\":3}]}}]")]
    [InlineData("{\"\":1,\"\":2}"), InlineData("{\"a/b\":1,\"a\\/b\":2}"), InlineData("{\"é\":1,\"É\":2}"), InlineData("{\"é\":1,\"\\u00c9\":2}")]
    [InlineData("{\"kind\":1,\"\u212Aind\":2}"), InlineData("{\"scope\":1,\"\u017Fcope\":2}"), InlineData("{\"a\":{\"b\":1},\"c\":2,\"A\":3}")]
    [InlineData("{\"\uD801\uDC00\":1,\"\uD801\uDC28\":2}"), InlineData("{\"ς\":1,\"Σ\":2}")]
    public void StrictJson_NamesEqualButForCaseOrEscapes_AreRefused(string text) => Refused("duplicate_member", text);

    [Fact, Trait("Attack", "133")]
    public void StrictJson_DuplicateName_IsShownCutAndWithoutControls()
    {
        var name = "x\\r\\n" + new string('y', 100);
        var path = Parse($"{{\"{name}\":1,\"{name}\":2}}").Fault?.Path;
        Assert.Equal("x??" + new string('y', 61), path);
    }

    [Fact]
    public void StrictJson_SameNameInDifferentObjects_IsAccepted() =>
        Assert.Null(Parse("{\"a\":{\"a\":1,\"b\":{\"a\":2}},\"b\":[{\"a\":1},{\"a\":1}],\"c\":{\"a\":1}}").Fault);

    [Theory, Trait("Attack", "135"), Trait("Spec", "RFC7493-2.2")]
    [InlineData("9007199254740993"), InlineData("-9007199254740993"), InlineData("1e400"), InlineData("-1E+400"), InlineData("1e-400"), InlineData("18446744073709551616")]
    [InlineData("0.1000000000000000055511151231257827"), InlineData("-0"), InlineData("-0.0"), InlineData("-0e5"), InlineData("333333333.33333329"), InlineData("3.141592653589793238")]
    [InlineData("1e99999999999999999999"), InlineData("1e-99999999999999999999"), InlineData("123456789012345678901234567890"), InlineData("2.4703282292062327e-324")]
    public void StrictJson_NumberThatReadersSeeDifferently_IsRefused(string number)
    {
        Refused("inexact_number", number);
        Refused("inexact_number", $"{{\"amount\":[{number}]}}");
    }

    [Theory, Trait("Attack", "135"), Trait("Spec", "RFC7493-2.2")]
    [InlineData("0", 0), InlineData("0.0", 0), InlineData("0e400", 0), InlineData("0.1", 0.1), InlineData("0.3", 0.3), InlineData("12.50", 12.5), InlineData("1e2", 100)]
    [InlineData("1E+2", 100), InlineData("100", 100), InlineData("-1.5", -1.5), InlineData("9007199254740992", 9007199254740992), InlineData("9007199254740994", 9007199254740994)]
    [InlineData("1.7976931348623157e308", double.MaxValue), InlineData("5e-324", double.Epsilon), InlineData("2.2250738585072014E-308", 2.2250738585072014E-308)]
    [InlineData("10000000000000000000000", 1e22), InlineData("0.00000000000000000000000000000100", 1e-30), InlineData("100e-2", 1), InlineData("123456789012345.6", 123456789012345.6)]
    public void StrictJson_NumberThatReadersAgreeOn_KeepsItsValue(string number, double value) => Assert.Equal(value, Parse(number).Value.GetDouble());

    [Theory, Trait("Attack", "135")]
    [InlineData("NaN"), InlineData("Infinity"), InlineData("-Infinity"), InlineData("-NaN")]
    public void StrictJson_NotANumber_IsRefused(string number) => Refused("invalid_json", number);

    [Fact, Trait("Attack", "135")]
    public void StrictJson_NumberInQuotes_StaysAString() => Assert.Equal(JsonValueKind.String, Parse("\"100\"").Value.ValueKind);

    [Theory, Trait("Attack", "137")]
    [InlineData("[", "]"), InlineData("{\"a\":", "}")]
    public void StrictJson_Depth_IsBoundedExactly(string open, string close)
    {
        string Nested(int depth) => string.Concat(Enumerable.Repeat(open, depth - 1)) + "[]" + string.Concat(Enumerable.Repeat(close, depth - 1));
        Assert.Null(Parse(Nested(64)).Fault);
        Refused("too_deep", Nested(65));
        Refused("too_deep", string.Concat(Enumerable.Repeat(open, 100_000)));
    }

    [Fact, Trait("Attack", "137")]
    public void StrictJson_TooManyBytes_IsRefusedBeforeAnythingElse()
    {
        Refused("too_large", new string('[', 5 * 1024 * 1024));
        Assert.Equal("too_large", StrictJson.Parse("\"éé\"", new JsonLimits(5)).Fault?.Code);
        Assert.Null(StrictJson.Parse("\"éé\"", new JsonLimits(6)).Fault);
    }

    [Fact, Trait("Attack", "166")]
    public void StrictJson_ManyMembers_AreReadInTimeAndStillCompared()
    {
        static string Members(int count) => string.Join(',', Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"\"name{i}\":{i}")));
        // 100 kB, the promise is 100 ms; the best of three, so that a pause of the machine is not the reader's.
        var text = $"{{{Members(6000)}}}";
        var best = Enumerable.Range(0, 3).Min(_ =>
        {
            var clock = System.Diagnostics.Stopwatch.StartNew();
            Assert.Null(Parse(text).Fault);
            return clock.ElapsedMilliseconds;
        });
        Assert.True(best < 500, $"{best} ms");
        Assert.Null(Parse($"{{{Members(100_000)}}}").Fault);
        Refused("duplicate_member", $"{{{Members(100_000)},\"NAME77777\":0}}");
    }
}
