using System.Collections.Concurrent;
using McpAuth.Cedar.Schemas.Resolution;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

/// <summary>
/// What follows from the parents that are declared: the ancestors, of types and of actions. They are worked out for the sets of parents that are asked about,
/// once each: those of everything would be as many as the square of what is declared.
/// </summary>
public sealed partial class CedarSchema
{
    private readonly ConcurrentDictionary<object, HashSet<string>> typeAncestors = new(ReferenceEqualityComparer.Instance);
    private readonly ConcurrentDictionary<object, HashSet<EntityUid>> actionAncestors = new(ReferenceEqualityComparer.Instance);
    private readonly Lazy<HashSet<(string, string)>> actionTypes;

    /// <summary>Whether the schema knows the action, or the entity's type.</summary>
    internal bool Declares(EntityUid entity) => SchemaWords.IsActionType(entity.Type) ? Actions.ContainsKey(entity) : EntityTypes.ContainsKey(entity.Type);

    /// <summary>The ids of an enumerated type; null for any other.</summary>
    internal IReadOnlySet<string>? Enumeration(string type) => enumerations.GetValueOrDefault(type);

    /// <summary>Whether entities of the type may have one of the other type as a parent, or above one. Of itself only when the schema says so.</summary>
    internal bool IsBelow(string type, string ancestor)
    {
        if (!EntityTypes.TryGetValue(type, out EntityTypeDeclaration? declared) || declared.Parents.Count == 0) return false;
        return declared.Parents.Contains(ancestor) || Ancestors(declared.Parents).Contains(ancestor);
    }

    /// <summary>Whether it is this action, or one above it.</summary>
    internal bool IsActionIn(EntityUid action, EntityUid group)
    {
        if (action.Equals(group)) return true;
        if (!Actions.TryGetValue(action, out ActionDeclaration? declared) || declared.Parents.Count == 0) return false;
        return declared.Parents.Contains(group) || ActionAncestors(action).Contains(group);
    }

    /// <summary>Direct and indirect ones.</summary>
    internal IReadOnlySet<EntityUid> ActionAncestors(EntityUid action)
    {
        IReadOnlySet<EntityUid> parents = Actions[action].Parents;
        return actionAncestors.GetOrAdd(parents, static (_, at) => Closure(at.parents, a => at.Actions[a].Parents, null), (parents, Actions));
    }

    /// <summary>Whether some action of the one type is in some action of the other.</summary>
    internal bool HasActionTypeIn(string type, string ancestor) => actionTypes.Value.Contains((type, ancestor));

    private HashSet<string> Ancestors(IReadOnlySet<string> parents) =>
        typeAncestors.GetOrAdd(parents, static (_, at) => Closure(at.parents, t => at.EntityTypes[t].Parents, StringComparer.Ordinal), (parents, EntityTypes));

    private static HashSet<T> Closure<T>(IReadOnlySet<T> first, Func<T, IReadOnlySet<T>> parents, IEqualityComparer<T>? comparer)
    {
        HashSet<T> all = new(first, comparer);
        HashSet<object> followed = new(ReferenceEqualityComparer.Instance) { first };
        var rest = new Stack<T>(all);
        while (rest.TryPop(out T? next))
        {
            IReadOnlySet<T> further = parents(next);
            if (!followed.Add(further)) continue; // the names of one declaration share their parents
            foreach (T parent in further)
                if (all.Add(parent)) rest.Push(parent);
        }
        return all;
    }

    /// <summary>Of each declaration from those of its parents: types of actions are as few as namespaces, while the ancestors of all actions may be very many.</summary>
    private HashSet<(string, string)> ActionTypes()
    {
        Dictionary<IReadOnlySet<EntityUid>, HashSet<string>> above = new(ReferenceEqualityComparer.Instance);
        foreach (IReadOnlySet<EntityUid> parents in DependencyOrder.Of(Actions.Values.Select(a => a.Parents), parents => parents.Select(p => Actions[p].Parents), _ => { }))
        {
            HashSet<string> types = new(StringComparer.Ordinal);
            foreach (EntityUid parent in parents)
            {
                types.Add(parent.Type);
                types.UnionWith(above[Actions[parent].Parents]);
            }
            above[parents] = types;
        }
        return [.. Actions.Values.SelectMany(a => above[a.Parents].Select(type => (a.Uid.Type, type)))];
    }
}
