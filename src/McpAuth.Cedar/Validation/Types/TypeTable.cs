using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation.Types;

/// <summary>
/// The types of one validation, each once. A schema's types share parts, exponentially often if it wants to; since equal types are one object, they are
/// told apart without looking at their parts.
/// </summary>
internal sealed class TypeTable
{
    private readonly Dictionary<CedarType, StaticType> declared = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<string, StaticEntity> single = new(StringComparer.Ordinal);
    private readonly Dictionary<StaticEntity, StaticEntity> several = new(new SameNames());
    private readonly Dictionary<StaticType, StaticSet> sets = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<StaticRecord, StaticRecord> records = new(new SameAttributes());

    public static StaticNever Never { get; } = new();

    public static StaticBool Bool { get; } = new(null);

    public static StaticBool True { get; } = new(true);

    public static StaticBool False { get; } = new(false);

    public static StaticScalar Long { get; } = new(ValueKind.Long);

    public static StaticScalar String { get; } = new(ValueKind.String);

    private static readonly StaticScalar Decimal = new(ValueKind.Decimal);
    private static readonly StaticScalar IpAddress = new(ValueKind.IpAddress);
    private static readonly StaticScalar Datetime = new(ValueKind.Datetime);
    private static readonly StaticScalar Duration = new(ValueKind.Duration);

    public static StaticBool Of(bool value) => value ? True : False;

    /// <summary>Of a kind that has no parts.</summary>
    public static StaticType Of(ValueKind kind) => kind switch
    {
        ValueKind.Bool => Bool,
        ValueKind.Long => Long,
        ValueKind.String => String,
        ValueKind.Decimal => Decimal,
        ValueKind.IpAddress => IpAddress,
        ValueKind.Datetime => Datetime,
        _ => Duration,
    };

    public StaticType Of(CedarType type)
    {
        if (declared.TryGetValue(type, out StaticType? known)) return known;
        StaticType made = type switch
        {
            PrimitiveType primitive => Of(primitive.Kind),
            EntityType entity => Entity(entity.Name),
            SetType set => SetOf(Of(set.Element)),
            _ => Of((RecordType)type),
        };
        declared.Add(type, made);
        return made;
    }

    public StaticEntity Entity(string name)
    {
        if (!single.TryGetValue(name, out StaticEntity? entity)) single.Add(name, entity = new([name]));
        return entity;
    }

    public StaticEntity Entities(IEnumerable<string> names)
    {
        string[] sorted = [.. names.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (sorted.Length == 1) return Entity(sorted[0]);
        var made = new StaticEntity(sorted);
        if (several.TryGetValue(made, out StaticEntity? known)) return known;
        several.Add(made, made);
        return made;
    }

    public StaticSet SetOf(StaticType element)
    {
        if (!sets.TryGetValue(element, out StaticSet? set)) sets.Add(element, set = new(element));
        return set;
    }

    /// <param name="attributes">With distinct names.</param>
    public StaticRecord Record(IEnumerable<KeyValuePair<string, StaticAttribute>> attributes, bool open = false)
    {
        KeyValuePair<string, StaticAttribute>[] sorted = [.. attributes];
        Array.Sort(sorted, static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        var made = new StaticRecord([.. sorted.Select(a => a.Key)], [.. sorted.Select(a => a.Value)], open);
        if (records.TryGetValue(made, out StaticRecord? known)) return known;
        records.Add(made, made);
        return made;
    }

    private StaticRecord Of(RecordType record) =>
        Record(record.Attributes.Select(a => KeyValuePair.Create(a.Key, new StaticAttribute(Of(a.Value.Type), a.Value.Required))));

    private sealed class SameNames : IEqualityComparer<StaticEntity>
    {
        public bool Equals(StaticEntity? x, StaticEntity? y) => x!.Names.SequenceEqual(y!.Names);

        public int GetHashCode(StaticEntity entity)
        {
            var hash = new HashCode();
            foreach (string name in entity.Names) hash.Add(name);
            return hash.ToHashCode();
        }
    }

    private sealed class SameAttributes : IEqualityComparer<StaticRecord>
    {
        public bool Equals(StaticRecord? x, StaticRecord? y)
        {
            if (x!.Open != y!.Open || !x.HasSameNames(y)) return false;
            for (int i = 0; i < x.Names.Count; i++)
                if (x.Attributes[i].Required != y.Attributes[i].Required || !ReferenceEquals(x.Attributes[i].Type, y.Attributes[i].Type)) return false;
            return true;
        }

        public int GetHashCode(StaticRecord record)
        {
            var hash = new HashCode();
            hash.Add(record.Open);
            for (int i = 0; i < record.Names.Count; i++)
            {
                hash.Add(record.Names[i]);
                hash.Add(System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(record.Attributes[i].Type));
            }
            return hash.ToHashCode();
        }
    }
}
