using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>The values a constraint lists: in the sender's order for writing, as a set for deciding.</summary>
internal sealed class ValueList(ImmutableArray<JsonValue> values)
{
    private readonly FrozenSet<JsonValue> set = values.ToFrozenSet();

    public IEnumerable<JsonValue> Items => values;

    public bool Contains(JsonValue? value) => value is not null && set.Contains(value);

    public bool IsSubsetOf(ValueList other) => set.All(other.set.Contains);

    public void Write(Utf8JsonWriter writer, string type)
    {
        writer.WriteStartObject();
        writer.WriteString(Grammar.ConstraintType, type);
        writer.WriteStartArray(Grammar.Values);
        foreach (var value in values)
            value.Element.WriteTo(writer);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}

/// <summary>This value.</summary>
internal sealed class ExactConstraint(JsonValue value) : Constraint
{
    public JsonValue Value { get; } = value;

    public override bool Admits(JsonElement value) => value.ValueKind == Value.Element.ValueKind && Value.Equals(JsonValue.Of(value));

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString(Grammar.ConstraintType, Grammar.Exact);
        writer.WritePropertyName(Grammar.Value);
        Value.Element.WriteTo(writer);
        writer.WriteEndObject();
    }
}

/// <summary>One of these values.</summary>
internal sealed class OneOfConstraint(ValueList values) : Constraint
{
    public ValueList Values { get; } = values;

    public override bool Admits(JsonElement value) => Values.Contains(JsonValue.Of(value));

    internal override void Write(Utf8JsonWriter writer) => Values.Write(writer, Grammar.OneOf);
}

/// <summary>Any value but these.</summary>
internal sealed class NotOneOfConstraint(ValueList values) : Constraint
{
    public ValueList Values { get; } = values;

    // A value without identity cannot be told from the excluded ones, so it is refused.
    public override bool Admits(JsonElement value) => JsonValue.Of(value) is { } known && !Values.Contains(known);

    internal override void Write(Utf8JsonWriter writer) => Values.Write(writer, Grammar.NotOneOf);
}

/// <summary>An array that has all of these among its items.</summary>
internal sealed class ContainsConstraint(ValueList values) : Constraint
{
    public ValueList Values { get; } = values;

    public override bool Admits(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array)
            return false;
        var items = value.EnumerateArray().Select(JsonValue.Of).ToHashSet();
        return Values.Items.All(items.Contains);
    }

    internal override void Write(Utf8JsonWriter writer) => Values.Write(writer, Grammar.Contains);
}

/// <summary>An array whose items are all among these.</summary>
internal sealed class SubsetConstraint(ValueList values) : Constraint
{
    public ValueList Values { get; } = values;

    public override bool Admits(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => Values.Contains(JsonValue.Of(item)));

    internal override void Write(Utf8JsonWriter writer) => Values.Write(writer, Grammar.Subset);
}
