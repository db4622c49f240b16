using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

/// <summary>A type as a schema declares it, resolved: common types are replaced by what they stand for. Immutable.</summary>
public abstract class CedarType
{
    private protected CedarType(int depth) => Depth = depth;

    public static CedarType Bool { get; } = new PrimitiveType(ValueKind.Bool);

    public static CedarType Long { get; } = new PrimitiveType(ValueKind.Long);

    public static CedarType String { get; } = new PrimitiveType(ValueKind.String);

    public static CedarType Decimal { get; } = new PrimitiveType(ValueKind.Decimal);

    public static CedarType IpAddress { get; } = new PrimitiveType(ValueKind.IpAddress);

    public static CedarType Datetime { get; } = new PrimitiveType(ValueKind.Datetime);

    public static CedarType Duration { get; } = new PrimitiveType(ValueKind.Duration);

    /// <summary>1 for a type without parts. Of a schema that was read it is at most <see cref="Limits.Depth"/>, which bounds whoever recurses.</summary>
    internal int Depth { get; }
}

/// <summary>A truth value, a number, text, or one of the extension types: all that has no parts. There is one object a kind.</summary>
public sealed class PrimitiveType : CedarType
{
    internal PrimitiveType(ValueKind kind)
        : base(1) => Kind = kind;

    public ValueKind Kind { get; }
}

/// <summary>An entity of the type of that name.</summary>
public sealed class EntityType(string name) : CedarType(1)
{
    public string Name { get; } = name;
}

/// <summary>A set of values of one type.</summary>
public sealed class SetType(CedarType element) : CedarType(element.Depth + 1)
{
    public CedarType Element { get; } = element;
}

/// <summary>A record with exactly these attributes, of which some may be absent.</summary>
public sealed class RecordType : CedarType
{
    private readonly OrderedDictionary<string, AttributeType> attributes;

    /// <exception cref="ArgumentException">A name stands twice.</exception>
    public RecordType(IEnumerable<KeyValuePair<string, AttributeType>> attributes)
        : this(attributes.OrderBy(a => a.Key, StringComparer.Ordinal).ToArray())
    {
    }

    private RecordType(KeyValuePair<string, AttributeType>[] sorted)
        : base(sorted.Select(a => a.Value.Type.Depth).DefaultIfEmpty().Max() + 1) =>
        attributes = new(sorted, StringComparer.Ordinal);

    public static RecordType Empty { get; } = new([]);

    /// <summary>In ordinal order of the names.</summary>
    public IReadOnlyDictionary<string, AttributeType> Attributes => attributes;

    internal int Count => attributes.Count;

    /// <summary>By position, for a walk that does not allocate.</summary>
    internal KeyValuePair<string, AttributeType> At(int index) => attributes.GetAt(index);

    internal bool TryGet(string name, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out AttributeType? type) => attributes.TryGetValue(name, out type);
}

/// <summary>An attribute's type, and whether it must be there.</summary>
public sealed record AttributeType(CedarType Type, bool Required = true);
