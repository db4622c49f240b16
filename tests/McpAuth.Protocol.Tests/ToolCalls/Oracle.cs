using System.Numerics;
using System.Text.Json.Nodes;

namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>
/// What the grammar's words mean, written from the wire document alone and as plainly as can be: it shares no code with the
/// implementation, knows nothing of subsets, and only says whether one value, or one call, is admitted.
/// </summary>
internal static class Oracle
{
    public static bool Admits(JsonNode constraint, JsonNode? value)
    {
        switch ((string)constraint["constraint_type"]!)
        {
            case "wildcard":
                return true;
            case "exact":
                return Same(constraint["value"], value);
            case "one_of":
                return Values(constraint).Any(v => Same(v, value));
            case "not_one_of":
                return !Values(constraint).Any(v => Same(v, value));
            case "contains":
                return value is JsonArray has && Values(constraint).All(v => has.Any(item => Same(v, item)));
            case "subset":
                return value is JsonArray items && items.All(item => Values(constraint).Any(v => Same(v, item)));
            case "prefix":
                return Text(value) is { } text && string.CompareOrdinal(text, 0, (string)constraint["value"]!, 0, ((string)constraint["value"]!).Length) == 0;
            case "path_under":
                return Text(value) is { } path && Under(path, (string)constraint["value"]!);
            case "all":
                return constraint["of"]!.AsArray().All(clause => Admits(clause!, value));
            case "any":
                return constraint["of"]!.AsArray().Any(clause => Admits(clause!, value));
            case "range":
                if (Kind(value) != 'n')
                    return false;
                var low = constraint["min"] is { } min ? Compare(value!, min) : 1;
                var high = constraint["max"] is { } max ? Compare(value!, max) : -1;
                return (low > 0 || (low == 0 && (bool?)constraint["min_inclusive"] != false))
                    && (high < 0 || (high == 0 && (bool?)constraint["max_inclusive"] != false));
            default:
                throw new InvalidOperationException(constraint.ToJsonString());
        }
    }

    /// <summary>Whether a call of a tool, the <paramref name="nth"/> one, is admitted.</summary>
    public static bool AdmitsCall(JsonNode details, string location, string tool, string digest, JsonObject arguments, int nth, bool approved) =>
        details.AsArray().Any(entry =>
            (string)entry!["locations"]![0]! == location && Has(entry["actions"], "tools/call") && entry["tools"]?[tool] is { } granted
            && (granted["def_digest"] is not { } bound || (string)bound! == digest)
            && (granted["max_calls"] is not { } limit || nth <= long.Parse(limit.ToJsonString()))
            && (approved || (string?)granted["approval"] != "required")
            && AdmitsArguments(granted, arguments));

    public static bool AdmitsResource(JsonNode details, string location, string uri) =>
        details.AsArray().Any(entry => (string)entry!["locations"]![0]! == location && Has(entry["actions"], "resources/read")
            && entry["resources"] is JsonArray resources && resources.Any(constraint => Admits(constraint!, uri)));

    public static bool AdmitsPrompt(JsonNode details, string location, string prompt) =>
        details.AsArray().Any(entry => (string)entry!["locations"]![0]! == location && Has(entry["actions"], "prompts/get") && Has(entry["prompts"], prompt));

    public static bool AdmitsArguments(JsonNode tool, JsonObject arguments)
    {
        if (tool["args"] is not JsonObject { Count: > 0 } args)
            return true;
        return arguments.All(argument => args[argument.Key] is { } constraint && Admits(constraint, argument.Value))
            && args.All(arg => arguments.ContainsKey(arg.Key) || Has(tool["optional"], arg.Key));
    }

    /// <summary>Both a plain path, and the segments of the one begin with the segments of the other.</summary>
    private static bool Under(string path, string root)
    {
        string[] below = Segments(path), above = Segments(root);
        return below.Length >= above.Length && above.Length > 0 && below.Take(above.Length).SequenceEqual(above);
    }

    private static string[] Segments(string path)
    {
        // The universe has one decomposed character, so this is enough of NFC here.
        if (path.Any(c => c is '\\' or '%' or ':' or < ' ' or (>= '\u007f' and <= '\u009f') or '\u0301'))
            return [];
        var segments = path.Split('/');
        var named = segments[0].Length == 0 ? segments.Skip(1).ToArray() : segments;
        return named.Any(segment => segment is "" or "." or "..") ? [] : segments;
    }

    private static bool Same(JsonNode? a, JsonNode? b)
    {
        if (Kind(a) != Kind(b))
            return false;
        return Kind(a) switch
        {
            'n' => Compare(a!, b!) == 0,
            's' => string.Equals((string?)a, (string?)b, StringComparison.Ordinal),
            'a' => a!.AsArray().Count == b!.AsArray().Count && a.AsArray().Zip(b.AsArray()).All(pair => Same(pair.First, pair.Second)),
            'o' => a!.AsObject().Count == b!.AsObject().Count
                && a.AsObject().All(member => b.AsObject().ContainsKey(member.Key) && Same(member.Value, b[member.Key])),
            _ => true,
        };
    }

    private static char Kind(JsonNode? node) => node?.GetValueKind() switch
    {
        null or System.Text.Json.JsonValueKind.Null => 'z',
        System.Text.Json.JsonValueKind.Number => 'n',
        System.Text.Json.JsonValueKind.String => 's',
        System.Text.Json.JsonValueKind.Array => 'a',
        System.Text.Json.JsonValueKind.Object => 'o',
        System.Text.Json.JsonValueKind.True => 't',
        _ => 'f',
    };

    private static string? Text(JsonNode? node) => Kind(node) == 's' ? (string?)node : null;

    private static JsonArray Values(JsonNode constraint) => constraint["values"]!.AsArray();

    private static bool Has(JsonNode? array, string name) => array is JsonArray names && names.Any(item => (string?)item == name);

    // Both as whole numbers of the smaller power of ten.
    private static int Compare(JsonNode a, JsonNode b)
    {
        var ((x, xPower), (y, yPower)) = (Number(a), Number(b));
        var power = Math.Min(xPower, yPower);
        return (x * BigInteger.Pow(10, xPower - power)).CompareTo(y * BigInteger.Pow(10, yPower - power));
    }

    private static (BigInteger Whole, int Power) Number(JsonNode node)
    {
        var parts = node.ToJsonString().ToLowerInvariant().Split('e');
        var power = parts.Length > 1 ? int.Parse(parts[1]) : 0;
        var fraction = parts[0].Split('.');
        return (BigInteger.Parse(string.Concat(fraction)), power - (fraction.Length > 1 ? fraction[1].Length : 0));
    }
}
