using System.Runtime.InteropServices;
using System.Text.Json;
using McpAuth.Cedar.Schemas;

namespace McpAuth.Cedar.Mcp;

/// <summary>One JSON Schema, with its keywords found in one walk: a schema with many members that many references lead to is not searched again and again.</summary>
internal sealed class SchemaObject
{
    private static readonly string[] Keywords =
        ["$ref", "$dynamicRef", "$recursiveRef", "$id", "type", "nullable", "enum", "const", "anyOf", "oneOf", "allOf", "items", "prefixItems", "properties", "patternProperties", "additionalProperties", "required"];

    private static readonly string[] Descriptions = ["type", "enum", "const", "anyOf", "oneOf", "allOf", "items", "prefixItems", "properties", "patternProperties", "additionalProperties"];

    private readonly Dictionary<string, JsonElement> keywords = new(StringComparer.Ordinal);
    private HashSet<string>? required;
    private (CedarType? Type, bool Null)? values;

    private SchemaObject(string? fault) => Fault = fault;

    /// <summary>Why this says nothing of types; null when it is an object.</summary>
    public string? Fault { get; }

    /// <summary>How many steps it takes to read this, without the schemas in it.</summary>
    public int Size { get; private set; }

    public static SchemaObject Of(JsonElement schema)
    {
        var made = new SchemaObject(schema.ValueKind switch
        {
            JsonValueKind.Object => null,
            JsonValueKind.True => "It allows anything.",
            JsonValueKind.False => "It allows nothing.",
            _ => "It is no schema.",
        });
        if (made.Fault is not null) return made;
        foreach (JsonProperty property in schema.EnumerateObject())
        {
            made.Size++;
            if (NameOf(property) is { } name && Array.IndexOf(Keywords, name) >= 0) made.keywords[name] = property.Value;
        }
        foreach (string list in (ReadOnlySpan<string>)["enum", "required"])
            if (made.TryGet(list, out JsonElement values) && values.ValueKind == JsonValueKind.Array) made.Size += values.GetArrayLength();
        return made;
    }

    /// <summary>The name; null when an escape in it stands for half a character.</summary>
    public static string? NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    public bool Has(string keyword) => keywords.ContainsKey(keyword);

    public bool TryGet(string keyword, out JsonElement value) => keywords.TryGetValue(keyword, out value);

    /// <summary>Whether it would take more than following its <c>$ref</c> to say what it allows.</summary>
    public bool DescribesBesideReference => Array.Exists(Descriptions, keywords.ContainsKey);

    /// <summary>Whether it allows null and nothing else.</summary>
    public bool IsNull =>
        (TryGet("type", out JsonElement type) && TextOf(type) == "null") ||
        (!Has("type") && (Has("enum") || Has("const")) && Values is { Type: null, Null: true });

    /// <summary>Of <c>enum</c> or <c>const</c>: the one type of all values but null; null when there is none.</summary>
    public CedarType? ValueType => Values.Type;

    /// <summary>Whether null is among them.</summary>
    public bool ValuesNull => Values.Null;

    public bool Requires(string property)
    {
        if (required is null)
        {
            required = new(StringComparer.Ordinal);
            if (TryGet("required", out JsonElement names) && names.ValueKind == JsonValueKind.Array)
                foreach (JsonElement name in names.EnumerateArray())
                    if (TextOf(name) is { } text) required.Add(text);
        }
        return required.Contains(property);
    }

    public static string? TextOf(JsonElement element)
    {
        try
        {
            return element.ValueKind == JsonValueKind.String ? element.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null; // half a character
        }
    }

    private (CedarType? Type, bool Null) Values => values ??= ReadValues();

    private (CedarType? Type, bool Null) ReadValues()
    {
        JsonElement[] all = TryGet("enum", out JsonElement value)
            ? value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : []
            : [keywords["const"]];
        CedarType? type = null;
        bool hasNull = false;
        foreach (JsonElement one in all)
        {
            if (one.ValueKind == JsonValueKind.Null)
            {
                hasNull = true;
                continue;
            }
            CedarType? of = one.ValueKind switch
            {
                JsonValueKind.String when TextOf(one) is not null => CedarType.String,
                JsonValueKind.True or JsonValueKind.False => CedarType.Bool,
                JsonValueKind.Number => JsonNumber.TryScale(JsonMarshal.GetRawUtf8Value(one), 0, out _) ? CedarType.Long : CedarType.Decimal,
                _ => null,
            };
            if (of is null) return (null, false);
            if (type is null || type == of) type = of;
            else if ((type == CedarType.Long || type == CedarType.Decimal) && (of == CedarType.Long || of == CedarType.Decimal)) type = CedarType.Decimal;
            else return (null, false);
        }
        return (type, hasNull);
    }
}
