using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

/// <summary>A schema: which entity types, actions and contexts there are. Resolved and well-formed; immutable.</summary>
public sealed partial class CedarSchema
{
    internal CedarSchema(IEnumerable<EntityTypeDeclaration> entityTypes, IEnumerable<ActionDeclaration> actions)
    {
        EntityTypes = entityTypes.ToDictionary(e => e.Name, StringComparer.Ordinal);
        Actions = actions.ToDictionary(a => a.Uid);
    }

    /// <summary>By full name. The types of actions are not among them.</summary>
    public IReadOnlyDictionary<string, EntityTypeDeclaration> EntityTypes { get; }

    public IReadOnlyDictionary<EntityUid, ActionDeclaration> Actions { get; }
}
