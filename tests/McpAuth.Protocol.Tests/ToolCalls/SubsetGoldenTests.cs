namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>Cases worked out by hand. Short forms, so that a row reads as a sentence, e.g. <c>[1..5[</c> for a range whose end is
/// outside (ISO 80000-2); <see cref="Full"/> writes them out.</summary>
[Trait("Spec", "wire:mcp_tool_call")]
public sealed class SubsetGoldenTests
{
    [Theory]
    // exact, by value
    [InlineData("= 100", "= 1e2", true)]
    [InlineData("= 0.30", "= 3e-1", true)]
    [InlineData("= -0", "= 0.0e7", true)]
    [InlineData("= 0.30000000000000004", "= 0.3", false)]
    [InlineData("= 9007199254740993", "= 9007199254740992", false)]
    [InlineData("= \"100\"", "= 100", false)]
    [InlineData("= {\"a\":1,\"b\":[2]}", "= {\"b\":[2.0],\"a\":1}", true)]
    [InlineData("= {\"a\":1}", "= {\"a\":1,\"b\":null}", false)]
    [InlineData("= [1,2]", "= [2,1]", false)]
    [InlineData("= [1]", "= [[1]]", false)]
    [InlineData("= \"a\"", "= \"A\"", false)]
    [InlineData("= \"\\u0061\"", "= \"a\"", true)]
    [InlineData("= null", "= false", false)]
    [InlineData("= \"s1:a\"", "= [\"a\"]", false)]
    [InlineData("= 100", "in [1,1e2]", true)]
    [InlineData("= 100", "in [\"100\"]", false)]
    [InlineData("= 1", "in []", false)]
    // exact under range, prefix, path
    [InlineData("= 500", "[..500]", true)]
    [InlineData("= 500", "[..500[", false)]
    [InlineData("= 500.0000000000000000001", "[..500]", false)]
    [InlineData("= 499.9999999999999999999", "[..500[", true)]
    [InlineData("= -0.1", "[-1e-1..]", true)]
    [InlineData("= -0.1", "]-1e-1..]", false)]
    [InlineData("= \"5\"", "[1..9]", false)]
    [InlineData("= 1e300", "[..]", true)]
    [InlineData("= \"ab\"", "^ \"a\"", true)]
    [InlineData("= \"a\"", "^ \"ab\"", false)]
    [InlineData("= 1", "^ \"\"", false)]
    [InlineData("= \"/a/b\"", "/ \"/a\"", true)]
    [InlineData("= \"/a\"", "/ \"/a\"", true)]
    [InlineData("= \"/ab\"", "/ \"/a\"", false)]
    [InlineData("= \"/a/../b\"", "/ \"/a\"", false)]
    [InlineData("= \"a/b\"", "/ \"/a\"", false)]
    // one_of
    [InlineData("in [1.0,2]", "in [2,1,3]", true)]
    [InlineData("in [1,4]", "in [1,2,3]", false)]
    [InlineData("in []", "in [1]", true)]
    [InlineData("in [1,5]", "[1..5]", true)]
    [InlineData("in [1,5]", "[1..5[", false)]
    [InlineData("in [1,\"2\"]", "[1..5]", false)]
    [InlineData("in [\"ab\",\"ac\"]", "^ \"a\"", true)]
    [InlineData("in [\"ab\",\"b\"]", "^ \"a\"", false)]
    // sound, but no rule says so
    [InlineData("in [1]", "= 1", false)]
    [InlineData("in [\"/a/b\"]", "/ \"/a\"", false)]
    [InlineData("= 1", "!in [2]", false)]
    [InlineData("[1..1]", "= 1", false)]
    [InlineData("/ \"/a\"", "^ \"/a\"", false)]
    [InlineData("= [\"a\"]", "subset [\"a\"]", false)]
    [InlineData("*", "!in []", false)]
    // not_one_of, contains, subset
    [InlineData("!in [1,2]", "!in [1e0]", true)]
    [InlineData("!in [1]", "!in [1,2]", false)]
    [InlineData("contains [1,2]", "contains [2]", true)]
    [InlineData("contains [2]", "contains [1,2]", false)]
    [InlineData("subset [1]", "subset [1,2]", true)]
    [InlineData("subset [1,2]", "subset [1]", false)]
    // range within range
    [InlineData("[1..5]", "[1..5]", true)]
    [InlineData("]1..5[", "[1..5]", true)]
    [InlineData("[1..5]", "]1..5]", false)]
    [InlineData("[1..5]", "[1..5[", false)]
    [InlineData("]1..5[", "]1..5[", true)]
    [InlineData("[1.0000001..5[", "]1..5[", true)]
    [InlineData("[0.9999999..5]", "[1..5]", false)]
    [InlineData("[1..5.0000001]", "[1..5]", false)]
    [InlineData("[..5]", "[1..5]", false)]
    [InlineData("[1..]", "[1..5]", false)]
    [InlineData("[1..5]", "[..]", true)]
    [InlineData("[..]", "[..]", true)]
    [InlineData("[..]", "[..5]", false)]
    [InlineData("[0.1..0.3]", "[1e-1..3e-1]", true)]
    [InlineData("[0.1..0.30000000000000004]", "[0.1..0.3]", false)]
    [InlineData("[-5..-1]", "[-5.0..0]", true)]
    [InlineData("[-6..-1]", "[-5..0]", false)]
    [InlineData("[100..]", "[1e2..]", true)]
    [InlineData("[99..]", "[1e2..]", false)]
    // prefix, path
    [InlineData("^ \"ab\"", "^ \"a\"", true)]
    [InlineData("^ \"a\"", "^ \"ab\"", false)]
    [InlineData("^ \"A\"", "^ \"a\"", false)]
    [InlineData("^ \"a\"", "^ \"\"", true)]
    [InlineData("/ \"/a/b\"", "/ \"/a\"", true)]
    [InlineData("/ \"/a\"", "/ \"/a\"", true)]
    [InlineData("/ \"/a\"", "/ \"/a/b\"", false)]
    [InlineData("/ \"/ab\"", "/ \"/a\"", false)]
    [InlineData("/ \"a\"", "/ \"/a\"", false)]
    // wildcard
    [InlineData("*", "*", true)]
    [InlineData("*", "[..]", false)]
    [InlineData("*", "any(*)", true)]
    [InlineData("*", "all()", true)]
    [InlineData("all()", "= 1", false)]
    [InlineData("all()", "*", true)]
    // all: every parent clause covered by some child clause
    [InlineData("all([1..5] ; !in [2])", "[1..5]", true)]
    [InlineData("all([1..5] ; !in [2])", "all(!in [2] ; [0..5])", true)]
    [InlineData("all([1..5])", "all([1..5] ; !in [2])", false)]
    [InlineData("[1..5]", "all([1..] ; [..5])", true)]
    [InlineData("[1..6]", "all([1..] ; [..5])", false)]
    [InlineData("all([1..] ; [..5])", "[1..5]", false)]
    // any: every child clause under some parent clause
    [InlineData("any(= 1 ; = 9)", "any([0..2] ; [8..9])", true)]
    [InlineData("any(= 1 ; = 5)", "any([0..2] ; [8..9])", false)]
    [InlineData("= 1", "any(= 2 ; = 1)", true)]
    [InlineData("= 3", "any(= 2 ; = 1)", false)]
    [InlineData("any(= 1 ; = 2)", "[0..2]", true)]
    [InlineData("any(= 1 ; = 3)", "[0..2]", false)]
    [InlineData("[1..5]", "any([1..3] ; [3..5])", false)]
    // both
    [InlineData("all(any(= 1 ; = 2) ; [..9])", "any(= 1 ; = 2 ; = 3)", true)]
    [InlineData("all([1..5] ; !in [2])", "any(all([0..5] ; !in [2]) ; = 9)", true)]
    [InlineData("any(= 1 ; = 2)", "all(in [1,2] ; [..2])", true)]
    [InlineData("any(= 1 ; = 3)", "all(in [1,2] ; [..3])", false)]
    [InlineData("all(= 1 ; = 2)", "any(= 3 ; = 4)", false)]
    public void Subset_Case_IsDecidedByTheGrammar(string child, string parent, bool within) =>
        Assert.Equal(within, Json.Constraint(Full(child)).IsWithin(Json.Constraint(Full(parent))));

    [Fact]
    public async Task Subset_AllsAndAnysNestedAgainstEachOther_AreDecidedInBoundedTime()
    {
        string child = "all(= 0 ; = 0)", parent = "any(= -1 ; = -2)";
        for (var level = 0; level < 29; level++)
            (child, parent) = ($"all({child} ; = {level})", $"any({parent} ; = -{level + 3})");
        var decided = Task.Run(() => Json.Constraint(Full(child)).IsWithin(Json.Constraint(Full(parent))));
        Assert.False(await decided.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    internal static string Full(string form)
    {
        var text = form.Trim();
        if (text == "*")
            return """{"constraint_type":"wildcard"}""";
        foreach (var composite in new[] { "all", "any" })
        {
            if (text.StartsWith(composite + "(", StringComparison.Ordinal))
                return $"{{\"constraint_type\":\"{composite}\",\"of\":[{string.Join(',', Parts(text[4..^1]).Select(Full))}]}}";
        }
        foreach (var (sign, type, member) in new[]
        {
            ("= ", "exact", "value"), ("in ", "one_of", "values"), ("!in ", "not_one_of", "values"), ("^ ", "prefix", "value"),
            ("/ ", "path_under", "value"), ("contains ", "contains", "values"), ("subset ", "subset", "values"),
        })
        {
            if (text.StartsWith(sign, StringComparison.Ordinal))
                return $"{{\"constraint_type\":\"{type}\",\"{member}\":{text[sign.Length..]}}}";
        }
        var bounds = text[1..^1].Split("..");
        return "{\"constraint_type\":\"range\"" + Bound("min", bounds[0], text[0] == ']') + Bound("max", bounds[1], text[^1] == '[') + "}";
    }

    private static string Bound(string name, string value, bool exclusive) =>
        value.Length == 0 ? "" : $",\"{name}\":{value}" + (exclusive ? $",\"{name}_inclusive\":false" : "");

    /// <summary>At the semicolons that are in no inner parentheses.</summary>
    private static List<string> Parts(string text)
    {
        var parts = new List<string>();
        int depth = 0, start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || (text[i] == ';' && depth == 0))
            {
                if (text[start..i].Trim().Length > 0)
                    parts.Add(text[start..i]);
                start = i + 1;
            }
            else
            {
                depth += text[i] switch { '(' => 1, ')' => -1, _ => 0 };
            }
        }
        return parts;
    }
}
