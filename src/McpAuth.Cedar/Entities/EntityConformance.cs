using McpAuth.Cedar.Data;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>Whether an entity is as a schema declares its type. Actions are compared with the schema's own, when all ancestors are known.</summary>
internal sealed class EntityConformance(CedarSchema schema, JsonTrail trail, DataFindings findings)
{
    private readonly ReportedConformance values = new(schema, trail, findings);

    public void Check(EntityDescription entity)
    {
        if (SchemaWords.IsActionType(entity.Uid.Type) || CheckUid(entity.Uid) is not { } type) return;
        trail.Enter("attrs");
        CheckAttributes(entity.Attributes, type);
        trail.Leave();
        trail.Enter("tags");
        CheckTags(entity.Tags, type);
        trail.Leave();
        trail.Enter("parents");
        foreach (EntityUid parent in entity.Parents) CheckParent(parent, type);
        trail.Leave();
    }

    /// <summary>The declaration of its type; null where there is none, which is reported.</summary>
    public EntityTypeDeclaration? CheckUid(EntityUid uid)
    {
        if (!schema.EntityTypes.TryGetValue(uid.Type, out EntityTypeDeclaration? type))
        {
            findings.Error("unknown_entity_type", $"The schema has no entity type {uid.Type}.", trail.ToString(), NearMiss.Help(uid.Type, schema.EntityTypes.Keys));
            return null;
        }
        values.CheckUid(uid);
        return type;
    }

    public void CheckAttributes(CedarRecord attributes, EntityTypeDeclaration type) => values.Check(attributes, type.Attributes);

    public void CheckTags(CedarRecord tags, EntityTypeDeclaration type)
    {
        if (type.Tags is null && tags.Count > 0) findings.Error("unexpected_tags", $"The schema gives entities of type {type.Name} no tags.", trail.ToString());
        if (type.Tags is null) return;
        foreach ((string name, Value value) in tags)
        {
            trail.Enter(name);
            values.Check(value, type.Tags);
            trail.Leave();
        }
    }

    public void CheckParent(EntityUid parent, EntityTypeDeclaration type)
    {
        if (schema.IsBelow(type.Name, parent.Type)) values.CheckUid(parent);
        else findings.Error("wrong_parent_type", $"By the schema, entities of type {type.Name} are in none of type {parent.Type}.", trail.ToString());
    }
}
