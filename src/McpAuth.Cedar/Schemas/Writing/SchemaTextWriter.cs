using System.Text;
using McpAuth.Cedar.Schemas.Resolution;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;
using Annotations = System.Collections.Generic.IReadOnlyList<System.Collections.Generic.KeyValuePair<string, string>>;

namespace McpAuth.Cedar.Schemas.Writing;

/// <summary>The text form of a schema.</summary>
internal sealed class SchemaTextWriter(SchemaSyntax schema, SchemaNames names)
{
    private const string Step = "  ";

    private readonly StringBuilder text = new();
    private readonly WrittenNames written = new(names);
    private string indent = "";

    public string Write()
    {
        foreach (NamespaceSyntax space in schema.Namespaces)
        {
            if (space.Name is null)
            {
                WriteDeclarations(space);
                continue;
            }
            WriteAnnotations(space.Annotations);
            text.Append("namespace ").Append(space.Name).Append(" {\n");
            indent = Step;
            WriteDeclarations(space);
            indent = "";
            text.Append("}\n");
        }
        if (written.ActionAlias is { } alias) text.Append("type ").Append(alias).Append(" = ").Append(SchemaWords.Action).Append(";\n");
        return text.ToString();
    }

    private void WriteDeclarations(NamespaceSyntax space)
    {
        foreach (CommonTypeSyntax common in space.CommonTypes)
        {
            WriteAnnotations(common.Annotations);
            text.Append(indent).Append("type ").Append(written.OfCommonType(space.Name, common.Name.Name)).Append(" = ");
            WriteType(common.Type, space.Name, space.Name);
            text.Append(";\n");
        }
        foreach (EntitySyntax entity in space.Entities) WriteEntity(entity, space.Name);
        foreach (ActionSyntax action in space.Actions) WriteAction(action, space.Name);
    }

    private void WriteEntity(EntitySyntax entity, string? space)
    {
        WriteAnnotations(entity.Annotations);
        text.Append(indent).Append("entity ").AppendJoin(", ", entity.Names.Select(n => n.Name));
        if (entity.Ids is not null)
        {
            text.Append(" enum [");
            WriteList(entity.Ids, Quote);
            text.Append(']');
        }
        if (entity.Parents.Count > 0) text.Append(" in [").AppendJoin(", ", entity.Parents.Select(p => p.Name)).Append(']');
        if (entity.Shape is not null)
        {
            (RecordTypeSyntax shape, string? from) = RecordOf(entity.Shape, space);
            text.Append(' ');
            WriteType(shape, from, space);
        }
        if (entity.Tags is not null)
        {
            text.Append(" tags ");
            WriteType(entity.Tags, space, space);
        }
        text.Append(";\n");
    }

    /// <summary>The text form has no name for a shape, only for a context: so it is the record that the common type stands for, with the namespace its names are from.</summary>
    private (RecordTypeSyntax Record, string? Space) RecordOf(TypeSyntax shape, string? space)
    {
        while (shape is NamedTypeSyntax named)
        {
            CommonDeclaration common = names.Commons[names.Resolve(space, named.Name, named.Kind)!.Value.Name];
            (shape, space) = (common.Syntax.Type, common.Space);
        }
        return ((RecordTypeSyntax)shape, space);
    }

    private void WriteAction(ActionSyntax action, string? space)
    {
        WriteAnnotations(action.Annotations);
        text.Append(indent).Append("action ");
        WriteList(action.Ids, id => Quote(id.Name));
        if (action.Parents.Count > 0)
        {
            text.Append(" in [");
            WriteList(action.Parents, parent =>
            {
                if (parent.Type is not null) text.Append(parent.Type).Append("::");
                Quote(parent.Id);
            });
            text.Append(']');
        }
        if (action.AppliesTo is { Principals.Count: > 0, Resources.Count: > 0 } appliesTo)
        {
            text.Append(" appliesTo {\n").Append(indent).Append(Step).Append("principal: [").AppendJoin(", ", appliesTo.Principals.Select(p => p.Name)).Append("],\n");
            text.Append(indent).Append(Step).Append("resource: [").AppendJoin(", ", appliesTo.Resources.Select(r => r.Name)).Append(']');
            if (appliesTo.Context is not null)
            {
                text.Append(",\n").Append(indent).Append(Step).Append("context: ");
                WriteType(appliesTo.Context, space, space);
            }
            text.Append('\n').Append(indent).Append('}');
        }
        text.Append(";\n");
    }

    private void WriteType(TypeSyntax type, string? from, string? into)
    {
        switch (type)
        {
            case PrimitiveTypeSyntax primitive: text.Append(written.OfBuiltin(primitive.Kind == ValueKind.Bool ? "Bool" : primitive.Kind.ToString())); break;
            case ExtensionTypeSyntax extension: text.Append(written.OfBuiltin(extension.Name)); break;
            case NamedTypeSyntax named: text.Append(written.Of(named, from, into)); break;
            case SetTypeSyntax set:
                text.Append("Set<");
                WriteType(set.Element, from, into);
                text.Append('>');
                break;
            case RecordTypeSyntax record:
                text.Append('{');
                WriteList(record.Attributes, attribute =>
                {
                    foreach ((string key, string value) in attribute.Annotations)
                    {
                        WriteAnnotation(key, value);
                        text.Append(' ');
                    }
                    if (Identifiers.IsName(attribute.Name.Name)) text.Append(attribute.Name.Name);
                    else Quote(attribute.Name.Name);
                    text.Append(attribute.Required ? ": " : "?: ");
                    WriteType(attribute.Type, from, into);
                });
                text.Append('}');
                break;
        }
    }

    private void WriteList<T>(IEnumerable<T> all, Action<T> write)
    {
        bool first = true;
        foreach (T one in all)
        {
            if (!first) text.Append(", ");
            first = false;
            write(one);
        }
    }

    private void WriteAnnotations(Annotations annotations)
    {
        foreach ((string key, string value) in annotations)
        {
            text.Append(indent);
            WriteAnnotation(key, value);
            text.Append('\n');
        }
    }

    private void WriteAnnotation(string key, string value)
    {
        text.Append('@').Append(key);
        if (value.Length == 0) return;
        text.Append('(');
        Quote(value);
        text.Append(')');
    }

    private void Quote(string value)
    {
        text.Append('"');
        StringEscapes.Append(text, value);
        text.Append('"');
    }
}
