using McpAuth.Cedar.Data;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

public sealed partial class EntityStore
{
    /// <summary>Who is directly in whom, of this store alone; made when entities are first laid over it, once.</summary>
    private Dictionary<EntityUid, List<EntityUid>>? children;

    /// <summary>The store of these entities.</summary>
    /// <param name="schema">When given, the entities must be as it declares, and its actions are added.</param>
    /// <returns>Errors where two that differ have one name (<c>duplicate_entity</c>), where entities are in one another (<c>cycle</c>; the message names them),
    /// where all have more than <see cref="Limits.Ancestors"/> ancestors together, and where one is not as the schema says.</returns>
    public static Parsed<EntityStore> Of(IEnumerable<EntityDescription> entities, CedarSchema? schema = null)
    {
        ArgumentNullException.ThrowIfNull(entities);
        var findings = new DataFindings();
        var distinct = new DistinctEntities(findings);
        foreach (EntityDescription entity in entities)
        {
            distinct.Add(entity, path: null);
            if (schema is not null) new EntityConformance(schema, new(entity.Uid.ToString()), findings).Check(entity);
        }
        return findings.Result(Build(distinct, schema, findings));
    }

    /// <summary>
    /// These entities over those of this store: a few that belong to one request over many that all requests share, which are not copied. One that has the
    /// name of an entity of this store takes its place, and what was in that one is in this one.
    /// </summary>
    /// <param name="schema">When given, the entities must be as it declares.</param>
    /// <returns>Errors as of <see cref="Of"/>.</returns>
    public Parsed<EntityStore> With(IEnumerable<EntityDescription> entities, CedarSchema? schema = null)
    {
        ArgumentNullException.ThrowIfNull(entities);
        var findings = new DataFindings();
        var distinct = new DistinctEntities(findings);
        foreach (EntityDescription entity in entities)
        {
            distinct.Add(entity, path: null);
            if (schema is not null) new EntityConformance(schema, new(entity.Uid.ToString()), findings).Check(entity);
        }
        return findings.Result(findings.Any ? null : LayOver(distinct, findings));
    }

    /// <summary>The same for a few that are at hand.</summary>
    public Parsed<EntityStore> With(params EntityDescription[] entities) => With(entities, schema: null);

    internal static EntityStore? Build(DistinctEntities distinct, CedarSchema? schema, DataFindings findings)
    {
        if (findings.Any) return null;
        var hierarchy = new Hierarchy(_ => null);
        foreach (EntityDescription entity in distinct.All) hierarchy.Add(entity.Uid, [.. entity.Parents.Distinct()]);
        if (!hierarchy.TryClose(findings)) return null;
        var byUid = new Dictionary<EntityUid, Entity>(distinct.Count);
        foreach (EntityDescription entity in distinct.All) byUid.Add(entity.Uid, Make(entity, hierarchy[entity.Uid]));
        if (schema?.ActionEntities(findings) is { } declared)
        {
            foreach (Entity action in byUid.Values.Where(e => SchemaWords.IsActionType(e.Uid.Type)))
                CheckAction(action, declared, findings, distinct.PathOf(action.Uid));
            foreach (Entity action in declared.Values) byUid[action.Uid] = action;
        }
        return findings.Any ? null : new(byUid);
    }

    private EntityStore? LayOver(DistinctEntities distinct, DataFindings findings)
    {
        EntityStore root = below ?? this;
        var mine = new Dictionary<EntityUid, Entity>(below is null ? [] : byUid.Entries);
        var moved = new HashSet<EntityUid>();
        var hierarchy = new Hierarchy(uid => Find(uid)?.Ancestry);
        foreach (EntityDescription entity in distinct.All)
        {
            Entity laid = Make(entity, Ancestry.None);
            if (!laid.Parents.SequenceEqual(Find(entity.Uid)?.Parents ?? [])) moved.Add(entity.Uid);
            mine[entity.Uid] = laid;
            hierarchy.Add(entity.Uid, [.. laid.Parents]);
        }
        // Whatever is below an entity that has other parents now has other ancestors now.
        Entity[] ours = [.. mine.Values];
        var touched = new HashSet<EntityUid>(distinct.All.Select(e => e.Uid));
        var left = new Stack<EntityUid>(moved);
        while (left.TryPop(out EntityUid? uid))
        {
            IEnumerable<EntityUid> children = root.Children().TryGetValue(uid, out List<EntityUid>? there) ? there : [];
            foreach (EntityUid child in children.Concat(ours.Where(e => e.Parents.Contains(uid)).Select(e => e.Uid)))
            {
                Entity? entity = mine.TryGetValue(child, out Entity? laid) ? laid : root.Find(child);
                if (entity is null || !entity.Parents.Contains(uid) || !moved.Add(child)) continue;
                left.Push(child);
                if (!touched.Add(child)) continue;
                mine[child] = entity;
                hierarchy.Add(child, [.. entity.Parents]);
            }
        }
        if (!hierarchy.TryClose(findings)) return null;
        foreach (EntityUid uid in touched) mine[uid] = mine[uid].With(hierarchy[uid]);
        return new(mine, root);
    }

    private static Entity Make(EntityDescription entity, Ancestry ancestry) =>
        new(entity.Uid, entity.Attributes, entity.Tags, [.. entity.Parents.Distinct()], ancestry);

    private static void CheckAction(Entity action, IReadOnlyDictionary<EntityUid, Entity> all, DataFindings findings, string? path)
    {
        if (!all.TryGetValue(action.Uid, out Entity? declared))
            findings.Error("unknown_action", $"The schema has no action {action.Uid}.", path, NearMiss.Help(action.Uid.ToString(), all.Keys.Select(a => a.ToString())));
        else if (action.Attributes.Count + action.Tags.Count > 0 || !action.Ancestry.SameAs(declared.Ancestry))
            findings.Error("action_differs", $"{action.Uid} is not as the schema declares it.", path, "leave actions out: the schema adds them");
    }

    private Dictionary<EntityUid, List<EntityUid>> Children()
    {
        if (children is { } made) return made;
        made = [];
        foreach (Entity entity in Own)
        {
            foreach (EntityUid parent in entity.Parents)
            {
                if (!made.TryGetValue(parent, out List<EntityUid>? below)) made.Add(parent, below = []);
                below.Add(entity.Uid);
            }
        }
        return children = made; // two threads may both make it; either will do
    }
}
