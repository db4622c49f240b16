using McpAuth.Cedar.Schemas.Writing;

namespace McpAuth.Cedar.Schemas;

public sealed partial class CedarSchema
{
    /// <summary>
    /// Writes the text form (<c>.cedarschema</c>), which reads as a schema that allows the same. Common types stay common types. What only JSON can say is said
    /// otherwise: a common type with the name of an entity type gets another name, and an action whose lists of types are empty is only a group.
    /// </summary>
    public string ToCedar() => new SchemaTextWriter(syntax, names).Write();

    /// <summary>Writes the JSON form, which reads as the same schema. Names that share a declaration each get one of their own.</summary>
    public string ToJson() => SchemaJsonWriter.Write(syntax);
}
