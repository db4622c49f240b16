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

    internal abstract void Write(Utf8JsonWriter writer);
}
