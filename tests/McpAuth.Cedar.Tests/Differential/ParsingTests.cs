using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using Xunit.Abstractions;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Which texts are policies, and which are schemas: asked of both engines about texts that nearly are.</summary>
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

    private static readonly string[] SchemaTokens =
    [
        "entity", "action", "type", "namespace", "in", "tags", "enum", "appliesTo", "principal", "resource", "context", "attributes", "Set", "Set<Long>", "Long", "Bool", "String", "Boolean", "Record", "Entity", "Extension", "ipaddr",
        "decimal", "datetime", "duration", "__cedar", "__cedar::Long", "__cedar::ipaddr", "A", "B::C", "User", "Action", "Action::\"any\"", "App::User", "true", "if", "has", "like", "is", "{", "}", "[", "]", "<", ">", "(", ")", ":", "::", ";", ",", "?", "=", "@", "@doc(\"x\")", "@doc", "\"\"",
        "\"a\"", "\"a b\"", @"""\u{e9}""", @"""\*""", "1", "é", "//", "{}", "{a: Long}", "{a?: Long,}", "{\"if\": Long}", "{if: Long}", "type T = Long;", "type T = {a: T2}; type T2 = Long;", "type T = Set<T>;", "entity A, B;", "entity A in [A, B] {};", "entity E enum [\"x\"];", "entity E enum [];",
        "action a, \"b c\";", "action x appliesTo {principal: [], resource: []};", "principal: User,", "resource: [User],", "context: {}", "context: T", "namespace N {}", "namespace N { entity Z; }", "tags Set<String>", "in [any]",
    ];

    [ReferenceFact]
    public void Text_ThatIsNearlyAPolicy_IsOneForBothOrForNeither() => Run("parse", Tokens,
        dice => dice.Of(CaseMaker.Make(dice.Below(100_000), 3, 1).Policies).ToString(), text => PolicySet.Parse(text).Diagnostics);

    [ReferenceFact]
    public void Text_ThatIsNearlyASchema_IsOneForBothOrForNeither() => Run("schemas", SchemaTokens,
        dice => new ModelMaker(dice).Make().ToString(), text => CedarSchema.Parse(text).Diagnostics);

    private void Run(string operation, string[] tokens, Func<Dice, string> make, Func<string, IReadOnlyList<Diagnostic>> read)
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("MCPAUTH_SEED"), out int given) ? given : Environment.TickCount & 0xFFFFFFF;
        var dice = new Dice(seed);
        var differences = new List<string>();
        int accepted = 0;
        using var reference = new Reference();
        for (int done = 0; done < Texts; done += AtOnce)
        {
            string[] texts = [.. Enumerable.Range(0, AtOnce).Select(_ => Spoil(dice, make(dice), tokens))];
            JsonElement answers = reference.Ask(new JsonObject { ["op"] = operation, ["texts"] = new JsonArray([.. texts.Select(t => (JsonNode)t)]) }.ToJsonString()).GetProperty("accepted");
            for (int i = 0; i < texts.Length; i++)
            {
                Diagnostic? refused = read(texts[i]).FirstOrDefault(d => d.Severity == Severity.Error);
                if (refused is null) accepted++;
                if (refused is null != answers[i].GetBoolean()) differences.Add(refused is null ? $"only we accept: {texts[i]}" : $"only they accept, we say {refused}: {texts[i]}");
            }
        }
        output.WriteLine($"{accepted} of {Texts} are accepted");
        Assert.True(differences.Count == 0, $"MCPAUTH_SEED={seed}, {differences.Count} differences:\n{string.Join("\n\n", differences.OrderBy(d => d.Length).Take(20))}");
        Assert.InRange(accepted, Texts / 20, Texts * 19 / 20);
    }

    /// <summary>One to three tokens dropped, doubled, swapped with the next, replaced or put in.</summary>
    private static string Spoil(Dice dice, string text, string[] all)
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
                case 3: tokens[at] = dice.Of(all); break;
                default: tokens.Insert(at, dice.Chance(80) ? $" {dice.Of(all)} " : dice.Of(all)); break;
            }
        }
        return string.Concat(tokens);
    }

    [GeneratedRegex(@"""(?:\\.|[^""\\])*""|\w+|::|&&|\|\||[=!<>]=|\s+|.", RegexOptions.Singleline)]
    private static partial Regex Token();
}
