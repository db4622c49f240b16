using System.Globalization;
using System.Text.Json;
using McpAuth.Protocol;

namespace McpAuthServer.Registry.Apply;

/// <summary>
/// Reads one JSON object of an apply file. A fault is noted with its path and reading goes on, so that one run tells them all; what a
/// faulty member would have been reads as null, and the caller leaves the entry out.
/// </summary>
internal sealed class ObjectReader
{
    private readonly JsonElement json;
    private readonly List<Fault> faults;

    private ObjectReader(JsonElement json, string path, List<Fault> faults) => (this.json, Path, this.faults) = (json, path, faults);

    public string Path { get; }

    /// <summary>Null (and a fault) when the value is no object. Members outside <paramref name="members"/> are noted.</summary>
    public static ObjectReader? Open(JsonElement json, string path, string[] members, List<Fault> faults)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            faults.Add(WrongType("an object", path));
            return null;
        }
        foreach (var member in json.EnumerateObject())
        {
            if (!members.Contains(member.Name, StringComparer.Ordinal))
                faults.Add(new Fault("unknown_member", "There is no such member.", Child(path, member.Name)));
        }
        return new ObjectReader(json, path, faults);
    }

    /// <summary>As faults of the authority grammar write it: the dot form for plain names, else a quoted bracket of printable ASCII, not without end.</summary>
    public static string Child(string path, string member)
    {
        const int longest = 64;
        if (member.Length is > 0 and <= longest && !char.IsAsciiDigit(member[0]) && member.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            return $"{path}.{member}";
        var quoted = string.Concat(member.Take(longest).Select(c => c switch
        {
            '\'' or '\\' => $"\\{c}",
            >= ' ' and <= '~' => c.ToString(),
            _ => $"\\u{(int)c:x4}",
        }));
        return $"{path}['{quoted}{(member.Length > longest ? "…" : "")}']";
    }

    public static string Child(string path, int index) => string.Create(CultureInfo.InvariantCulture, $"{path}[{index}]");

    public string At(string member) => Child(Path, member);

    public bool Has(string member) => json.TryGetProperty(member, out _);

    public bool IsEmptyArray(string member) => json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;

    public void Refuse(string code, string message, string? member = null) =>
        faults.Add(new Fault(code, message, member is null ? Path : At(member)));

    /// <summary>The member, or null with a fault when it is required and missing.</summary>
    public JsonElement? Get(string member, bool required)
    {
        if (json.TryGetProperty(member, out var value))
            return value;
        if (required)
            faults.Add(new Fault("missing_member", "The member is required.", At(member)));
        return null;
    }

    /// <param name="expected">Completes the sentence "The value must be …".</param>
    public string? Text(string member, Func<string, bool> admits, string expected, bool required = true) =>
        Get(member, required) is { } value ? Text(value, At(member), admits, expected, faults) : null;

    public string? Line(string member, int most, bool required = true) =>
        Text(member, text => ApplyGrammar.IsLine(text, most), $"one line of 1 to {most} characters without control characters", required);

    public string? OneOf(string member, string[] values, bool required = true) =>
        Text(member, text => values.Contains(text, StringComparer.Ordinal), $"one of {string.Join(", ", values)}", required);

    public At<string>? Reference(string member, Func<string, bool> admits, string expected, bool required = true) =>
        Text(member, admits, expected, required) is { } text ? new(text, At(member)) : null;

    public bool? Flag(string member)
    {
        if (Get(member, required: false) is not { } value)
            return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
            return value.GetBoolean();
        faults.Add(WrongType("true or false", At(member)));
        return null;
    }

    public long? Integer(string member, long least, long most)
    {
        if (Get(member, required: false) is not { } value)
            return null;
        if (value.ValueKind != JsonValueKind.Number)
            faults.Add(WrongType("a number", At(member)));
        // 60, 60.0 and 6e1 are one value (RFC 8259 §6), and JSON Schema calls all of them integers.
        else if (value.GetDouble() is var number && double.IsInteger(number) && number >= least && number <= most)
            return (long)number;
        else
            faults.Add(Invalid($"a whole number from {least} to {most}", At(member)));
        return null;
    }

    /// <summary>The elements of an array member with their paths; none when it is absent or no array.</summary>
    public IEnumerable<At<JsonElement>> Items(string member, bool required = false)
    {
        if (Get(member, required) is not { } value)
            return [];
        if (value.ValueKind == JsonValueKind.Array)
            return value.EnumerateArray().Select((item, i) => new At<JsonElement>(item, Child(At(member), i)));
        faults.Add(WrongType("an array", At(member)));
        return [];
    }

    /// <summary>An array of distinct strings.</summary>
    public List<At<string>> Texts(string member, Func<string, bool> admits, string expected, bool required = false)
    {
        var texts = new List<At<string>>();
        foreach (var (item, path) in Items(member, required).Select(i => (i.Value, i.Path)))
        {
            if (Text(item, path, admits, expected, faults) is not { } text)
                continue;
            if (texts.Exists(t => t.Value == text))
                faults.Add(new Fault("duplicate", "The list names it twice.", path));
            else
                texts.Add(new(text, path));
        }
        return texts;
    }

    private static string? Text(JsonElement value, string path, Func<string, bool> admits, string expected, List<Fault> faults)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            faults.Add(WrongType("a string", path));
            return null;
        }
        var text = value.GetString()!;
        if (admits(text))
            return text;
        faults.Add(Invalid(expected, path));
        return null;
    }

    private static Fault WrongType(string expected, string path) => new("wrong_type", $"The value must be {expected}.", path);

    private static Fault Invalid(string expected, string path) => new("invalid_value", $"The value must be {expected}.", path);
}
