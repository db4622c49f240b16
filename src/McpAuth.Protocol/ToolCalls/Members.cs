using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>The members of one object, checked against the ones the grammar knows there; and the first fault of a whole read.</summary>
internal sealed class Faults
{
    public Fault? First { get; private set; }

    /// <summary>Always null, so that a reader can return it in the place of a value.</summary>
    public T? Add<T>(JsonPath path, string message) where T : class
    {
        First ??= new(Names.Errors.InvalidAuthorizationDetails, message, path.ToString());
        return null;
    }

    /// <summary>Always false.</summary>
    public bool Add(JsonPath path, string message)
    {
        Add<object>(path, message);
        return false;
    }
}

/// <summary>An object's members by name. Only known ones: a member that is ignored could be one that was meant to narrow.</summary>
internal sealed class Members
{
    private readonly Dictionary<string, JsonElement> values = new(StringComparer.Ordinal);

    private Members(JsonPath path) => Path = path;

    public JsonPath Path { get; }

    public int Count => values.Count;

    public IEnumerable<KeyValuePair<string, JsonElement>> All => values;

    public JsonElement? this[string name] => values.TryGetValue(name, out var value) ? value : null;

    /// <summary>Null, and a fault, when it is no object, a name is repeated, or a name is not among <paramref name="known"/> (null = any name).</summary>
    public static Members? Read(JsonElement element, JsonPath path, Faults faults, string[]? known)
    {
        if (element.ValueKind != JsonValueKind.Object)
            return faults.Add<Members>(path, "An object is expected.");
        var members = new Members(path);
        foreach (var member in element.EnumerateObject())
        {
            if (known is not null && !known.Contains(member.Name, StringComparer.Ordinal))
                return faults.Add<Members>(path.Member(member.Name), "The member is not known."); // RFC 9396 §5
            if (!members.values.TryAdd(member.Name, member.Value))
                return faults.Add<Members>(path.Member(member.Name), "The member is repeated.");
        }
        return members;
    }
}
