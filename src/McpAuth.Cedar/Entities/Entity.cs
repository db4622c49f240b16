using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>An entity: attributes, tags, and the entities it is a member of. Immutable.</summary>
public sealed class Entity
{
    /// <param name="ancestors">All of them, not only the direct parents; <see cref="EntityStore"/> works them out.</param>
    internal Entity(EntityUid uid, CedarRecord attributes, CedarRecord tags, IReadOnlyList<EntityUid> parents, EntityUid[] ancestors)
    {
        Uid = uid;
        Attributes = attributes;
        Tags = tags;
        Parents = parents;
        Ancestors = ancestors;
        if (ancestors.Length > Small) index = [.. ancestors];
    }

    /// <summary>Up to here a walk is faster than a hash.</summary>
    private const int Small = 8;

    private readonly HashSet<EntityUid>? index;

    public EntityUid Uid { get; }

    public CedarRecord Attributes { get; }

    public CedarRecord Tags { get; }

    /// <summary>The direct ones.</summary>
    public IReadOnlyList<EntityUid> Parents { get; }

    /// <summary>Direct and indirect ones, each once, never itself.</summary>
    internal EntityUid[] Ancestors { get; }

    /// <summary>Whether this is <paramref name="other"/> or below it: the operator <c>in</c>.</summary>
    public bool IsIn(EntityUid other)
    {
        if (Uid.Equals(other)) return true;
        if (index is not null) return index.Contains(other);
        foreach (EntityUid ancestor in Ancestors)
            if (ancestor.Equals(other)) return true;
        return false;
    }
}
