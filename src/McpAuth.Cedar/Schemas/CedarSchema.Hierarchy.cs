using McpAuth.Cedar.Data;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

public sealed partial class CedarSchema
{
    private readonly Dictionary<string, IReadOnlySet<string>> ancestorTypes = new(StringComparer.Ordinal);
    private IReadOnlyDictionary<EntityUid, Entity>? actionEntities;

    /// <summary>The actions as entities, each in its groups: they are among the entities of every store made with this schema.</summary>
    internal IReadOnlyDictionary<EntityUid, Entity> ActionEntities => actionEntities ??= MakeActionEntities();

    /// <summary>The types whose entities those of this type may be in, directly or through others. (Types may be in themselves.)</summary>
    internal IReadOnlySet<string> AncestorTypes(string type)
    {
        lock (ancestorTypes)
        {
            if (ancestorTypes.TryGetValue(type, out IReadOnlySet<string>? known)) return known;
            var all = new HashSet<string>(StringComparer.Ordinal);
            var left = new Stack<string>([type]);
            while (left.TryPop(out string? next))
            {
                if (!EntityTypes.TryGetValue(next, out EntityTypeDeclaration? declaration)) continue;
                foreach (string parent in declaration.Parents)
                    if (all.Add(parent)) left.Push(parent);
            }
            return ancestorTypes[type] = all;
        }
    }

    private Dictionary<EntityUid, Entity> MakeActionEntities()
    {
        var hierarchy = new Hierarchy(_ => null);
        foreach (ActionDeclaration action in Actions.Values) hierarchy.Add(action.Uid, [.. action.Parents]);
        // The readers of schemas refuse cycles.
        if (!hierarchy.TryClose(new DataFindings())) throw new InvalidOperationException("The schema's actions are in one another.");
        return Actions.Values.ToDictionary(a => a.Uid, a => new Entity(a.Uid, CedarRecord.Empty, CedarRecord.Empty, [.. a.Parents], hierarchy[a.Uid]));
    }
}
