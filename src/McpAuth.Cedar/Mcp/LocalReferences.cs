using System.Globalization;
using System.Text.Json;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// What the references of one JSON Schema lead to: <c>#</c>, or a JSON pointer (RFC 6901) behind it. Nothing outside is fetched. Each object on the way is
/// walked once, however many references pass it.
/// </summary>
internal sealed class LocalReferences(JsonElement root)
{
    private const int Longest = 512;

    private readonly Dictionary<string, Dictionary<string, JsonElement>> members = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SchemaObject?> found = new(StringComparer.Ordinal);

    /// <summary>The pointer of a <c>$ref</c>; null when it is none, or absurdly long.</summary>
    public static string? Pointer(JsonElement reference)
    {
        if (SchemaObject.TextOf(reference) is not ['#', ..] text || text.Length > Longest) return null;
        string pointer = Uri.UnescapeDataString(text[1..]); // RFC 6901 §6
        return pointer is "" or ['/', ..] ? pointer : null;
    }

    public SchemaObject? Find(string pointer)
    {
        if (!found.TryGetValue(pointer, out SchemaObject? schema))
            found[pointer] = schema = Resolve(pointer) is { } element ? SchemaObject.Of(element) : null;
        return schema;
    }

    private JsonElement? Resolve(string pointer)
    {
        JsonElement at = root;
        int from = 0;
        while (from < pointer.Length)
        {
            int next = pointer.IndexOf('/', from + 1);
            if (next < 0) next = pointer.Length;
            // RFC 6901 §4: ~1 first, so that ~01 becomes ~1 and no slash.
            string step = pointer[(from + 1)..next].Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (at.ValueKind == JsonValueKind.Object)
            {
                if (!Members(pointer[..from], at).TryGetValue(step, out at)) return null;
            }
            else if (at.ValueKind == JsonValueKind.Array && int.TryParse(step, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < at.GetArrayLength())
            {
                at = at[index];
            }
            else
            {
                return null;
            }
            from = next;
        }
        return at;
    }

    private Dictionary<string, JsonElement> Members(string pointer, JsonElement element)
    {
        if (members.TryGetValue(pointer, out Dictionary<string, JsonElement>? known)) return known;
        members[pointer] = known = new(StringComparer.Ordinal);
        foreach (JsonProperty property in element.EnumerateObject())
            if (SchemaObject.NameOf(property) is { } name) known[name] = property.Value;
        return known;
    }
}
