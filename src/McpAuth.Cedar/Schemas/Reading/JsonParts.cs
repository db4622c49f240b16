using System.Text.Json;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

/// <summary>One value of a JSON document with its path; reading a part of the wrong kind is reported and gives null.</summary>
internal readonly record struct JsonPart(JsonElement Element, JsonPlace Path, Findings Findings)
{
    public bool IsNull => Element.ValueKind == JsonValueKind.Null;

    /// <summary>The members of an object, of which none stands twice; with <paramref name="known"/>, none that is not among those.</summary>
    public Dictionary<string, JsonPart>? Members(params ReadOnlySpan<string> known)
    {
        if (Element.ValueKind != JsonValueKind.Object) return Wrong<Dictionary<string, JsonPart>>("an object");
        Dictionary<string, JsonPart> members = new(StringComparer.Ordinal);
        foreach (JsonProperty property in Element.EnumerateObject())
        {
            if (Text(() => property.Name, Path) is not { } name) continue;
            JsonPlace path = Path.Member(name);
            if (!known.IsEmpty && !known.Contains(name))
                Findings.Error("unknown_member", $"The member '{name}' is unknown here.", path, NearMiss.Help(name, known.ToArray()));
            else if (!members.TryAdd(name, new(property.Value, path, Findings)))
                Findings.Error("duplicate_member", $"The member '{name}' stands twice.", path);
        }
        return members;
    }

    public IEnumerable<JsonPart> Items()
    {
        if (Element.ValueKind != JsonValueKind.Array)
        {
            Wrong<object>("an array");
            yield break;
        }
        int index = 0;
        foreach (JsonElement item in Element.EnumerateArray()) yield return new(item, Path.Item(index++), Findings);
    }

    public string? String()
    {
        JsonElement element = Element;
        return element.ValueKind == JsonValueKind.String ? Text(() => element.GetString()!, Path) : Wrong<string>("a string");
    }

    public bool? Bool()
    {
        if (Element.ValueKind is JsonValueKind.True or JsonValueKind.False) return Element.ValueKind == JsonValueKind.True;
        Wrong<object>("true or false");
        return null;
    }

    public void Missing(string member) => Findings.Error("missing_member", $"The member '{member}' is missing.", Path);

    private T? Wrong<T>(string expected)
        where T : class
    {
        Findings.Error("wrong_kind", $"Expected {expected}, but this is {Kind(Element.ValueKind)}.", Path);
        return null;
    }

    /// <summary>Escapes of half a surrogate pair, and bytes that are no UTF-8, are only seen when the text is asked for.</summary>
    private string? Text(Func<string> read, JsonPlace path)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            Findings.Error("invalid_text", "This text is no Unicode.", path);
            return null;
        }
    }

    private static string Kind(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };
}
