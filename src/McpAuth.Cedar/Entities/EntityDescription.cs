using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>An entity as a program describes it to <see cref="EntityStore.Of"/>.</summary>
/// <param name="Parents">The entities it is directly in; they need not be described themselves.</param>
public sealed record EntityDescription(EntityUid Uid, CedarRecord Attributes, IReadOnlyCollection<EntityUid> Parents, CedarRecord Tags)
{
    public EntityDescription(EntityUid uid, CedarRecord? attributes = null, params IReadOnlyCollection<EntityUid> parents)
        : this(uid, attributes ?? CedarRecord.Empty, parents, CedarRecord.Empty)
    {
    }

    internal bool SameAs(EntityDescription other) =>
        Uid.Equals(other.Uid) && Attributes.Equals(other.Attributes) && Tags.Equals(other.Tags) && new HashSet<EntityUid>(Parents).SetEquals(other.Parents);
}
