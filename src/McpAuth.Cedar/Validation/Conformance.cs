using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation;

/// <summary>
/// Whether a value is of a type that a schema declares. As deep as both of them go, which the schema's reader bounded. Allocates nothing: requests are checked
/// when they are decided.
/// </summary>
internal static class Conformance
{
    public static bool Conforms(this CedarSchema schema, Value value, CedarType type)
    {
        switch (type)
        {
            case EntityType entity: return value.AsEntity is { } uid && uid.Type == entity.Name && schema.HasId(uid);
            case SetType set:
                if (value.AsSet is not { } members) return false;
                foreach (Value member in members.Members)
                    if (!schema.Conforms(member, set.Element)) return false;
                return true;
            case RecordType record: return value.AsRecord is { } attributes && schema.Conforms(attributes, record);
            default: return value.Kind == ((PrimitiveType)type).Kind;
        }
    }

    /// <summary>Both are in ordinal order of the names, so one walk meets what is missing and what is too much.</summary>
    public static bool Conforms(this CedarSchema schema, CedarRecord record, RecordType type)
    {
        ReadOnlySpan<string> names = record.Names;
        int next = 0;
        for (int i = 0; i < type.Count; i++)
        {
            (string name, AttributeType attribute) = type.At(i);
            if (next < names.Length && names[next] == name)
            {
                if (!schema.Conforms(record.Values[next], attribute.Type)) return false;
                next++;
            }
            else if (attribute.Required) return false;
        }
        return next == names.Length;
    }

    /// <summary>Whether an enumerated type has the entity, or the schema the action; true for any other.</summary>
    public static bool HasId(this CedarSchema schema, EntityUid entity) =>
        schema.Enumeration(entity.Type) is { } ids ? ids.Contains(entity.Id) : !Schemas.Syntax.SchemaWords.IsActionType(entity.Type) || schema.Actions.ContainsKey(entity);

    /// <summary>Where and why a value is not of the type: the path within it and what was expected; null when it is.</summary>
    public static string? Fault(this CedarSchema schema, Value value, CedarType type, string path)
    {
        if (schema.Conforms(value, type)) return null;
        switch (type)
        {
            case EntityType entity when value.AsEntity is { } uid && uid.Type == entity.Name: return $"{path}: there is no entity {uid}";
            case SetType set when value.AsSet is { } members:
                foreach (Value member in members)
                    if (schema.Fault(member, set.Element, $"{path}[…]") is { } fault) return fault;
                break;
            case RecordType record when value.AsRecord is { } attributes: return schema.Fault(attributes, record, path);
        }
        return $"{path}: expected {Name(type)}, but this is {Name(value)}";
    }

    public static string? Fault(this CedarSchema schema, CedarRecord record, RecordType type, string path)
    {
        foreach ((string name, AttributeType attribute) in type.Attributes)
        {
            if (!record.Contains(name))
            {
                if (attribute.Required) return $"{path}: the attribute '{name}' is missing";
            }
            else if (schema.Fault(record[name], attribute.Type, $"{path}.{name}") is { } fault) return fault;
        }
        foreach (string name in record.Names)
            if (!type.TryGet(name, out _)) return $"{path}: the attribute '{name}' is unknown{Meant(name, type)}";
        return null;
    }

    private static string Meant(string name, RecordType type) => Text.NearMiss.Of(name, type.Attributes.Keys) is { } meant ? $"; did you mean '{meant}'?" : "";

    private static string Name(CedarType type) => type switch
    {
        EntityType entity => $"an entity of type {entity.Name}",
        SetType => "a set",
        RecordType => "a record",
        _ => ((PrimitiveType)type).Kind.ToString(),
    };

    private static string Name(Value value) => value.AsEntity is { } uid ? uid.ToString() : value.Kind switch
    {
        ValueKind.Set => "a set",
        ValueKind.Record => "a record",
        _ => value.Kind.ToString(),
    };
}
