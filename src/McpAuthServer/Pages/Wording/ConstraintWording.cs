using System.Text.Json;
using McpAuth.Protocol.ToolCalls;

namespace McpAuthServer.Pages.Wording;

/// <summary>A constraint in plain English, so that it can stand after the name of what it constrains: <c>amount</c> <c>from 0 to 500</c>.</summary>
internal static class ConstraintWording
{
    public static Worded Of(Constraint constraint)
    {
        var json = constraint.ToJson();
        return Worded.Of((members, length) => Phrase(json, members, length).Text);
    }

    /// <summary>Any of several: a location's resources.</summary>
    public static Worded AnyOf(IReadOnlyList<Constraint> constraints)
    {
        var all = constraints.Select(constraint => constraint.ToJson()).ToList();
        return Worded.Of((members, length) => Join(all, "or", members, length).Text);
    }

    /// <returns>The words, and whether they are several, so that among others they need brackets.</returns>
    private static (string Text, bool Compound) Phrase(JsonElement constraint, int members, int length)
    {
        string Value(JsonElement value) => ValueText(value, length);
        List<string> Values() => [.. constraint.GetProperty("values").EnumerateArray().Select(Value)];
        string Text() => ShownText.Quoted(constraint.GetProperty("value").GetString()!, length);
        (string, bool) Listed(string before, List<string> values) => ($"{before} {Worded.List(values, members)}", values.Count > 1);

        return constraint.GetProperty("constraint_type").GetString() switch
        {
            "exact" => ($"exactly {Value(constraint.GetProperty("value"))}", false),
            "one_of" => Values() is { Count: > 0 } values ? values is [var only] ? ($"exactly {only}", false) : Listed("one of", values) : ("no value at all", false),
            "not_one_of" => Values() is { Count: > 0 } values ? values is [var only] ? ($"not {only}", false) : Listed("none of", values) : ("any value", false),
            "contains" => Values() is { Count: > 0 } values ? Listed("includes", values) : ("any list", false),
            "subset" => Values() is { Count: > 0 } values ? Listed("only from", values) : ("only an empty list", false),
            "range" => Range(constraint, length),
            "prefix" => constraint.GetProperty("value").GetString() is "" ? ("any text", false) : ($"starting with {Text()}", false),
            "path_under" => ($"under {Text()}", false),
            "all" => Join([.. constraint.GetProperty("of").EnumerateArray()], "and", members, length),
            "any" => Join([.. constraint.GetProperty("of").EnumerateArray()], "or", members, length),
            "wildcard" => ("any value", false),
            // Nobody is to agree to what the page cannot say: it says it as it stands.
            _ => (ShownText.Of(constraint.GetRawText()), true),
        };
    }

    private static (string Text, bool Compound) Join(List<JsonElement> clauses, string with, int members, int length)
    {
        if (clauses is [])
            return ("any value", false);
        if (clauses is [var only])
            return Phrase(only, members, length);
        var phrases = clauses.Take(members).Select(clause => Phrase(clause, members, length)).Select(phrase => phrase.Compound ? $"({phrase.Text})" : phrase.Text).ToList();
        if (clauses.Count > members)
            phrases.Add($"{clauses.Count - members} more");
        return (string.Join($" {with} ", phrases), true);
    }

    private static (string Text, bool Compound) Range(JsonElement range, int length)
    {
        string? Bound(string name) => range.TryGetProperty(name, out var bound) ? ValueText(bound, length) : null;
        bool Inclusive(string name) => !range.TryGetProperty(name, out var inclusive) || inclusive.GetBoolean();
        var (min, max, fromMin, toMax) = (Bound("min"), Bound("max"), Inclusive("min_inclusive"), Inclusive("max_inclusive"));
        if (min is not null && max is not null && fromMin && toMax)
            return ($"from {min} to {max}", false);
        var low = min is null ? null : fromMin ? $"at least {min}" : $"more than {min}";
        var high = max is null ? null : toMax ? $"at most {max}" : $"less than {max}";
        return low is not null && high is not null ? ($"{low} and {high}", true) : (low ?? high ?? "any number", false);
    }

    private static string ValueText(JsonElement value, int length) => value.ValueKind switch
    {
        JsonValueKind.String => ShownText.Quoted(value.GetString()!, length),
        JsonValueKind.Null => "nothing (null)",
        _ => ShownText.Of(value.GetRawText(), length),
    };
}
