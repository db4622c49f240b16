using System.Text.Json;
using McpAuth.Protocol;

namespace McpGuard.Gateway.Configuration;

/// <summary>One object of the file: every member is asked for once, and one that nobody asked for is a fault.</summary>
internal sealed class ObjectReader(JsonElement element, string path, List<Fault> faults)
{
    private readonly HashSet<string> known = new(StringComparer.Ordinal);

    public string Path { get; } = path;

    public string At(string member) => $"{Path}.{member}";

    public void Fault(string code, string message, string? member = null) => faults.Add(new Fault(code, message, member is null ? Path : At(member)));

    /// <summary>Null when it is absent.</summary>
    public JsonElement? Member(string name)
    {
        known.Add(name);
        return element.TryGetProperty(name, out JsonElement value) ? value : null;
    }

    public string? Text(string name, bool required = false)
    {
        if (Member(name) is not { } value)
        {
            if (required) Fault("missing", "This is required.", name);
            return null;
        }
        if (value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text) return text;
        Fault("not_text", "This must be a text, and not an empty one.", name);
        return null;
    }

    /// <summary>A list of texts, or one text alone.</summary>
    public IReadOnlyList<string>? Texts(string name, bool required = false)
    {
        if (Member(name) is { ValueKind: JsonValueKind.Array } list)
        {
            if (list.EnumerateArray().All(t => t.ValueKind == JsonValueKind.String)) return [.. list.EnumerateArray().Select(t => t.GetString()!)];
            Fault("not_text", "This must be a list of texts.", name);
            return null;
        }
        return Text(name, required) is { } one ? [one] : null;
    }

    public bool Flag(string name)
    {
        if (Member(name) is not { } value || value.ValueKind == JsonValueKind.False) return false;
        if (value.ValueKind == JsonValueKind.True) return true;
        Fault("not_boolean", "This must be true or false.", name);
        return false;
    }

    public int Number(string name, int least, int most, int otherwise)
    {
        if (Member(name) is not { } value) return otherwise;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= least && number <= most) return number;
        Fault("out_of_range", $"This must be a whole number from {least} to {most}.", name);
        return otherwise;
    }

    public ObjectReader? Object(string name, bool required = false)
    {
        if (Member(name) is not { } value)
        {
            if (required) Fault("missing", "This is required.", name);
            return null;
        }
        if (value.ValueKind == JsonValueKind.Object) return new ObjectReader(value, At(name), faults);
        Fault("not_object", "This must be an object.", name);
        return null;
    }

    public IEnumerable<string> Names => element.EnumerateObject().Select(m => m.Name);

    /// <summary>To be called last.</summary>
    public void Done()
    {
        foreach (string name in Names.Where(n => !known.Contains(n))) Fault("unknown_member", "There is no such member.", name);
    }
}
