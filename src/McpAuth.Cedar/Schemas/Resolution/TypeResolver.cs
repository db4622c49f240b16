using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Resolution;

/// <summary>Types as written become types; common types are replaced by what they stand for, each resolved once and shared.</summary>
internal sealed class TypeResolver
{
    private readonly SchemaNames names;
    private readonly Findings findings;
    private readonly Dictionary<string, CedarType> commons = new(StringComparer.Ordinal);

    public TypeResolver(SchemaNames names, Findings findings)
    {
        (this.names, this.findings) = (names, findings);
        // What a common type refers to comes before it, so nothing recurses along the references: they may be as long as the schema.
        foreach (string name in CommonTypeOrder.Of(names, findings))
        {
            CommonDeclaration common = names.Commons[name];
            commons[name] = Resolve(common.Space, common.Syntax.Type);
        }
    }

    /// <summary>The type; where it cannot be resolved that is reported, and some type stands in for it.</summary>
    public CedarType Resolve(string? space, TypeSyntax syntax)
    {
        CedarType type = syntax switch
        {
            PrimitiveTypeSyntax primitive => SchemaNames.Primitive(primitive.Kind),
            ExtensionTypeSyntax extension => SchemaNames.Extension(extension.Name) ?? UnknownExtension(extension),
            SetTypeSyntax set => new SetType(Resolve(space, set.Element)),
            RecordTypeSyntax record => new RecordType(record.Attributes.Select(a =>
                KeyValuePair.Create(a.Name.Name, new AttributeType(Resolve(space, a.Type), a.Required)))),
            _ => Named(space, (NamedTypeSyntax)syntax),
        };
        if (type.Depth <= Limits.Depth) return type;
        findings.Error("too_deep", $"With its common types replaced, this type nests more than {Limits.Depth} deep.", syntax.Place);
        return CedarType.Bool;
    }

    /// <summary>The attributes of an entity type, or a context: a record, be it by way of a common type.</summary>
    public RecordType ResolveRecord(string? space, TypeSyntax? syntax, string what)
    {
        if (syntax is null) return RecordType.Empty;
        int before = findings.Count;
        if (Resolve(space, syntax) is RecordType record) return record;
        if (findings.Count == before) findings.Error("not_a_record", $"The {what} must be a record.", syntax.Place);
        return RecordType.Empty;
    }

    /// <summary>The full name of an entity type that must be declared; null when it is not, which is reported.</summary>
    public string? ResolveEntity(string? space, NameSyntax name, string what)
    {
        // The types of actions are entity types, but no action can be what is asked for here.
        if (names.Resolve(space, name.Name, Reference.Entity) is { } found && names.Entities.ContainsKey(found.Name)) return found.Name;
        findings.Error("unknown_entity_type", $"There is no entity type '{name.Name}' that could be {what}.", name.Place, NearMiss.Help(name.Name, names.Candidates(space, Reference.Entity)));
        return null;
    }

    private CedarType Named(string? space, NamedTypeSyntax syntax)
    {
        if (names.Resolve(space, syntax.Name, syntax.Kind) is not { } found)
        {
            string what = syntax.Kind switch { Reference.Entity => "entity type", Reference.Common => "common type", _ => "common type or entity type" };
            findings.Error("unknown_type", $"There is no {what} '{syntax.Name}'.", syntax.Place, NearMiss.Help(syntax.Name, names.Candidates(space, syntax.Kind)));
            return CedarType.Bool;
        }
        if (found.Builtin is not null) return found.Builtin;
        // A common type that is part of a cycle is not there; that is reported already.
        return found.IsCommon ? commons.GetValueOrDefault(found.Name, CedarType.Bool) : new EntityType(found.Name);
    }

    private CedarType UnknownExtension(ExtensionTypeSyntax extension)
    {
        findings.Error("unknown_extension", $"There is no extension type '{extension.Name}'.", extension.Place, NearMiss.Help(extension.Name, SchemaNames.ExtensionNames));
        return CedarType.Bool;
    }
}
