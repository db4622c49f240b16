using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>A string that starts with this one, ordinally.</summary>
internal sealed class PrefixConstraint(string value) : Constraint
{
    public string Value { get; } = value;

    public override bool Admits(JsonElement value) =>
        value.ValueKind == JsonValueKind.String && value.GetString()!.StartsWith(Value, StringComparison.Ordinal);

    internal override void Write(Utf8JsonWriter writer) => Write(writer, Grammar.Prefix, Value);

    internal static void Write(Utf8JsonWriter writer, string type, string value)
    {
        writer.WriteStartObject();
        writer.WriteString(Grammar.ConstraintType, type);
        writer.WriteString(Grammar.Value, value);
        writer.WriteEndObject();
    }
}

/// <summary>A plain path that is this one or lies below it, by whole segments.</summary>
internal sealed class PathUnderConstraint(PlainPath value) : Constraint
{
    public PlainPath Value { get; } = value;

    public override bool Admits(JsonElement value) =>
        value.ValueKind == JsonValueKind.String && PlainPath.TryParse(value.GetString()!) is { } path && path.IsUnder(Value);

    internal override void Write(Utf8JsonWriter writer) => PrefixConstraint.Write(writer, Grammar.PathUnder, Value.Text);
}
