using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>The entities a decision may look at. Immutable; an entity that is not among them has no attributes and no parents.</summary>
public sealed partial class EntityStore
{
    private readonly UidMap<Entity> byUid;

    /// <summary>A large store this one is laid over; what is here hides what is there. Never itself laid over another.</summary>
    private readonly EntityStore? below;

    internal EntityStore(Dictionary<EntityUid, Entity> byUid)
        : this(byUid, below: null)
    {
    }

    private EntityStore(Dictionary<EntityUid, Entity> byUid, EntityStore? below)
    {
        this.byUid = new(byUid);
        this.below = below;
        Count = byUid.Count;
        if (below is null) return;
        Count += below.Count;
        foreach (EntityUid uid in byUid.Keys)
            if (below.byUid.Find(uid) is not null) Count--;
    }

    public static EntityStore Empty { get; } = new([]);

    public int Count { get; }

    /// <summary>Each once, in no order that means anything.</summary>
    public IEnumerable<Entity> Entities => below is null ? Own : Own.Concat(below.Own.Where(e => byUid.Find(e.Uid) is null));

    private IEnumerable<Entity> Own => byUid.Entries.Select(e => e.Value);

    /// <summary>The entity of that name; null when it is not among these.</summary>
    public Entity? Find(EntityUid uid) =>
        byUid.Find(uid) ?? below?.byUid.Find(uid);
}
