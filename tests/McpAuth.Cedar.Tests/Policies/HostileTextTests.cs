using System.Diagnostics;
using System.Text;
using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Policies;

/// <summary>Texts that were made to do harm end in a diagnostic, soon.</summary>
public sealed class HostileTextTests
{
    private const string Start = "permit(principal, action, resource) when { ";
    private const string JsonStart =
        """{"effect":"permit","principal":{"op":"All"},"action":{"op":"All"},"resource":{"op":"All"},"conditions":[{"kind":"when","body":""";

    /// <summary>Generous, since the machine may be busy: what is quadratic takes hours.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("(")]
    [InlineData("[")]
    [InlineData("{a:")]
    [InlineData("!")]
    [InlineData("-")]
    [InlineData("if ")]
    [InlineData("if true then ")]
    [InlineData("if true then true else ")]
    [InlineData("principal.contains(")]
    [InlineData("ip(")]
    [InlineData("principal[")]
    [InlineData("principal.")]
    [InlineData("principal has a.")]
    [InlineData("principal is T in (")]
    [InlineData("a::")]
    [InlineData("1+")]
    [InlineData("1*")]
    [InlineData("1==")]
    [InlineData("true&&")]
    [InlineData("true||")]
    [InlineData("\"")]
    [InlineData("\"\\")]
    [InlineData("//")]
    [InlineData("@a")]
    [InlineData("@")]
    [InlineData("permit(")]
    [InlineData(";")]
    [InlineData("a")]
    [InlineData("9")]
    [InlineData("?")]
    [InlineData("\0")]
    [InlineData("\ud800")]
    [InlineData("\ufeff")]
    public void TenMegabytesOfOnePart_AreRefusedSoon(string part)
    {
        string much = string.Concat(Enumerable.Repeat(part, 10_000_000 / part.Length));
        foreach (string text in new[] { Start + much, much[..1_000_000] })
        {
            var watch = Stopwatch.StartNew();
            Parsed<PolicySet> parsed = PolicySet.Parse(text);
            Assert.True(watch.Elapsed < Soon, $"{watch.Elapsed}");
            if (part == "//" && text.Length == 1_000_000) continue; // comments alone are no policy, and no mistake
            Assert.False(parsed.Ok);
            Assert.All(parsed.Diagnostics, d => Assert.NotEmpty(d.Render()));
        }
    }

    [Fact]
    public void TextBeyondTheLimit_IsRefused() =>
        Assert.Equal("too_long", Assert.Single(PolicySet.Parse(new string(' ', Limits.Text + 1)).Diagnostics).Code);

    /// <summary>Nested, each of these would double the size of the expression.</summary>
    [Theory]
    [InlineData("({0} is T in resource)")]
    [InlineData("({0} has a.b)")]
    public void Notations_ThatRepeatTheirTarget_CannotBeNestedWithoutEnd(string notation)
    {
        Assert.True(PolicySet.Parse(Nested(10)).Ok);
        Assert.Equal("too_large", Assert.Single(PolicySet.Parse(Nested(60)).Diagnostics).Code);

        string Nested(int depth)
        {
            string expression = "principal";
            for (int i = 0; i < depth; i++) expression = notation.Replace("{0}", expression, StringComparison.Ordinal);
            return $"{Start}{expression} }};";
        }
    }

    [Fact]
    public void Depth_IsAllowedUpToTheLimit()
    {
        Assert.True(PolicySet.Parse(Nested(Limits.Depth - 1)).Ok);
        Assert.Equal("too_deep", Assert.Single(PolicySet.Parse(Nested(Limits.Depth)).Diagnostics).Code);
        Assert.True(PolicySet.Parse($"{Start}1{string.Concat(Enumerable.Repeat(" + 1", Limits.Depth - 1))} == 1 }};").Diagnostics is [{ Code: "too_deep" }]);
        Assert.True(PolicySet.Parse($"{Start}1{string.Concat(Enumerable.Repeat(" + 1", Limits.Depth - 2))} == 1 }};").Ok);

        static string Nested(int depth) => $"{Start}{new string('(', depth)}true{new string(')', depth)} }};";
    }

    [Fact]
    public void LongChain_IsReadAndWrittenInBothForms()
    {
        PolicySet set = PolicySet.Parse($"{Start}true{string.Concat(Enumerable.Repeat(" && false", 100_000))} }};").Value;
        Assert.True(SamePolicy.Are(set, PolicySet.Parse(set.ToCedar()).Value));
        var watch = Stopwatch.StartNew();
        Assert.True(SamePolicy.Are(set, PolicySet.ParseJson(Encoding.UTF8.GetBytes(set.ToJson())).Value));
        Assert.True(watch.Elapsed < Soon, $"{watch.Elapsed}");
    }

    [Theory]
    [InlineData("[", "", "")]
    [InlineData("{\"a\":", "", "")]
    [InlineData(JsonStart, "{\"!\":{\"arg\":", "}}")]
    [InlineData(JsonStart, "{\"Set\":[", "]}")]
    [InlineData(JsonStart, "{\"Record\":{\"a\":", "}}")]
    [InlineData(JsonStart, "{\"&&\":{\"left\":{\"Value\":true},\"right\":", "}}")]
    [InlineData(JsonStart, "{\"&&\":{\"right\":{\"Value\":true},\"left\":{\"||\":{\"right\":{\"Value\":true},\"left\":", "}}}}")]
    [InlineData(JsonStart + "{\"Value\":", "[", "]")]
    [InlineData(JsonStart, "{\"is\":{\"entity_type\":\"T\",\"in\":{\"Var\":\"resource\"},\"left\":", "}}")]
    [InlineData(JsonStart, "{\"has\":{\"attr\":[\"a\",\"b\"],\"left\":", "}}")]
    public void DeepJson_IsRefusedSoon(string start, string open, string close)
    {
        const int Deep = 100_000;
        string json = start + string.Concat(Enumerable.Repeat(open, Deep)) + "{\"Value\":true}" + string.Concat(Enumerable.Repeat(close, Deep)) +
            (start.Length > JsonStart.Length ? "}}]}" : "}]}");
        var watch = Stopwatch.StartNew();
        Parsed<PolicySet> parsed = PolicySet.ParseJson(Encoding.UTF8.GetBytes(json));
        Assert.True(watch.Elapsed < Soon, $"{watch.Elapsed}");
        Assert.False(parsed.Ok);
        Assert.All(parsed.Diagnostics, d => Assert.InRange(d.Path!.Length, 1, 1_000));
    }
}
