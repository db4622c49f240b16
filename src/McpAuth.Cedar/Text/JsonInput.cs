using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace McpAuth.Cedar.Text;

/// <summary>
/// Reads JSON strictly: a member that stands twice or is unknown is an error, since whoever wrote it meant something by it. Nothing throws.
/// </summary>
internal sealed class JsonInput
{
    /// <summary>
    /// Deeper than anything may be that is read: only chains of <c>&amp;&amp;</c> and <c>||</c>, which JSON writes one in the other, are read without
    /// recursion. The parser below keeps one bit a level.
    /// </summary>
    private const int Deepest = 2_000_000;

    public List<Diagnostic> Errors { get; } = [];

    public bool Full => Errors.Count >= Limits.Errors;

    /// <summary>The document; null, and an error, when it is none.</summary>
    public JsonAt? Parse(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length > Limits.Text)
        {
            Errors.Add(new Diagnostic("too_long", $"A JSON document has at most {Limits.Text} bytes, and this has {utf8.Length}.", Path: "$"));
            return null;
        }
        if (!Utf8.IsValid(utf8))
        {
            Errors.Add(new Diagnostic("malformed_json", "The document is not in UTF-8.", Path: "$"));
            return null;
        }
        try
        {
            return new JsonAt(new JsonTree(utf8, Deepest), 0, null);
        }
        catch (JsonException fault)
        {
            string place = string.Create(CultureInfo.InvariantCulture, $"line {(fault.LineNumber ?? 0) + 1}, byte {(fault.BytePositionInLine ?? 0) + 1}");
            Errors.Add(new Diagnostic("malformed_json", $"The document is no JSON: {place}.", Path: "$"));
            return null;
        }
    }

    public void Report(string code, string message, JsonAt where, string? help = null)
    {
        if (!Full) Errors.Add(new Diagnostic(code, message, Path: where.ToString(), Help: help));
    }

    /// <summary>The members of an object, each once, in their order; none, and an error, when it is none.</summary>
    public List<KeyValuePair<string, JsonAt>> Members(JsonAt at, string what)
    {
        var members = new List<KeyValuePair<string, JsonAt>>();
        if (at.Kind != JsonValueKind.Object)
        {
            Report("wrong_type", $"{what} is an object here, not {Described(at)}.", at);
            return members;
        }
        HashSet<string>? names = null;
        foreach ((string? name, JsonAt member) in at.Members())
        {
            if (Full) break;
            if (name is null) Report("invalid_text", "A name holds half of a surrogate pair.", at);
            else if ((names ??= new(StringComparer.Ordinal)).Add(name)) members.Add(new(name, member));
            else Report("duplicate_member", $"The member '{name}' stands twice.", member);
        }
        return members;
    }

    /// <summary>
    /// The members of these names, in the order of the names; null for an optional one that is absent. Null, and errors, when another is there or one that
    /// must be there is not.
    /// </summary>
    public JsonAt?[]? Members(JsonAt at, string what, string[] required, params string[] optional)
    {
        int before = Errors.Count;
        var found = new JsonAt?[required.Length + optional.Length];
        foreach ((string name, JsonAt member) in Members(at, what))
        {
            int index = Array.IndexOf(required, name);
            if (index < 0 && Array.IndexOf(optional, name) is >= 0 and var other) index = required.Length + other;
            if (index >= 0) found[index] = member;
            else Report("unknown_member", $"{what} has no member '{name}'.", member, NearMiss.Help(name, [.. required, .. optional]));
        }
        if (at.Kind == JsonValueKind.Object)
            for (int i = 0; i < required.Length; i++)
                if (found[i] is null) Report("missing_member", $"{what} must have the member '{required[i]}'.", at);
        return Errors.Count > before ? null : found;
    }

    /// <summary>The first member of that name of an object, when it has one.</summary>
    public static bool TryMember(JsonAt at, string name, out JsonAt member)
    {
        member = default;
        if (at.Kind != JsonValueKind.Object) return false;
        foreach ((string? each, JsonAt value) in at.Members())
        {
            if (each != name) continue;
            member = value;
            return true;
        }
        return false;
    }

    /// <summary>The items of an array; none, and an error, when it is none.</summary>
    public IEnumerable<JsonAt> Items(JsonAt at, string what)
    {
        if (at.Kind == JsonValueKind.Array) return at.Items();
        Report("wrong_type", $"{what} is an array here, not {Described(at)}.", at);
        return [];
    }

    /// <summary>A text; empty, and an error, when it is none.</summary>
    public string Text(JsonAt at, string what)
    {
        if (at.TryText(out string? text)) return text;
        if (at.Kind == JsonValueKind.String) Report("invalid_text", $"{what} holds half of a surrogate pair.", at);
        else Report("wrong_type", $"{what} is a text here, not {Described(at)}.", at);
        return "";
    }

    public static string Described(JsonAt at) => at.Kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "a truth value",
    };
}
