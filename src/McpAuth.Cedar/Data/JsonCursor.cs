using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>Reads a document's one value; on entry the cursor is on the value's first token, on return on its last.</summary>
/// <returns>Null where something was reported.</returns>
internal delegate T? JsonBody<out T>(ref JsonCursor at)
    where T : class;

/// <summary>
/// A place in a JSON document (RFC 8259), the path to it, and what was found on the way. A copy is a bookmark: it reads the same part again, and reports to
/// the same list. The platform's reader does not recurse; who does, asks <see cref="IsTooDeep"/> first.
/// </summary>
internal ref struct JsonCursor
{
    private readonly DataFindings findings;
    private readonly HashSet<string> names;
    private readonly HashSet<EntityUid> uids;
    private Utf8JsonReader json;

    private JsonCursor(ReadOnlySpan<byte> utf8, DataFindings findings)
    {
        this.findings = findings;
        Trail = new();
        names = new(StringComparer.Ordinal);
        uids = [];
        // The reader's own limit would throw, without saying where.
        json = new(utf8, new JsonReaderOptions { MaxDepth = Limits.Text + 1 });
    }

    public JsonTrail Trail { get; }

    public readonly DataFindings Findings => findings;

    public readonly JsonTokenType Token => json.TokenType;

    public static Parsed<T> Read<T>(ReadOnlySpan<byte> utf8, JsonBody<T> body)
        where T : class
    {
        var findings = new DataFindings();
        if (utf8.Length > Limits.Text)
        {
            findings.Error("too_large", string.Create(CultureInfo.InvariantCulture, $"The document is longer than {Limits.Text} bytes."), "$");
            return findings.Result<T>(null);
        }
        // RFC 8259 §8.1. Decoding must not replace what it cannot read: two names could become one.
        if (!Utf8.IsValid(utf8))
        {
            findings.Error("invalid_utf8", "The document is not valid UTF-8.", "$");
            return findings.Result<T>(null);
        }
        var at = new JsonCursor(utf8, findings);
        T? value = null;
        try
        {
            at.Next();
            value = body(ref at);
            at.Next(); // nothing may follow
        }
        catch (JsonException e)
        {
            // Its message may quote the document, so only the place is repeated.
            at.Error("invalid_json", string.Create(CultureInfo.InvariantCulture,
                $"The document is not valid JSON (line {(e.LineNumber ?? 0) + 1}, byte {(e.BytePositionInLine ?? 0) + 1})."));
        }
        return findings.Result(value);
    }

    public void Next() => json.Read();

    /// <summary>Moves to the next element, or to the end of the array.</summary>
    public bool NextElement()
    {
        json.Read();
        return json.TokenType != JsonTokenType.EndArray;
    }

    /// <summary>Moves to the value of the next member, or to the end of the object. A name that cannot be read is reported and its value passed over.</summary>
    public bool NextMember(out string name)
    {
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            string? read = Name();
            json.Read();
            if (read is not null)
            {
                name = read;
                return true;
            }
            Skip();
        }
        name = "";
        return false;
    }

    /// <summary>Whether the object that begins here begins with this member. The cursor stays.</summary>
    public readonly bool FirstMemberIs(string name)
    {
        Utf8JsonReader ahead = json;
        try
        {
            return ahead.Read() && ahead.TokenType == JsonTokenType.PropertyName && ahead.ValueTextEquals(name);
        }
        catch (InvalidOperationException)
        {
            return false; // half of a surrogate pair; reported when it is read
        }
    }

    public void Skip() => json.Skip();

    /// <summary>Whether the array or object that begins here is nested too deep; then it is reported and passed over.</summary>
    public bool IsTooDeep()
    {
        if (json.CurrentDepth < Limits.Depth) return false;
        Error("too_deep", string.Create(CultureInfo.InvariantCulture, $"Nesting is deeper than {Limits.Depth}."));
        Skip();
        return true;
    }

    public readonly bool TryGetInt64(out long value) => json.TryGetInt64(out value);

    /// <summary>The text of a string; null when it is reported.</summary>
    public string? Text()
    {
        try
        {
            return json.GetString();
        }
        catch (InvalidOperationException)
        {
            return LoneSurrogate();
        }
    }

    /// <summary>The same, with equal texts being one object: for names, types and ids.</summary>
    public string? Name()
    {
        Span<char> buffer = stackalloc char[128];
        if (json.ValueSpan.Length > buffer.Length) return Text();
        try
        {
            // No text has more UTF-16 units than it has bytes, escaped or not.
            ReadOnlySpan<char> name = buffer[..json.CopyString(buffer)];
            if (NameTable.Find(name) is { } kept) return kept;
            HashSet<string>.AlternateLookup<ReadOnlySpan<char>> known = names.GetAlternateLookup<ReadOnlySpan<char>>();
            if (known.TryGetValue(name, out string? seen)) return seen;
            string added = new(name);
            names.Add(added);
            return added;
        }
        catch (InvalidOperationException)
        {
            return LoneSurrogate();
        }
    }

    /// <summary>The one object of this document for an entity's name; where policies use that name, theirs.</summary>
    public readonly EntityUid Unique(EntityUid uid)
    {
        if (NameTable.Find(uid) is { } kept) return kept;
        if (uids.TryGetValue(uid, out EntityUid? seen)) return seen;
        uids.Add(uid);
        return uid;
    }

    public readonly void Error(string code, string message, string? help = null) => findings.Error(code, message, Trail.ToString(), help);

    public readonly void Warning(string code, string message, string? help = null) => findings.Warning(code, message, Trail.ToString(), help);

    /// <summary>Reports a value that is of another JSON type than this, and passes over it.</summary>
    public void Unexpected(string expected)
    {
        Error("wrong_json_type", $"Expected {expected}, found {Shown(json.TokenType)}.");
        Skip();
    }

    // RFC 8259 §8.2: an escape can say what no text is.
    private readonly string? LoneSurrogate()
    {
        Error("lone_surrogate", "The text holds half of a surrogate pair.");
        return null;
    }

    private static string Shown(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "a truth value",
        _ => "null",
    };
}
