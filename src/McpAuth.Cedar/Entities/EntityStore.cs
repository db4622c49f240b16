using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>The entities a decision may look at. Immutable; an entity that is not among them has no attributes and no parents.</summary>
public sealed partial class EntityStore
{
    private readonly Dictionary<EntityUid, Entity> byUid;

    /// <summary>A large store this one is laid over; what is here hides what is there. Never itself laid over another.</summary>
    private readonly EntityStore? below;

    internal EntityStore(Dictionary<EntityUid, Entity> byUid)
        : this(byUid, below: null)
    {
    }

    private EntityStore(Dictionary<EntityUid, Entity> byUid, EntityStore? below)
    {
        this.byUid = byUid;
        this.below = below;
        Count = byUid.Count;
        if (below is null) return;
        Count += below.Count;
        foreach (EntityUid uid in byUid.Keys)
            if (below.byUid.ContainsKey(uid)) Count--;
    }

    public static EntityStore Empty { get; } = new([]);

    public int Count { get; }

    /// <summary>Each once, in no order that means anything.</summary>
    public IEnumerable<Entity> Entities => below is null ? byUid.Values : byUid.Values.Concat(below.byUid.Values.Where(e => !byUid.ContainsKey(e.Uid)));

    /// <summary>The entity of that name; null when it is not among these.</summary>
    public Entity? Find(EntityUid uid) =>
        byUid.TryGetValue(uid, out Entity? entity) ? entity : below?.byUid.GetValueOrDefault(uid);
}
