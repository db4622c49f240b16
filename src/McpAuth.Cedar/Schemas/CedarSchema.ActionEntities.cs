using McpAuth.Cedar.Data;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

public sealed partial class CedarSchema
{
    private IReadOnlyDictionary<EntityUid, Entity>? actionEntities;

    /// <summary>The actions as entities, each in its groups: they are among the entities of every store made with this schema.</summary>
    /// <returns>Null where that is reported: a small schema can have very many pairs of an action and a group.</returns>
    internal IReadOnlyDictionary<EntityUid, Entity>? ActionEntities(DataFindings findings)
    {
        if (actionEntities is { } made) return made;
        var hierarchy = new Hierarchy(_ => null);
        foreach (ActionDeclaration action in Actions.Values) hierarchy.Add(action.Uid, [.. action.Parents]);
        if (!hierarchy.TryClose(findings)) return null;
        return actionEntities = Actions.Values.ToDictionary(a => a.Uid, a => new Entity(a.Uid, CedarRecord.Empty, CedarRecord.Empty, [.. a.Parents], hierarchy[a.Uid]));
    }
}
