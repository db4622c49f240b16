using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>The actions of a schema as entities, each in all of its groups.</summary>
internal static class ActionHierarchy
{
    public static Dictionary<EntityUid, Entity> Of(CedarSchema schema)
    {
        var made = new Dictionary<EntityUid, Entity>();
        foreach (ActionDeclaration action in schema.Actions.Values)
        {
            // A schema that was read has no cycles; a group that two others share is one ancestor.
            var ancestors = new List<EntityUid>();
            var left = new Stack<EntityUid>(action.Parents);
            while (left.TryPop(out EntityUid? group))
            {
                if (ancestors.Contains(group)) continue;
                ancestors.Add(group);
                foreach (EntityUid parent in schema.Actions[group].Parents) left.Push(parent);
            }
            made[action.Uid] = new(action.Uid, CedarRecord.Empty, CedarRecord.Empty, [.. action.Parents], [.. ancestors]);
        }
        return made;
    }
}
