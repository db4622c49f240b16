using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace McpAuthServer.Tests.Registry;

/// <summary>
/// The keywords of JSON Schema 2020-12 that the apply schema uses, and an exception for any other, so that none is passed over. <c>format</c> and the
/// descriptive ones are annotations.
/// </summary>
internal static class JsonSchema
{
    private static readonly ConcurrentDictionary<string, Regex> Patterns = [];

    /// <returns>Null when the value is valid, else the first keyword that fails and where.</returns>
    public static string? Check(JsonNode root, JsonNode? value) => Check(root, root, value, "$");

    private static string? Check(JsonNode root, JsonNode schema, JsonNode? value, string path)
    {
        if (schema is JsonValue truth)
            return (bool)truth ? null : $"false at {path}";
        foreach (var (keyword, rule) in schema.AsObject())
        {
            if (Fails(root, schema, keyword, rule!, value, path) is { } fault)
                return fault;
        }
        return null;
    }

    private static string? Fails(JsonNode root, JsonNode schema, string keyword, JsonNode rule, JsonNode? value, string path)
    {
        string? Unless(bool holds) => holds ? null : $"{keyword} at {path}";
        string? Sub(JsonNode sub, JsonNode? part, string at) => Check(root, sub, part, at);
        var kind = value?.GetValueKind() ?? JsonValueKind.Null;
        var (members, items, text) = (value as JsonObject, value as JsonArray, kind == JsonValueKind.String ? (string)value! : null);
        return keyword switch
        {
            "$schema" or "$id" or "$defs" or "title" or "description" or "default" or "format" or "then" => null,
            "$ref" => Sub(root["$defs"]![((string)rule!)["#/$defs/".Length..]]!, value, path),
            "type" => Unless((string)rule! switch
            {
                "object" => kind == JsonValueKind.Object,
                "array" => kind == JsonValueKind.Array,
                "string" => kind == JsonValueKind.String,
                "boolean" => kind is JsonValueKind.True or JsonValueKind.False,
                "number" => kind == JsonValueKind.Number,
                "integer" => kind == JsonValueKind.Number && double.IsInteger(Number(value!)),
                var other => throw new NotSupportedException(other),
            }),
            "const" => Unless(JsonNode.DeepEquals(rule, value)),
            "enum" => Unless(rule.AsArray().Any(r => JsonNode.DeepEquals(r, value))),
            "required" => Unless(members is null || rule.AsArray().All(r => members.ContainsKey((string)r!))),
            "dependentRequired" => Unless(members is null || rule.AsObject().All(d => !members.ContainsKey(d.Key) || d.Value!.AsArray().All(r => members.ContainsKey((string)r!)))),
            "properties" => members?.Where(m => rule[m.Key] is not null).Select(m => Sub(rule[m.Key]!, m.Value, $"{path}.{m.Key}")).FirstOrDefault(f => f is not null),
            "additionalProperties" => members?.Where(m => schema["properties"]?[m.Key] is null).Select(m => Sub(rule, m.Value, $"{path}.{m.Key}")).FirstOrDefault(f => f is not null),
            "propertyNames" => members?.Select(m => Sub(rule, JsonValue.Create(m.Key), $"{path}.{m.Key}")).FirstOrDefault(f => f is not null),
            "minProperties" => Unless(members is null || members.Count >= (int)rule),
            "items" => items?.Select((item, i) => Sub(rule, item, $"{path}[{i}]")).FirstOrDefault(f => f is not null),
            "contains" => Unless(items is null || items.Any(item => Sub(rule, item, path) is null)),
            "minItems" => Unless(items is null || items.Count >= (int)rule),
            "maxItems" => Unless(items is null || items.Count <= (int)rule),
            "uniqueItems" => Unless(items is null || !items.Select((item, i) => (item, i)).Any(a => items.Take(a.i).Any(b => JsonNode.DeepEquals(a.item, b)))),
            "minLength" => Unless(text is null || text.EnumerateRunes().Count() >= (int)rule),
            "maxLength" => Unless(text is null || text.EnumerateRunes().Count() <= (int)rule),
            "pattern" => Unless(text is null || Patterns.GetOrAdd((string)rule!, Pattern).IsMatch(text)),
            "minimum" => Unless(kind != JsonValueKind.Number || Number(value!) >= (double)rule),
            "maximum" => Unless(kind != JsonValueKind.Number || Number(value!) <= (double)rule),
            "allOf" => rule.AsArray().Select(s => Sub(s!, value, path)).FirstOrDefault(f => f is not null),
            "oneOf" => Unless(rule.AsArray().Count(s => Sub(s!, value, path) is null) == 1),
            "not" => Unless(Sub(rule, value, path) is not null),
            "if" => Sub(rule, value, path) is null ? Sub(schema["then"]!, value, path) : null,
            _ => throw new NotSupportedException(keyword),
        };
    }

    /// <summary>ECMAScript's <c>$</c> is the end, and not also the place before a last line feed.</summary>
    private static Regex Pattern(string text) =>
        new(text.Replace("$)", "\\z)", StringComparison.Ordinal) is var r && r.EndsWith('$') ? r[..^1] + "\\z" : r, RegexOptions.None, TimeSpan.FromSeconds(1));

    private static double Number(JsonNode value) => double.Parse(value.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture);
}
