using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>An entity: attributes, tags, and the entities it is a member of. Immutable; stores make them of an <see cref="EntityDescription"/>.</summary>
public sealed class Entity
{
    private readonly Ancestry ancestry;

    /// <param name="ancestors">All of them, not only the direct parents; <see cref="EntityStore"/> works them out.</param>
    internal Entity(EntityUid uid, CedarRecord attributes, CedarRecord tags, IReadOnlyList<EntityUid> parents, EntityUid[] ancestors)
        : this(uid, attributes, tags, parents, new Ancestry([.. ancestors]))
    {
    }

    internal Entity(EntityUid uid, CedarRecord attributes, CedarRecord tags, IReadOnlyList<EntityUid> parents, Ancestry ancestry)
    {
        Uid = uid;
        Attributes = attributes;
        Tags = tags;
        Parents = parents;
        this.ancestry = ancestry;
    }

    public EntityUid Uid { get; }

    public CedarRecord Attributes { get; }

    public CedarRecord Tags { get; }

    /// <summary>The direct ones.</summary>
    public IReadOnlyList<EntityUid> Parents { get; }

    /// <summary>Direct and indirect ones, each once, never itself.</summary>
    internal EntityUid[] Ancestors => ancestry.All;

    internal Ancestry Ancestry => ancestry;

    /// <summary>Whether this is <paramref name="other"/> or below it: the operator <c>in</c>.</summary>
    public bool IsIn(EntityUid other) => Uid.Equals(other) || ancestry.Contains(other);

    internal Entity With(Ancestry other) => new(Uid, Attributes, Tags, Parents, other);
}
