using McpAuth.Cedar.Data;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>Descriptions by name. The same entity may be described twice, if both descriptions say the same.</summary>
internal sealed class DistinctEntities(DataFindings findings)
{
    private readonly Dictionary<EntityUid, (EntityDescription Entity, string? Path)> byUid = [];

    public int Count => byUid.Count;

    public IEnumerable<EntityDescription> All => byUid.Values.Select(e => e.Entity);

    public void Add(EntityDescription entity, string? path)
    {
        if (byUid.TryAdd(entity.Uid, (entity, path)) || byUid[entity.Uid].Entity.SameAs(entity)) return;
        findings.Error("duplicate_entity", $"{entity.Uid} is described twice, and differently.", path);
    }

    public string? PathOf(EntityUid uid) => byUid[uid].Path;
}
