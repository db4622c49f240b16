using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Validation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

public sealed partial class CedarSchema
{
    /// <summary>Why the entity is none that the schema allows, in one sentence; null when it is.</summary>
    /// <remarks>Its attributes and tags must be of the declared types, and all of its ancestors of types that may be ancestors. An action must be as declared.</remarks>
    public string? FaultOf(Entity entity)
    {
        ArgumentNullException.ThrowIfNull(entity);
        EntityUid uid = entity.Uid;
        if (SchemaWords.IsActionType(uid.Type)) return FaultOfAction(entity);
        if (!EntityTypes.TryGetValue(uid.Type, out EntityTypeDeclaration? declared)) return $"The type of {uid} is not declared{Meant(uid.Type, EntityTypes.Keys)}.";
        if (!this.HasId(uid)) return $"{uid} is not one of the entities that its type enumerates{Meant(uid.Id, Enumeration(uid.Type)!)}.";
        if (!this.Conforms(entity.Attributes, declared.Attributes))
            return $"The entity {uid} does not fit its type: {this.Fault(entity.Attributes, declared.Attributes, "attributes")}.";
        foreach (EntityUid ancestor in entity.Ancestors)
        {
            if (!this.HasId(ancestor)) return $"There is no entity {ancestor} for {uid} to be in.";
            if (!IsBelow(uid.Type, ancestor.Type)) return $"The entity {uid} is in {ancestor}, but no entity of type {uid.Type} may be in one of type {ancestor.Type}.";
        }
        return FaultOfTags(entity, declared);
    }

    private string? FaultOfTags(Entity entity, EntityTypeDeclaration declared)
    {
        foreach ((string tag, Value value) in entity.Tags)
        {
            if (declared.Tags is null) return $"The entity {entity.Uid} has the tag '{tag}', but entities of its type have none.";
            if (this.Fault(value, declared.Tags, $"tags.{tag}") is { } fault) return $"The entity {entity.Uid} does not fit its type: {fault}.";
        }
        return null;
    }

    private string? FaultOfAction(Entity entity)
    {
        if (!Actions.ContainsKey(entity.Uid)) return $"The action {entity.Uid} is not declared{Meant(entity.Uid.Id, Actions.Keys.Select(a => a.Id))}.";
        if (entity.Attributes.Count > 0 || entity.Tags.Count > 0) return $"The action {entity.Uid} has attributes or tags, and no action can have any.";
        return IsInExactly(entity) ? null : $"The action {entity.Uid} is in other groups than the schema declares.";
    }

    /// <summary>Stops at the first group too many: the work is bounded by what the entity has.</summary>
    private bool IsInExactly(Entity action)
    {
        HashSet<EntityUid> left = [.. action.Ancestors], seen = [];
        var rest = new Stack<EntityUid>(Actions[action.Uid].Parents);
        while (rest.TryPop(out EntityUid? group))
        {
            if (!seen.Add(group)) continue;
            if (!left.Remove(group)) return false;
            foreach (EntityUid parent in Actions[group].Parents) rest.Push(parent);
        }
        return left.Count == 0;
    }
}
