using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Cedar.Policies;
using Xunit.Abstractions;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Which texts are policies, asked of both engines about texts that nearly are.</summary>
[Trait("Spec", "Cedar-Grammar")]
public partial class ParsingTests(ITestOutputHelper output)
{
    private const int Texts = 8000, AtOnce = 200;

    private static readonly string[] Tokens =
    [
        "true", "if", "then", "else", "in", "is", "like", "has", "permit", "principal", "context", "resource", "when", "unless", "?principal", "?resource", "__cedar", "a", "User", "ip", "isInRange",
        "(", ")", "[", "]", "{", "}", ",", ";", ":", "::", ".", "==", "!=", "=", "<", "<=", ">", ">=", "&&", "||", "&", "|", "!", "-", "--", "+", "*", "/", "%", "@", "@a", "@id(\"x\")", "?",
        "0", "00", "1", "9223372036854775807", "9223372036854775808", "9223372036854775809", "1.5", "1e2", "\"\"", "\"a\"", "\"*\"", @"""\*""", @"""\u{1F600}""", @"""\u{D800}""", @"""\u{110000}""", @"""\x41""", @"""\x80""", @"""\q""",
        @"""\0""", "\"\n\"", "'a'", "//", "// c\n", "/*", "é", "\u00a0", "\u2028", "\ufeff", ".a", "[\"a\"]", "has a.b", "is User", "is A::B in a", "decimal(\"1.0\")", "a.b", "f()", ".f()", "contains", ".contains(1)", ".isEmpty()", "User::\"a\"",
        "A::B::\"a\"", "A ::B :: \"a\"", "{a: 1}", "{\"a\": 1, a: 2}", "[1, 2,]", "{a: 1,}", "a::b", "action == Action::\"x\"", "action in [Action::\"x\"]", "principal is User", "resource in ?resource", "when { true }", "unless { 1 }", "if true then 1 else 2",
    ];

    [ReferenceFact]
    public void Text_ThatIsNearlyAPolicy_IsOneForBothOrForNeither()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("MCPAUTH_SEED"), out int given) ? given : Environment.TickCount & 0xFFFFFFF;
        var dice = new Dice(seed);
        var differences = new List<string>();
        int accepted = 0;
        using var reference = new Reference();
        for (int done = 0; done < Texts; done += AtOnce)
        {
            string[] texts = [.. Enumerable.Range(0, AtOnce).Select(_ => Spoil(dice, dice.Of(CaseMaker.Make(dice.Below(100_000), 3, 1).Policies).ToString()))];
            var answers = reference.Ask(new JsonObject { ["op"] = "parse", ["texts"] = new JsonArray([.. texts.Select(t => (JsonNode)t)]) }.ToJsonString()).GetProperty("accepted");
            for (int i = 0; i < texts.Length; i++)
            {
                Parsed<PolicySet> ours = PolicySet.Parse(texts[i]);
                if (ours.Ok) accepted++;
                if (ours.Ok != answers[i].GetBoolean()) differences.Add(ours.Ok ? $"only we accept: {texts[i]}" : $"only they accept, we say {ours.Diagnostics[0]}: {texts[i]}");
            }
        }
        output.WriteLine($"{accepted} of {Texts} are policies");
        Assert.True(differences.Count == 0, $"MCPAUTH_SEED={seed}, {differences.Count} differences:\n{string.Join('\n', differences.OrderBy(d => d.Length).Take(20))}");
        Assert.InRange(accepted, Texts / 20, Texts * 19 / 20);
    }

    /// <summary>One to three tokens dropped, doubled, swapped with the next, replaced or put in.</summary>
    private static string Spoil(Dice dice, string text)
    {
        List<string> tokens = [.. Token().Matches(text).Select(m => m.Value)];
        for (int edits = dice.Of(1, 1, 1, 2, 3); edits > 0 && tokens.Count > 1; edits--)
        {
            int at = dice.Below(tokens.Count - 1);
            switch (dice.Below(5))
            {
                case 0: tokens.RemoveAt(at); break;
                case 1: tokens.Insert(at, tokens[at]); break;
                case 2: (tokens[at], tokens[at + 1]) = (tokens[at + 1], tokens[at]); break;
                case 3: tokens[at] = dice.Of(Tokens); break;
                default: tokens.Insert(at, dice.Chance(80) ? $" {dice.Of(Tokens)} " : dice.Of(Tokens)); break;
            }
        }
        return string.Concat(tokens);
    }

    [GeneratedRegex(@"""(?:\\.|[^""\\])*""|\w+|::|&&|\|\||[=!<>]=|\s+|.", RegexOptions.Singleline)]
    private static partial Regex Token();
}
