using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using McpAuth.Protocol;

namespace McpGuard.Sdk.Schema;

/// <summary>One validation: bounded in steps and depth, so that no pair of schema and value takes long.</summary>
/// <param name="inTime">A pattern that takes longer has not answered.</param>
internal struct SchemaValidation(TimeSpan inTime)
{
    public const int Deepest = 128;
    private const int MostSteps = 200_000;
    private int steps;

    /// <summary>Null when <paramref name="value"/> is valid.</summary>
    public Fault? Check(SchemaNode node, JsonElement value)
    {
        Fault? fault = Check(node, value, "$", 0);
        // Whatever ran out of bounds counted as no match, which must not make oneOf or not come true.
        return steps > MostSteps ? OutOfBounds("$") : fault;
    }

    private Fault? Check(SchemaNode node, JsonElement value, string path, int depth)
    {
        if (depth > Deepest) steps = MostSteps;
        if (++steps > MostSteps) return OutOfBounds(path);
        if (node.Nothing) return No(path, "Nothing may stand here.");
        if ((TypeOf(value) & node.Types) == JsonTypes.None || (node.Types & JsonTypes.Number) == JsonTypes.Integer && NotWhole(value)) return No(path, "The value has another type.");
        if (node.Enum is not null && !Among(node.Enum, value)) return No(path, "The value is not among those listed.");
        Fault? fault = value.ValueKind switch
        {
            JsonValueKind.Object => Object(node, value, path, depth),
            JsonValueKind.Array => Array(node, value, path, depth),
            JsonValueKind.String => Text(node, value.GetString()!, path),
            JsonValueKind.Number => Number(node, value.GetDouble(), path),
            _ => null,
        };
        return fault ?? Combined(node, value, path, depth);
    }

    private Fault? Object(SchemaNode node, JsonElement value, string path, int depth)
    {
        foreach (string name in node.Required)
        {
            if (!value.TryGetProperty(name, out _)) return No($"{path}.{name}", "The value is required.");
        }
        if (node.MinProperties is not null || node.MaxProperties is not null)
        {
            int count = value.GetPropertyCount();
            if (count < node.MinProperties || count > node.MaxProperties) return No(path, "The number of members is out of bounds.");
        }
        if (node.Properties.Count == 0 && node.AdditionalProperties is null && node.PropertyNames is null) return null;
        foreach (JsonProperty member in value.EnumerateObject())
        {
            if (node.PropertyNames is { } names && Check(names, NameElement(member.Name), path, depth + 1) is not null) return No($"{path}.{member.Name}", "The name is not allowed.");
            SchemaNode? rule = node.Properties.TryGetValue(member.Name, out SchemaNode? property) ? property : node.AdditionalProperties;
            if (rule is not null && Check(rule, member.Value, $"{path}.{member.Name}", depth + 1) is { } fault) return fault;
        }
        return null;
    }

    private Fault? Array(SchemaNode node, JsonElement value, string path, int depth)
    {
        int count = value.GetArrayLength();
        if (count < node.MinItems || count > node.MaxItems) return No(path, "The number of items is out of bounds.");
        if (node.UniqueItems)
        {
            var seen = new HashSet<string>(StringComparer.Ordinal);
            foreach (JsonElement item in value.EnumerateArray())
            {
                // Equal values have one canonical form (RFC 8785).
                if (!seen.Add(Convert.ToBase64String(McpAuth.Protocol.Json.CanonicalJson.ToBytes(item)))) return No(path, "The items are not unique.");
            }
        }
        if (node.Items is null) return null;
        int i = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (Check(node.Items, item, $"{path}[{i++}]", depth + 1) is { } fault) return fault;
        }
        return null;
    }

    private Fault? Text(SchemaNode node, string value, string path)
    {
        if (node.MinLength is not null || node.MaxLength is not null)
        {
            int length = value.EnumerateRunes().Count(); // characters, not UTF-16 units (§6.3.1)
            if (length < node.MinLength || length > node.MaxLength) return No(path, "The length is out of bounds.");
        }
        if (node.Pattern is null) return null;
        long started = Stopwatch.GetTimestamp();
        try
        {
            bool fits = node.Pattern.IsMatch(value);
            if (Stopwatch.GetElapsedTime(started) < inTime) return fits ? null : No(path, "The value does not have the form required.");
        }
        catch (RegexMatchTimeoutException)
        {
            // As below.
        }
        // Out of bounds, as with too many steps: no alternative comes true by it.
        steps = MostSteps + 1;
        return No(path, "The value cannot be checked in time.");
    }

    private static Fault? Number(SchemaNode node, double value, string path) =>
        value < node.Minimum || value > node.Maximum || value <= node.ExclusiveMinimum || value >= node.ExclusiveMaximum ? No(path, "The number is out of bounds.")
        : node.MultipleOf is { } step && !IsMultiple(value, step) ? No(path, "The number is not a multiple of what is required.")
        : null;

    private Fault? Combined(SchemaNode node, JsonElement value, string path, int depth)
    {
        if (node.Reference is { } reference && Check(reference, value, path, depth + 1) is { } refused) return refused;
        foreach (SchemaNode all in node.AllOf)
        {
            if (Check(all, value, path, depth + 1) is { } fault) return fault;
        }
        if (node.AnyOf.Length > 0 && Matches(node.AnyOf, value, path, depth, 1) == 0) return No(path, "The value fits none of the alternatives.");
        if (node.OneOf.Length > 0 && Matches(node.OneOf, value, path, depth, 2) != 1) return No(path, "The value does not fit exactly one of the alternatives.");
        // §10.2.2: "then" and "else" mean nothing without "if", and "if" by itself refuses nothing.
        if (node.If is { } condition && (Check(condition, value, path, depth + 1) is null ? node.Then : node.Else) is { } rule && Check(rule, value, path, depth + 1) is { } unfit) return unfit;
        return node.Not is { } not && Check(not, value, path, depth + 1) is null ? No(path, "The value is one that is excluded.") : null;
    }

    private int Matches(SchemaNode[] nodes, JsonElement value, string path, int depth, int enough)
    {
        int count = 0;
        foreach (SchemaNode node in nodes)
        {
            if (Check(node, value, path, depth + 1) is null && ++count == enough) break;
        }
        return count;
    }

    private static JsonTypes TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => JsonTypes.Object,
        JsonValueKind.Array => JsonTypes.Array,
        JsonValueKind.String => JsonTypes.String,
        JsonValueKind.Number => JsonTypes.Number,
        JsonValueKind.True or JsonValueKind.False => JsonTypes.Boolean,
        _ => JsonTypes.Null,
    };

    /// <summary>A number with a zero fraction is an integer (§6.1.1): 1.0 is.</summary>
    private static bool NotWhole(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.GetDouble() is var number && number != Math.Floor(number);

    private static bool Among(JsonElement[] values, JsonElement value)
    {
        foreach (JsonElement one in values)
        {
            if (JsonElement.DeepEquals(one, value)) return true;
        }
        return false;
    }

    /// <summary>Exact in decimal where both fit, so that 0.3 is a multiple of 0.1.</summary>
    private static bool IsMultiple(double value, double step) =>
        Math.Abs(value) < 1e15 && step is > 1e-10 and < 1e15 ? (decimal)value % (decimal)step == 0 : Math.IEEERemainder(value, step) == 0;

    private static JsonElement NameElement(string name) => JsonSerializer.SerializeToElement(name, Calls.TextJson.Default.String);

    private static Fault OutOfBounds(string path) => No(path, "The value cannot be checked within bounds.");

    private static Fault No(string path, string why) => new(Names.Denials.ArgumentDenied, why, path);
}
