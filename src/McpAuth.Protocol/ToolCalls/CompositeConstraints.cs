using System.Collections.Immutable;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>What every clause admits.</summary>
internal sealed class AllConstraint(ImmutableArray<Constraint> clauses) : Constraint
{
    public ImmutableArray<Constraint> Clauses { get; } = clauses;

    public override bool Admits(JsonElement value) => Clauses.All(clause => clause.Admits(value));

    internal override void Write(Utf8JsonWriter writer) => Write(writer, Grammar.All, Clauses);

    internal static void Write(Utf8JsonWriter writer, string type, ImmutableArray<Constraint> clauses)
    {
        writer.WriteStartObject();
        writer.WriteString(Grammar.ConstraintType, type);
        writer.WriteStartArray(Grammar.Of);
        foreach (var clause in clauses)
            clause.Write(writer);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}

/// <summary>What some clause admits; never without clauses.</summary>
internal sealed class AnyConstraint(ImmutableArray<Constraint> clauses) : Constraint
{
    public ImmutableArray<Constraint> Clauses { get; } = clauses;

    public override bool Admits(JsonElement value) => Clauses.Any(clause => clause.Admits(value));

    internal override void Write(Utf8JsonWriter writer) => AllConstraint.Write(writer, Grammar.Any, Clauses);
}

/// <summary>Every value.</summary>
internal sealed class WildcardConstraint : Constraint
{
    public static WildcardConstraint Instance { get; } = new();

    public override bool Admits(JsonElement value) => true;

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString(Grammar.ConstraintType, Grammar.Wildcard);
        writer.WriteEndObject();
    }
}
