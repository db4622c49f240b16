using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuthServer.Admin;

namespace McpAuthServer.Tests.Admin;

/// <summary>What whoever approves a tool is shown of two definitions.</summary>
public sealed class DefinitionDifferenceTests
{
    [Theory]
    [InlineData("""{"a":1}""", """{"a":1.0}""", """[]""")]
    [InlineData("""{"a":1,"b":2}""", """{"b":2,"a":1}""", """[]""")]
    [InlineData("""{"a":0}""", """{"a":-0.0}""", """[]""")]
    [InlineData("""{"a":"x"}""", """{"a":"y"}""", """[{"path":"/a","approved":"x","reported":"y"}]""")]
    [InlineData("""{"a":{"b":{"c":1}}}""", """{"a":{"b":{}}}""", """[{"path":"/a/b/c","approved":1}]""")]
    [InlineData("""{"a":{}}""", """{"a":{"b":[true,{"c":null}]}}""", """[{"path":"/a/b/0","reported":true},{"path":"/a/b/1/c","reported":null}]""")]
    [InlineData("""{}""", """{"a":{},"b":[]}""", """[{"path":"/a","reported":{}},{"path":"/b","reported":[]}]""")]
    [InlineData("""{"a":{"b":1}}""", """{"a":"b"}""", """[{"path":"/a","approved":{"b":1},"reported":"b"}]""")]
    [InlineData("""{"a":true}""", """{"a":false}""", """[{"path":"/a","approved":true,"reported":false}]""")]
    [InlineData("""{"a":[1,2,3]}""", """{"a":[1,3]}""", """[{"path":"/a/1","approved":2,"reported":3},{"path":"/a/2","approved":3}]""")]
    [InlineData("""{"a/b":{"m~n":1}}""", """{"a/b":{"m~n":2}}""", """[{"path":"/a~1b/m~0n","approved":1,"reported":2}]""")]
    [InlineData("""1""", """2""", """[{"path":"","approved":1,"reported":2}]""")]
    [InlineData("""{"":1}""", """{"":2}""", """[{"path":"/","approved":1,"reported":2}]""")]
    [Trait("Spec", "RFC6901-3")]
    public void Difference_IsToldLeafByLeaf(string approved, string reported, string difference)
    {
        var told = DefinitionDifference.Of(JsonElement.Parse(approved), JsonElement.Parse(reported));
        Assert.True(told.Complete);
        Assert.Equal(JsonNode.Parse(difference)!.ToJsonString(), told.Entries.ToJsonString());
    }

