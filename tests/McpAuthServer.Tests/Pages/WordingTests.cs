using System.Text.Json;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Pages.Wording;

namespace McpAuthServer.Tests.Pages;

public sealed class WordingTests
{
    [Theory]
    [InlineData("""{"constraint_type":"exact","value":"o-9"}""", "exactly “o-9”")]
    [InlineData("""{"constraint_type":"exact","value":7}""", "exactly 7")]
    [InlineData("""{"constraint_type":"exact","value":true}""", "exactly true")]
    [InlineData("""{"constraint_type":"exact","value":null}""", "exactly nothing (null)")]
    [InlineData("""{"constraint_type":"exact","value":{"a":[1]}}""", """exactly {"a":[1]}""")]
    [InlineData("""{"constraint_type":"one_of","values":["a","b"]}""", "one of “a”, “b”")]
    [InlineData("""{"constraint_type":"one_of","values":["a"]}""", "exactly “a”")]
    [InlineData("""{"constraint_type":"one_of","values":[]}""", "no value at all")]
    [InlineData("""{"constraint_type":"not_one_of","values":["x"]}""", "not “x”")]
    [InlineData("""{"constraint_type":"not_one_of","values":["x",2]}""", "none of “x”, 2")]
    [InlineData("""{"constraint_type":"not_one_of","values":[]}""", "any value")]
    [InlineData("""{"constraint_type":"range","min":0,"max":500}""", "from 0 to 500")]
    [InlineData("""{"constraint_type":"range","max":500,"max_inclusive":false}""", "less than 500")]
    [InlineData("""{"constraint_type":"range","max":500}""", "at most 500")]
    [InlineData("""{"constraint_type":"range","min":5}""", "at least 5")]
    [InlineData("""{"constraint_type":"range","min":5,"min_inclusive":false}""", "more than 5")]
    [InlineData("""{"constraint_type":"range","min":0,"min_inclusive":false,"max":9.5}""", "more than 0 and at most 9.5")]
    [InlineData("""{"constraint_type":"range","min":0,"max":9,"max_inclusive":false}""", "at least 0 and less than 9")]
    [InlineData("""{"constraint_type":"range"}""", "any number")]
    [InlineData("""{"constraint_type":"prefix","value":"EU-"}""", "starting with “EU-”")]
    [InlineData("""{"constraint_type":"prefix","value":""}""", "any text")]
    [InlineData("""{"constraint_type":"path_under","value":"reports"}""", "under “reports”")]
    [InlineData("""{"constraint_type":"contains","values":["a","b"]}""", "includes “a”, “b”")]
    [InlineData("""{"constraint_type":"contains","values":[]}""", "any list")]
    [InlineData("""{"constraint_type":"subset","values":["a","b"]}""", "only from “a”, “b”")]
    [InlineData("""{"constraint_type":"subset","values":[]}""", "only an empty list")]
    [InlineData("""{"constraint_type":"wildcard"}""", "any value")]
    [InlineData("""{"constraint_type":"all","of":[{"constraint_type":"prefix","value":"a"},{"constraint_type":"not_one_of","values":["ab"]}]}""", "starting with “a” and not “ab”")]
    [InlineData("""{"constraint_type":"any","of":[{"constraint_type":"exact","value":1},{"constraint_type":"range","min":5,"max":9,"max_inclusive":false}]}""", "exactly 1 or (at least 5 and less than 9)")]
    [InlineData("""{"constraint_type":"all","of":[]}""", "any value")]
    [InlineData("""{"constraint_type":"any","of":[{"constraint_type":"exact","value":1}]}""", "exactly 1")]
    [InlineData("""{"constraint_type":"any","of":[{"constraint_type":"all","of":[{"constraint_type":"exact","value":1},{"constraint_type":"exact","value":2}]},{"constraint_type":"one_of","values":[3,4]}]}""",
        "(exactly 1 and exactly 2) or (one of 3, 4)")]
    public void Constraint_EachType_IsPlainEnglish(string constraint, string words)
    {
        Assert.Equal(new Worded(words), Worded(constraint));
    }

