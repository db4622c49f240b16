using McpAuth.Cedar.Schemas.Resolution;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

/// <summary>What follows from the parents that are declared: of types, and of actions.</summary>
public sealed partial class CedarSchema
{
    private readonly Lazy<Descent<string>> types;
    private readonly Lazy<Descent<EntityUid>> actions;
    private readonly Lazy<HashSet<(string, string)>> actionTypes;

    /// <summary>Whether the schema knows the action, or the entity's type.</summary>
    internal bool Declares(EntityUid entity) => SchemaWords.IsActionType(entity.Type) ? Actions.ContainsKey(entity) : EntityTypes.ContainsKey(entity.Type);

    /// <summary>The ids of an enumerated type; null for any other.</summary>
    internal IReadOnlySet<string>? Enumeration(string type) => enumerations.GetValueOrDefault(type);

    /// <summary>Whether entities of the type may have one of the other type as a parent, or above one. Of itself only when the schema says so.</summary>
    internal bool IsBelow(string type, string ancestor) => types.Value.IsBelow(type, ancestor);

    /// <summary>Whether it is this action, or one above it.</summary>
    internal bool IsActionIn(EntityUid action, EntityUid group) => action.Equals(group) || actions.Value.IsBelow(action, group);

    /// <summary>Whether some action of the one type is in some action of the other.</summary>
    internal bool HasActionTypeIn(string type, string ancestor) => actionTypes.Value.Contains((type, ancestor));

    /// <summary>Of each declaration from those of its parents: types of actions are as few as namespaces, while the ancestors of all actions may be very many.</summary>
    private HashSet<(string, string)> ActionTypes()
    {
        Dictionary<IReadOnlySet<EntityUid>, HashSet<string>> above = new(ReferenceEqualityComparer.Instance);
        foreach (IReadOnlySet<EntityUid> parents in DependencyOrder.Of(Actions.Values.Select(a => a.Parents), parents => parents.Select(p => Actions[p].Parents), _ => { }))
        {
            HashSet<string> found = new(StringComparer.Ordinal);
            foreach (EntityUid parent in parents)
            {
                found.Add(parent.Type);
                found.UnionWith(above[Actions[parent].Parents]);
            }
            above[parents] = found;
        }
        return [.. Actions.Values.SelectMany(a => above[a.Parents].Select(type => (a.Uid.Type, type)))];
    }
}
