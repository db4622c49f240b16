using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>The entities a decision may look at. Immutable; an entity that is not among them has no attributes and no parents.</summary>
public sealed partial class EntityStore
{
    private readonly Dictionary<EntityUid, Entity> byUid;

    internal EntityStore(Dictionary<EntityUid, Entity> byUid) => this.byUid = byUid;

    public static EntityStore Empty { get; } = new([]);

    public int Count => byUid.Count;

    public IEnumerable<Entity> Entities => byUid.Values;

    /// <summary>The entity of that name; null when it is not among these.</summary>
    public Entity? Find(EntityUid uid) => byUid.GetValueOrDefault(uid);
}
