using System.Buffers;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>A constraint on one JSON value. Immutable; the types are those of the grammar and no others.</summary>
public abstract class Constraint
{
    private protected Constraint()
    {
    }

    /// <summary>Whether the value is one of those granted. Nothing is coerced: a number is not its text.</summary>
    public abstract bool Admits(JsonElement value);

    /// <summary>The subset rule for a pair of constraints: true only if everything this admits, <paramref name="parent"/> admits too.</summary>
    public bool IsWithin(Constraint parent) => new SubsetRule().Holds(this, parent);

    /// <summary>The constraint in its JSON form, e.g. <c>{"constraint_type":"prefix","value":"a"}</c>: for those who tell people what it means.</summary>
    public JsonElement ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
            Write(writer);
        return JsonElement.Parse(buffer.WrittenSpan);
    }

    internal abstract void Write(Utf8JsonWriter writer);
}
