namespace McpAuth.Cedar.Validation.Types;

/// <summary>
/// Which types are part of others, and the least type that two have in common. In strict mode types must be the same but for the singletons
/// of truth values; in permissive mode records may lack attributes and entities be of several types. Each pair is worked out once.
/// </summary>
internal sealed class TypeRelations(TypeTable table, ValidationMode mode)
{
    private readonly Dictionary<(StaticType, StaticType), bool> subtypes = [];
    private readonly Dictionary<(StaticType, StaticType), StaticType?> bounds = [];

    private bool Strict => mode == ValidationMode.Strict;

    /// <summary>The least type of all; null when there is none. Of no types it is <see cref="TypeTable.Never"/>.</summary>
    public StaticType? Bound(IEnumerable<StaticType> types)
    {
        HashSet<StaticType> distinct = [.. types];
        // At once: one by one, each step would copy what was gathered before.
        if (!Strict && distinct.Count > 2 && distinct.All(t => t is StaticEntity)) return table.Entities(distinct.SelectMany(t => ((StaticEntity)t).Names));
        StaticType? bound = TypeTable.Never;
        foreach (StaticType type in distinct)
        {
            bound = Bound(bound, type);
            if (bound is null) return null;
        }
        return bound;
    }

    public StaticType? Bound(StaticType a, StaticType b)
    {
        if (ReferenceEquals(a, b)) return a;
        if (bounds.TryGetValue((a, b), out StaticType? known)) return known;
        StaticType? bound = IsSubtype(a, b) ? b : IsSubtype(b, a) ? a : (a, b) switch
        {
            (StaticBool, StaticBool) => TypeTable.Bool,
            (StaticSet x, StaticSet y) => Bound(x.Element, y.Element) is { } element ? table.SetOf(element) : null,
            (StaticRecord x, StaticRecord y) => Bound(x, y),
            (StaticEntity x, StaticEntity y) when !Strict => table.Entities(x.Names.Concat(y.Names)),
            _ => null,
        };
        bounds.Add((a, b), bound);
        return bound;
    }

    private bool IsSubtype(StaticType a, StaticType b)
    {
        if (ReferenceEquals(a, b) || a is StaticNever) return true;
        if (subtypes.TryGetValue((a, b), out bool known)) return known;
        bool subtype = (a, b) switch
        {
            (StaticBool, StaticBool y) => y.Value is null,
            (StaticSet x, StaticSet y) => IsSubtype(x.Element, y.Element),
            (StaticRecord x, StaticRecord y) => IsSubtype(x, y),
            (StaticEntity x, StaticEntity y) => !Strict && x.IsSubsetOf(y),
            _ => false,
        };
        subtypes.Add((a, b), subtype);
        return subtype;
    }

    private bool IsSubtype(StaticRecord a, StaticRecord b)
    {
        if (a.Open && !b.Open) return false;
        if (!(b.Open && !Strict) && !a.HasSameNames(b)) return false;
        for (int i = 0; i < b.Names.Count; i++)
        {
            if (a.Find(b.Names[i]) is not { } own) return false;
            StaticAttribute other = b.Attributes[i];
            bool qualified = Strict ? own.Required == other.Required : own.Required || !other.Required;
            if (!qualified || !IsSubtype(own.Type, other.Type)) return false;
        }
        return true;
    }

    private StaticRecord? Bound(StaticRecord a, StaticRecord b)
    {
        if (Strict && !a.HasSameNames(b)) return null;
        List<KeyValuePair<string, StaticAttribute>> common = [];
        for (int i = 0; i < a.Names.Count; i++)
        {
            StaticAttribute own = a.Attributes[i];
            if (b.Find(a.Names[i]) is { } other && (!Strict || own.Required == other.Required) && Bound(own.Type, other.Type) is { } type)
                common.Add(new(a.Names[i], new(type, own.Required && other.Required)));
            else if (Strict) return null;
        }
        // What one of them has and the other has not, or has with another type, may be there.
        return table.Record(common, a.Open || b.Open || common.Count < a.Names.Count || common.Count < b.Names.Count);
    }
}