    /// <summary>What is told leads from the one to the other, and there is something to tell exactly where the digests differ.</summary>
    [Fact]
    public void Difference_OfAnyTwo_LeadsFromTheOneToTheOther()
    {
        var (equal, different) = (0, 0);
        var value = Gen.Sized(size => Value(Math.Min(size, 3)));
        Prop.ForAll((from a in value from b in value from same in Gen.Choose(0, 3) select (a, same == 0 ? a : b)).ToArbitrary(), pair =>
        {
            var (before, after) = (JsonElement.Parse(pair.a), JsonElement.Parse(pair.Item2));
            var difference = DefinitionDifference.Of(before, after);
            var alike = CanonicalJson.Digest(before) == CanonicalJson.Digest(after);
            _ = alike ? equal++ : different++;
            var (leaves, wanted) = (Leaves(before), Leaves(after));
            foreach (var entry in difference.Entries)
            {
                var path = (string)entry!["path"]!;
                foreach (var gone in leaves.Keys.Where(k => k == path || k.StartsWith(path + "/", StringComparison.Ordinal)).ToList())
                    leaves.Remove(gone);
                // What has parts beside something of another kind is told whole.
                if (entry.AsObject().TryGetPropertyValue("reported", out var now))
                    foreach (var (leaf, text) in Leaves(JsonElement.Parse(now?.ToJsonString() ?? "null"), path))
                        leaves[leaf] = text;
            }
            return difference.Entries.Count == 0 == alike && Content(leaves).SetEquals(Content(wanted));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
        Assert.True(equal > 100 && different > 100, $"{equal} equal, {different} different: the generator proves little");
    }

    [Fact]
    public void Difference_ThatIsTooLong_SaysThatItIsNotAll_AndATextIsNeverCut()
    {
        var many = new JsonObject(Enumerable.Range(0, 2000).Select(i => KeyValuePair.Create($"m{i}", (JsonNode?)i)));
        var told = DefinitionDifference.Of(JsonElement.Parse("{}"), JsonElement.Parse(many.ToJsonString()));
        Assert.Equal((false, 1000), (told.Complete, told.Entries.Count));

        // A name that stands in every path.
        var (name, text) = (new string('n', 1_000_000), new string('t', 2_000_000));
        var deep = JsonElement.Parse($$"""{"{{name}}":[{{string.Join(',', Enumerable.Range(0, 500))}}]}""");
        told = DefinitionDifference.Of(JsonElement.Parse("{}"), deep);
        Assert.False(told.Complete);
        Assert.InRange(told.Entries.Sum(e => ((string)e!["path"]!).Length), 1, 3 * Limits.GuardBody);
        told = DefinitionDifference.Of(JsonElement.Parse($$"""{"d":"{{text}}"}"""), JsonElement.Parse($$"""{"d":"{{text}}!"}"""));
        Assert.Equal((true, text, text + "!"), (told.Complete, (string?)told.Entries[0]!["approved"], (string?)told.Entries[0]!["reported"]));
    }

    [Fact]
    public void Difference_WithCharactersThatNobodySees_IsToldWithTheirEscapesToo()
    {
        var told = DefinitionDifference.Of(JsonElement.Parse("""{"d":"Reads a file."}"""), JsonElement.Parse("""{"d":"Reads\u202e a file.\u200b","\u2066x":1}"""));
        Assert.Equal("Reads\u202e a file.\u200b", (string?)told.Entries[0]!["reported"]);
        Assert.Equal("\"Reads\\u202e a file.\\u200b\"", (string?)told.Entries[0]!["reported_shown"]);
        Assert.Null(told.Entries[0]!["approved_shown"]);
        Assert.Equal("\"/\\u2066x\"", (string?)told.Entries[1]!["path_shown"]);
    }

    [Fact]
    public void Invisible_EachTextThatHasSome_IsToldWithThem()
    {
        var invisible = new InvisibleText();
        invisible.Look(JsonElement.Parse("""
            {"name":"a","description":"Reads.\u202e\u200b\u200b Line\nand\ttab","inputSchema":{"properties":{"p\u00ad":{"enum":["fine é 日本 😀","\u0007","\ud83d\udc68\u200d\ud83d\udc69"]}}}}
            """), "reported");
        Assert.True(invisible.Complete);
        Assert.Equal(
            [
                ("reported", "/description", "value", "U+200B U+202E"), ("reported", "/inputSchema/properties/p\u00ad", "name", "U+00AD"),
                ("reported", "/inputSchema/properties/p\u00ad/enum/1", "value", "U+0007"), ("reported", "/inputSchema/properties/p\u00ad/enum/2", "value", "U+200D"),
            ],
            invisible.Entries.Select(e => ((string)e!["in"]!, (string)e["path"]!, (string)e["part"]!, string.Join(' ', e["characters"]!.AsArray().Select(c => (string)c!)))));
        Assert.Equal("\"Reads.\\u202e\\u200b\\u200b Line\\nand\\ttab\"", (string?)invisible.Entries[0]!["shown"]);
    }

    [Fact]
    public void Invisible_WithoutEnd_IsCutAndSaysSo()
    {
        var invisible = new InvisibleText();
        invisible.Look(JsonElement.Parse($$"""{"a":"{{new string('\u200b', 20_000)}}","b":[{{string.Join(',', Enumerable.Repeat("\"\u200b\"", 150))}}]}"""), "approved");
        Assert.Equal((false, 100), (invisible.Complete, invisible.Entries.Count));
        Assert.Equal(10_001, ((string)invisible.Entries[0]!["shown"]!).Length);
    }

    [Theory]
    [InlineData(0xFE00)]
    [InlineData(0xFE0E)]
    [InlineData(0xFE0F)]
    [InlineData(0xE0100)]
    [InlineData(0xE01EF)]
    [InlineData(0x180B)]
    [InlineData(0x180D)]
    [InlineData(0x180E)]
    [InlineData(0x180F)]
    public void VariationSelectors_AreDrawnAsNothing_SoTheyAreTold(int selector)
    {
        var text = JsonElement.Parse(JsonValue.Create("heart \u2764" + char.ConvertFromUtf32(selector)).ToJsonString());
        var invisible = new InvisibleText();
        invisible.Look(text, "reported");
        Assert.Equal($"U+{selector:X4}", (string?)Assert.Single(Assert.Single(invisible.Entries)!["characters"]!.AsArray()));
        var escaped = string.Concat(char.ConvertFromUtf32(selector).Select(c => $"\\u{(int)c:x4}"));
        Assert.Equal($"\"heart \u2764{escaped}\"", (string?)invisible.Entries[0]!["shown"]);
        var difference = DefinitionDifference.Of(JsonElement.Parse("\"heart \u2764\""), text);
        Assert.Equal($"\"heart \u2764{escaped}\"", (string?)difference.Entries[0]!["reported_shown"]);
    }

    [Theory]
    [InlineData(10_000, false, true)]
    [InlineData(10_001, false, false)]
    [InlineData(0, true, false)]
    public void Invisible_CutInOneText_SaysSo(int letters, bool manyCharacters, bool complete)
    {
        // An escape has six letters, a text two quotes.
        var text = manyCharacters ? string.Concat(Enumerable.Range(0xE000, 101).Select(c => (char)c)) : new string('a', letters - 8) + '\u200b';
        var invisible = new InvisibleText();
        invisible.Look(JsonElement.Parse(JsonValue.Create(text).ToJsonString()), "approved");
        Assert.Equal(complete, invisible.Complete);
        Assert.InRange(invisible.Entries[0]!["characters"]!.AsArray().Count, 1, 100);
    }

    private static Gen<string> Value(int depth)
    {
        var leaf = Gen.Elements("1", "2.5", "-0", "0", "true", "false", "null", "\"x\"", "\"y\"", "{}", "[]");
        if (depth == 0)
            return leaf;
        var name = Gen.Elements("a", "b", "a/b", "~", "");
        var members = from names in name.ArrayOf(3) from values in Value(depth - 1).ArrayOf(3)
            select "{" + string.Join(',', names.Zip(values).DistinctBy(m => m.First).Select(m => $"\"{m.First}\":{m.Second}")) + "}";
        return Gen.Frequency((2, leaf), (3, members), (2, Value(depth - 1).ArrayOf(2).Select(items => $"[{string.Join(',', items)}]")));
    }

    private static Dictionary<string, string> Leaves(JsonElement value, string at = "")
    {
        var children = value.ValueKind switch
        {
            JsonValueKind.Object => value.EnumerateObject().Select(m => (m.Name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal), m.Value)).ToList(),
            JsonValueKind.Array => [.. value.EnumerateArray().Select((item, i) => (i.ToString(System.Globalization.CultureInfo.InvariantCulture), item))],
            _ => [],
        };
        return children.Count == 0
            ? new(StringComparer.Ordinal) { [at] = System.Text.Encoding.UTF8.GetString(CanonicalJson.ToBytes(value)) }
            : new(children.SelectMany(c => Leaves(c.Item2, $"{at}/{c.Item1}")), StringComparer.Ordinal);
    }

    /// <summary>Something that lost all its parts is nothing here.</summary>
    private static HashSet<string> Content(Dictionary<string, string> leaves) => [.. leaves.Where(l => l.Value is not ("{}" or "[]")).Select(l => $"{l.Key}={l.Value}")];
}
