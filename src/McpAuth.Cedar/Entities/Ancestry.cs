using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>What an entity is in, directly and indirectly. Entities with the same parents share one.</summary>
internal sealed class Ancestry
{
    /// <summary>Up to here a walk is faster than a hash.</summary>
    private const int Small = 8;

    private readonly HashSet<EntityUid>? index;

    /// <param name="all">Each once. Taken over, not copied.</param>
    public Ancestry(HashSet<EntityUid> all)
    {
        All = [.. all];
        if (All.Length > Small) index = all;
    }

    public static Ancestry None { get; } = new([]);

    public EntityUid[] All { get; }

    public bool Contains(EntityUid uid)
    {
        if (index is not null) return index.Contains(uid);
        foreach (EntityUid ancestor in All)
            if (ancestor.Equals(uid)) return true;
        return false;
    }

    public bool SameAs(Ancestry other) => All.Length == other.All.Length && Array.TrueForAll(All, other.Contains);
}
