using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuthServer.Pages.Wording;

namespace McpAuthServer.Admin;

/// <summary>
/// What is different between two definitions of a tool, leaf by leaf, each by its JSON pointer (RFC 6901); where one side has nothing, its member is absent. It is empty where
/// the digests are equal, and nowhere else.
/// </summary>
internal sealed class DefinitionDifference
{
    /// <summary>Neither definition is longer than <see cref="Limits.GuardBody"/>, so that one entry always fits, whole.</summary>
    private const int MostEntries = 1000, MostCharacters = 3 * Limits.GuardBody;

    private int room = MostCharacters;

    public JsonArray Entries { get; } = [];

    /// <summary>Whether these are all.</summary>
    public bool Complete { get; private set; } = true;

    public static DefinitionDifference Of(JsonElement approved, JsonElement reported)
    {
        var difference = new DefinitionDifference();
        difference.Compare(null, approved, reported);
        return difference;
    }

    private void Compare(Place? at, JsonElement? approved, JsonElement? reported)
    {
        if (!Complete)
            return;
        var kind = (approved ?? reported)!.Value.ValueKind;
        var alike = approved is null || reported is null || approved.Value.ValueKind == reported.Value.ValueKind;
        if (alike && kind == JsonValueKind.Object && !IsLeaf(approved, reported))
            Members(at, approved, reported);
        else if (alike && kind == JsonValueKind.Array && !IsLeaf(approved, reported))
            Items(at, approved, reported);
        else if (approved is null || reported is null || !Same(approved.Value, reported.Value))
            Add(at, approved, reported);
    }

    private void Members(Place? at, JsonElement? approved, JsonElement? reported)
    {
        var others = reported?.EnumerateObject().ToDictionary(m => m.Name, m => m.Value, StringComparer.Ordinal) ?? [];
        foreach (var member in approved?.EnumerateObject() ?? default)
            Compare(new(at, member.Name), member.Value, others.Remove(member.Name, out var other) ? other : null);
        foreach (var (name, value) in others)
            Compare(new(at, name), null, value);
    }

    private void Items(Place? at, JsonElement? approved, JsonElement? reported)
    {
        JsonElement[] before = [.. approved?.EnumerateArray() ?? default], after = [.. reported?.EnumerateArray() ?? default];
        for (var i = 0; i < Math.Max(before.Length, after.Length); i++)
            Compare(new(at, i.ToString(CultureInfo.InvariantCulture)), i < before.Length ? before[i] : null, i < after.Length ? after[i] : null);
    }

    private void Add(Place? at, JsonElement? approved, JsonElement? reported)
    {
        var path = Place.Pointer(at);
        var size = path.Length + Length(approved) + Length(reported);
        if (Entries.Count == MostEntries || size > room)
        {
            Complete = false;
            return;
        }
        room -= size;
        var entry = new JsonObject { ["path"] = path };
        Shown(entry, "path", JsonElement.Parse(JsonValue.Create(path).ToJsonString()));
        foreach (var (side, value) in new[] { ("approved", approved), ("reported", reported) })
            if (value is { } there)
            {
                entry[side] = JsonNode.Parse(there.GetRawText());
                Shown(entry, side, there);
            }
        Entries.Add(entry);
    }

    /// <summary>Beside what holds characters that cannot be seen: the same with their escapes.</summary>
    private static void Shown(JsonObject entry, string member, JsonElement value)
    {
        var escaped = new HashSet<int>();
        var shown = JsonWording.Text(Encoding.UTF8.GetString(CanonicalJson.ToBytes(value)), escaped);
        if (escaped.Count > 0)
            entry[member + "_shown"] = shown;
    }

    /// <summary>Something without parts beside nothing, or beside something of its kind.</summary>
    private static bool IsLeaf(JsonElement? approved, JsonElement? reported) => (approved is null || IsEmpty(approved.Value)) && (reported is null || IsEmpty(reported.Value));

    private static bool IsEmpty(JsonElement value) => value.ValueKind == JsonValueKind.Object ? value.GetPropertyCount() == 0 : value.GetArrayLength() == 0;

    /// <summary>As the digest sees it: numbers by their value (RFC 8785 §3.2.2.3).</summary>
    private static bool Same(JsonElement a, JsonElement b) => a.ValueKind == b.ValueKind && a.ValueKind switch
    {
        JsonValueKind.String => a.ValueEquals(b.GetString()),
        JsonValueKind.Number => a.GetDouble().Equals(b.GetDouble()),
        _ => true,
    };

    private static int Length(JsonElement? value) => value?.GetRawText().Length ?? 0;
}

/// <summary>A place in a JSON value; null is the whole.</summary>
internal sealed record Place(Place? Above, string Name)
{
    /// <summary>RFC 6901 §3.</summary>
    public static string Pointer(Place? at)
    {
        var steps = new Stack<string>();
        for (; at is not null; at = at.Above)
            steps.Push("/" + at.Name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal));
        return string.Concat(steps);
    }
}
