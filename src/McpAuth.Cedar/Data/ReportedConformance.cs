using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>What <see cref="Conformance"/> decides, for readers: all that is not of its type is reported, with the path to it.</summary>
internal sealed class ReportedConformance(CedarSchema schema, JsonTrail trail, DataFindings findings)
{
    /// <summary>As deep as the type, which is bounded.</summary>
    public void Check(Value value, CedarType type)
    {
        if (schema.Conforms(value, type)) return;
        switch (type)
        {
            case PrimitiveType primitive:
                if (value.Kind != primitive.Kind) Report(value, type);
                break;
            case EntityType entity:
                if (value.AsEntity is not { } uid) Report(value, type);
                else if (uid.Type != entity.Name) Error("wrong_type", $"Expected an entity of type {entity.Name}, found one of type {Shown(uid.Type)}.");
                else CheckUid(uid);
                break;
            case SetType set:
                if (value.AsSet is not { } members) Report(value, type);
                else foreach (Value member in members.Members) Check(member, set.Element);
                break;
            case RecordType record:
                if (value.AsRecord is { } attributes) Check(attributes, record);
                else Report(value, type);
                break;
        }
    }

    public void Check(CedarRecord record, RecordType type)
    {
        if (schema.Conforms(record, type)) return;
        foreach ((string name, Value value) in record)
        {
            trail.Enter(name);
            if (type.Attributes.TryGetValue(name, out AttributeType? attribute)) Check(value, attribute.Type);
            else Error("unexpected_attribute", "The schema has no attribute of this name here.", NearMiss.Help(name, type.Attributes.Keys));
            trail.Leave();
        }
        foreach ((string name, AttributeType attribute) in type.Attributes)
            if (attribute.Required && !record.Contains(name)) Error("missing_attribute", $"The attribute '{name}' is required.");
    }

    /// <summary>An entity of an enumerated type, or an action, must be one of those the schema names.</summary>
    public void CheckUid(EntityUid uid)
    {
        if (schema.HasId(uid)) return;
        if (schema.Enumeration(uid.Type) is { } ids)
            Error("unknown_entity", $"{uid.Type} is an enumerated type, and '{Shown(uid.Id)}' is not one of its ids.", NearMiss.Help(uid.Id, ids));
        else
            Error("unknown_action", $"The schema has no action {Shown(uid.ToString())}.", NearMiss.Help(uid.ToString(), schema.Actions.Keys.Select(a => a.ToString())));
    }

    private void Report(Value value, CedarType type) => Error("wrong_type", $"Expected {Name(type)}, found {Name(value.Kind)}.");

    private void Error(string code, string message, string? help = null) => findings.Error(code, message, trail.ToString(), help);

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64] + "…";

    private static string Name(CedarType type) => type switch
    {
        PrimitiveType primitive => Name(primitive.Kind),
        EntityType entity => $"an entity of type {entity.Name}",
        SetType => "a set",
        _ => "a record",
    };

    private static string Name(ValueKind kind) => kind switch
    {
        ValueKind.Bool => "a truth value",
        ValueKind.Long => "a number",
        ValueKind.String => "text",
        ValueKind.Entity => "an entity",
        ValueKind.Set => "a set",
        ValueKind.Record => "a record",
        ValueKind.Decimal => "a decimal",
        ValueKind.IpAddress => "an IP address",
        ValueKind.Datetime => "a datetime",
        ValueKind.Duration => "a duration",
        _ => "nothing",
    };
}
