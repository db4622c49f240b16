using System.Text;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>
/// A JSON value and its identity: two are equal when their values are, numbers by exact decimal value, objects regardless of the
/// order of members, arrays in order, strings ordinally.
/// </summary>
internal sealed class JsonValue : IEquatable<JsonValue>
{
    // A self-delimiting text that equal values share: strings carry their length, members are in ordinal order.
    private readonly string identity;

    private JsonValue(JsonElement element, string identity) => (Element, this.identity) = (element, identity);

    public JsonElement Element { get; }

    /// <summary>Null where the value has no identity: a member name is repeated, or an exponent is out of all bounds. It equals nothing.</summary>
    public static JsonValue? Of(JsonElement element)
    {
        var identity = new StringBuilder();
        return Append(identity, element) ? new(element, identity.ToString()) : null;
    }

    /// <summary>As <see cref="Of"/>, and independent of the document the element belongs to.</summary>
    public static JsonValue? Own(JsonElement element) => Of(element.Clone());

    public bool Equals(JsonValue? other) => other is not null && string.Equals(identity, other.identity, StringComparison.Ordinal);

    public override bool Equals(object? obj) => Equals(obj as JsonValue);

    public override int GetHashCode() => identity.GetHashCode(StringComparison.Ordinal);

    private static bool Append(StringBuilder identity, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Null:
                identity.Append('z');
                return true;
            case JsonValueKind.True:
                identity.Append('t');
                return true;
            case JsonValueKind.False:
                identity.Append('f');
                return true;
            case JsonValueKind.String:
                AppendText(identity, element.GetString()!);
                return true;
            case JsonValueKind.Number when ExactDecimal.Of(element) is { } number:
                identity.Append('n').Append(number.ToString()).Append(';');
                return true;
            case JsonValueKind.Array:
                identity.Append('[');
                foreach (var item in element.EnumerateArray())
                {
                    if (!Append(identity, item))
                        return false;
                }
                identity.Append(']');
                return true;
            case JsonValueKind.Object:
                return AppendObject(identity, element);
            default:
                return false;
        }
    }

    private static bool AppendObject(StringBuilder identity, JsonElement element)
    {
        var members = new SortedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var member in element.EnumerateObject())
        {
            if (!members.TryAdd(member.Name, member.Value))
                return false;
        }
        identity.Append('{');
        foreach (var (name, value) in members)
        {
            AppendText(identity, name);
            if (!Append(identity, value))
                return false;
        }
        identity.Append('}');
        return true;
    }

    private static void AppendText(StringBuilder identity, string text) => identity.Append('s').Append(text.Length).Append(':').Append(text);
}
