using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>Whether a record is of a type. Asked at every call, so it allocates nothing while it is.</summary>
internal static class RecordShape
{
    /// <summary>The first attribute that is missing, of another type, or unknown; null when the record is of the type.</summary>
    public static string? Misfit(CedarRecord record, RecordType type)
    {
        ReadOnlySpan<string> names = record.Names;
        int at = 0;
        for (int i = 0; i < type.Count; i++)
        {
            // Both are in ordinal order.
            (string name, AttributeType attribute) = type.At(i);
            if (at < names.Length && names[at] == name)
            {
                if (!Fits(record.Values[at], attribute.Type)) return name;
                at++;
                continue;
            }
            if (at < names.Length && string.CompareOrdinal(names[at], name) < 0) return names[at];
            if (attribute.Required) return name;
        }
        return at < names.Length ? names[at] : null;
    }

    /// <summary>As deep as the type.</summary>
    private static bool Fits(Value value, CedarType type)
    {
        switch (type)
        {
            case PrimitiveType primitive: return value.Kind == primitive.Kind;
            case EntityType entity: return value.AsEntity is { } uid && uid.Type == entity.Name;
            case RecordType record: return value.AsRecord is { } attributes && Misfit(attributes, record) is null;
            case SetType set:
                if (value.AsSet is not { } members) return false;
                foreach (Value member in members.Members)
                    if (!Fits(member, set.Element)) return false;
                return true;
            default: return false;
        }
    }
}
