using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>One end of a range, as the sender wrote it.</summary>
internal sealed record Bound(ExactDecimal Value, bool Inclusive, JsonElement Written);

/// <summary>A number between bounds, by exact decimal value.</summary>
internal sealed class RangeConstraint(Bound? min, Bound? max) : Constraint
{
    public Bound? Min { get; } = min;

    public Bound? Max { get; } = max;

    public override bool Admits(JsonElement value)
    {
        if (ExactDecimal.Of(value) is not { } number)
            return false;
        return (Min is null || number.CompareTo(Min.Value) is var low && (low > 0 || low == 0 && Min.Inclusive))
            && (Max is null || number.CompareTo(Max.Value) is var high && (high < 0 || high == 0 && Max.Inclusive));
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString(Grammar.ConstraintType, Grammar.Range);
        Write(writer, Min, Grammar.Min, Grammar.MinInclusive);
        Write(writer, Max, Grammar.Max, Grammar.MaxInclusive);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, Bound? bound, string name, string inclusive)
    {
        if (bound is null)
            return;
        writer.WritePropertyName(name);
        bound.Written.WriteTo(writer);
        if (!bound.Inclusive)
            writer.WriteBoolean(inclusive, false);
    }
}
