using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

/// <summary>A type as a schema declares it, resolved: common types are replaced by what they stand for. Immutable.</summary>
public abstract class CedarType
{
    private protected CedarType()
    {
    }

    public static CedarType Bool { get; } = new PrimitiveType(ValueKind.Bool);

    public static CedarType Long { get; } = new PrimitiveType(ValueKind.Long);

    public static CedarType String { get; } = new PrimitiveType(ValueKind.String);

    public static CedarType Decimal { get; } = new PrimitiveType(ValueKind.Decimal);

    public static CedarType IpAddress { get; } = new PrimitiveType(ValueKind.IpAddress);

    public static CedarType Datetime { get; } = new PrimitiveType(ValueKind.Datetime);

    public static CedarType Duration { get; } = new PrimitiveType(ValueKind.Duration);
}

/// <summary>A truth value, a number, text, or one of the extension types: all that has no parts. There is one object a kind.</summary>
public sealed class PrimitiveType : CedarType
{
    internal PrimitiveType(ValueKind kind) => Kind = kind;

    public ValueKind Kind { get; }
}

/// <summary>An entity of the type of that name.</summary>
public sealed class EntityType(string name) : CedarType
{
    public string Name { get; } = name;
}

/// <summary>A set of values of one type.</summary>
public sealed class SetType(CedarType element) : CedarType
{
    public CedarType Element { get; } = element;
}

/// <summary>A record with exactly these attributes, of which some may be absent.</summary>
public sealed class RecordType : CedarType
{
    public RecordType(IEnumerable<KeyValuePair<string, AttributeType>> attributes) => Attributes = new SortedDictionary<string, AttributeType>(attributes.ToDictionary(), StringComparer.Ordinal);

    public static RecordType Empty { get; } = new([]);

    /// <summary>In ordinal order of the names.</summary>
    public IReadOnlyDictionary<string, AttributeType> Attributes { get; }
}

/// <summary>An attribute's type, and whether it must be there.</summary>
public sealed record AttributeType(CedarType Type, bool Required = true);