    [Fact]
    public void Constraint_LongList_IsCutAndHasAllOfIt()
    {
        var values = string.Join(',', Enumerable.Range(1, 17).Select(i => $"\"v{i}\""));

        var words = Worded($$"""{"constraint_type":"one_of","values":[{{values}}]}""");

        Assert.Equal("one of “v1”, “v2”, “v3”, “v4”, “v5” and 12 more", words.Short);
        Assert.EndsWith("“v16”, “v17”", words.Full, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("all", "and")]
    [InlineData("any", "or")]
    public void Constraint_ManyClauses_AreCutAndAllThere(string type, string with)
    {
        var clauses = string.Join(',', Enumerable.Range(1, 8).Select(i => $$"""{"constraint_type":"exact","value":{{i}}}"""));

        var words = Worded($$"""{"constraint_type":"{{type}}","of":[{{clauses}}]}""");

        Assert.Equal($"exactly 1 {with} exactly 2 {with} exactly 3 {with} exactly 4 {with} exactly 5 {with} 3 more", words.Short);
        Assert.EndsWith($"exactly 7 {with} exactly 8", words.Full, StringComparison.Ordinal);
    }

    [Fact]
    public void Constraint_LongValue_IsCutAndAllThere()
    {
        var words = Worded($$"""{"constraint_type":"exact","value":"{{new string('a', 300)}}"}""");

        Assert.Equal($"exactly “{new string('a', 80)}…”", words.Short);
        Assert.Equal($"exactly “{new string('a', 300)}”", words.Full);
    }

    [Fact]
    public void Constraint_QuotesInAValue_DoNotEndIt()
    {
        var words = Worded("""{"constraint_type":"exact","value":"a” or exactly “b"}""");

        Assert.Equal("exactly “a\" or exactly \"b”", words.Short);
    }

    [Theory]
    [InlineData("{}", "Any arguments")]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}""", "path under “reports”|Only these arguments")]
    [InlineData("""{"args":{"a":{"constraint_type":"wildcard"},"b":{"constraint_type":"range","max":9}},"optional":["b"]}""", "a any value|b at most 9 (may be left out)|Only these arguments")]
    [InlineData("""{"max_calls":3}""", "Any arguments|At most 3 calls")]
    [InlineData("""{"max_calls":1}""", "Any arguments|At most 1 call")]
    [InlineData("""{"max_calls":0}""", "Any arguments|No calls")]
    [InlineData("""{"approval":"required"}""", "Any arguments|Asks you before each call")]
    public void Limits_OfATool_AreSaid(string tool, string lines)
    {
        Assert.Equal(lines.Split('|'), ToolWording.Limits(Tool(tool), approvalByRegistry: false).Select(l => l.Short));
    }

    [Fact]
    public void Limits_ApprovalThatTheRegistryDemands_IsSaid() =>
        Assert.Equal(["Any arguments", "Asks you before each call"], ToolWording.Limits(null, approvalByRegistry: true).Select(l => l.Short));

    [Theory]
    [InlineData("read", "Read", null)]
    [InlineData("write", "Change", "can change data")]
    [InlineData("destructive", "Delete or destroy", "can destroy data")]
    [InlineData("unheard of", "Delete or destroy", "can destroy data")]
    public void Sensitivity_Unknown_CountsAsTheMost(string sensitivity, string heading, string? can) =>
        Assert.Equal((heading, can), (ToolWording.Heading(sensitivity), ToolWording.Can(sensitivity)));

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("  a \t\r\n\n b ", "a b")]
    [InlineData("a\u202Eb\u2066c\u2069", "a\uFFFDb\uFFFDc\uFFFD")]
    [InlineData("a\u200Bb\u200Dc\u00ADd\uFEFFe", "a\uFFFDb\uFFFDc\uFFFDd\uFFFDe")]
    [InlineData("\u3164\u2800", "\uFFFD\uFFFD")]
    [InlineData("a\u0000b\u001Bc\u0085d", "a\uFFFDb\uFFFDc d")]
    [InlineData("a\uE000b", "a\uFFFDb")]
    [InlineData("\uDB40\uDC41\uDB40\uDC42", "\uFFFD\uFFFD")]
    [InlineData("a\u0301\u0301\u0301\u0301\u0301\u0301b", "a\u0301\u0301\u0301\u0301b")]
    [InlineData("שלום 你好 é 👍", "שלום 你好 é 👍")]
    [InlineData("\u2764\uFE0F a\uFE0F\u2600\uFE0E\uFE0E", "\u2764\uFE0F a\uFFFD\u2600\uFE0E\uFFFD")]
    [InlineData("👍\uFE0F\uFE0F \uFE0F\u2764\uFE00", "👍\uFE0F\uFFFD \uFFFD\u2764\uFFFD")]
    [InlineData("a\u180B\u180C\u180D\u180F\uFE00\uFE05", "a\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD")]
    [InlineData("\uDB40\uDD00\uDB40\uDDEF\uDB40\uDD00\uDB40\uDD00\uDB40\uDD00\uDB40\uDD00", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD")]
    public void Text_WhatCannotBeSeen_IsMadeVisible(string text, string shown) => Assert.Equal(shown, ShownText.Of(text));

    [Fact]
    public void Text_LoneSurrogate_IsMadeVisible() => Assert.Equal("a\uFFFDb", ShownText.Of("a" + (char)0xD800 + "b"));

    [Theory]
    [InlineData("abcdef", 6, "abcdef")]
    [InlineData("abcdefg", 6, "abcdef…")]
    [InlineData("abcde fg", 6, "abcde…")]
    [InlineData("👍👍👍", 2, "👍👍…")]
    public void Text_TooLong_IsCutAndSaysSo(string text, int most, string shown) => Assert.Equal(shown, ShownText.Of(text, most));

    [Theory]
    [InlineData(3600, "in 1 hour")]
    [InlineData(5400, "in 1 hour 30 minutes")]
    [InlineData(7200, "in 2 hours")]
    [InlineData(59 * 60 + 31, "in 1 hour")]
    [InlineData(60, "in 1 minute")]
    [InlineData(20, "in less than a minute")]
    [InlineData(0, "now")]
    [InlineData(86400, "in 1 day")]
    [InlineData(86400 * 30 + 3600, "in 30 days 1 hour")]
    public void Time_Left_IsRounded(int seconds, string words) => Assert.Equal(words, TimeWording.In(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Time_At_IsUtcAndSaysSo()
    {
        var time = new DateTimeOffset(2026, 11, 22, 14, 5, 0, TimeSpan.FromHours(1));

        Assert.Equal(("22 Nov 2026, 13:05 UTC", "2026-11-22T13:05:00Z"), (TimeWording.At(time), TimeWording.Machine(time)));
    }

    private static Worded Worded(string constraint) => ConstraintWording.Of(Tool("{\"args\":{\"x\":" + constraint + "}}").Args["x"]);

    private static ToolAuthority Tool(string json) => Authority.Parse(JsonElement.Parse(
        """[{"type":"mcp_tool_call","locations":["https://files.test/mcp"],"actions":["tools/call"],"tools":{"t":""" + json + "}}]")).Value.Locations[0].Tools["t"];
}
