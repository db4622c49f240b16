using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;
using Annotations = System.Collections.Generic.IReadOnlyList<System.Collections.Generic.KeyValuePair<string, string>>;

namespace McpAuth.Cedar.Schemas.Writing;

/// <summary>The JSON form of a schema.</summary>
internal static class SchemaJsonWriter
{
    public static string Write(SchemaSyntax schema)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            foreach (NamespaceSyntax space in schema.Namespaces)
            {
                json.WriteStartObject(space.Name ?? "");
                Write(json, space);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, NamespaceSyntax space)
    {
        Write(json, space.Annotations);
        if (space.CommonTypes.Count > 0)
        {
            json.WriteStartObject("commonTypes");
            foreach (CommonTypeSyntax common in space.CommonTypes)
            {
                json.WriteStartObject(common.Name.Name);
                WriteMembers(json, common.Type);
                Write(json, common.Annotations);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        json.WriteStartObject("entityTypes");
        foreach (EntitySyntax entity in space.Entities)
            foreach (NameSyntax name in entity.Names) Write(json, name.Name, entity);
        json.WriteEndObject();
        json.WriteStartObject("actions");
        foreach (ActionSyntax action in space.Actions)
            foreach (NameSyntax id in action.Ids) Write(json, id.Name, action);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, EntitySyntax entity)
    {
        json.WriteStartObject(name);
        if (entity.Ids is not null) WriteNames(json, "enum", entity.Ids);
        if (entity.Parents.Count > 0) WriteNames(json, "memberOfTypes", entity.Parents.Select(p => p.Name));
        Write(json, "shape", entity.Shape);
        Write(json, "tags", entity.Tags);
        Write(json, entity.Annotations);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string id, ActionSyntax action)
    {
        json.WriteStartObject(id);
        if (action.Parents.Count > 0)
        {
            json.WriteStartArray("memberOf");
            foreach (ActionNameSyntax parent in action.Parents)
            {
                json.WriteStartObject();
                if (parent.Type is not null) json.WriteString("type", parent.Type);
                json.WriteString("id", parent.Id);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        if (action.AppliesTo is { } appliesTo)
        {
            json.WriteStartObject("appliesTo");
            WriteNames(json, "principalTypes", appliesTo.Principals.Select(p => p.Name));
            WriteNames(json, "resourceTypes", appliesTo.Resources.Select(r => r.Name));
            Write(json, "context", appliesTo.Context);
            json.WriteEndObject();
        }
        Write(json, action.Annotations);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string member, TypeSyntax? type)
    {
        if (type is null) return;
        json.WriteStartObject(member);
        WriteMembers(json, type);
        json.WriteEndObject();
    }

    private static void WriteMembers(Utf8JsonWriter json, TypeSyntax type)
    {
        switch (type)
        {
            case PrimitiveTypeSyntax primitive:
                json.WriteString("type", primitive.Kind == ValueKind.Bool ? "Boolean" : primitive.Kind.ToString());
                break;
            case ExtensionTypeSyntax extension:
                json.WriteString("type", "Extension");
                json.WriteString("name", extension.Name);
                break;
            case NamedTypeSyntax { Kind: Reference.Common } named: json.WriteString("type", named.Name); break;
            case NamedTypeSyntax named:
                json.WriteString("type", named.Kind.ToString());
                json.WriteString("name", named.Name);
                break;
            case SetTypeSyntax set:
                json.WriteString("type", "Set");
                Write(json, "element", set.Element);
                break;
            case RecordTypeSyntax record:
                json.WriteString("type", "Record");
                json.WriteStartObject("attributes");
                foreach (AttributeSyntax attribute in record.Attributes)
                {
                    json.WriteStartObject(attribute.Name.Name);
                    WriteMembers(json, attribute.Type);
                    if (!attribute.Required) json.WriteBoolean("required", false);
                    Write(json, attribute.Annotations);
                    json.WriteEndObject();
                }
                json.WriteEndObject();
                break;
        }
    }

    private static void WriteNames(Utf8JsonWriter json, string member, IEnumerable<string> names)
    {
        json.WriteStartArray(member);
        foreach (string name in names) json.WriteStringValue(name);
        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, Annotations annotations)
    {
        if (annotations.Count == 0) return;
        json.WriteStartObject("annotations");
        foreach ((string key, string value) in annotations) json.WriteString(key, value);
        json.WriteEndObject();
    }
}
