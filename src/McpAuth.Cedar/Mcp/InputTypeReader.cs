using System.Text.Json;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// Reads one JSON Schema. A keyword beside those that give the type can only narrow what is allowed, so it may be ignored: whatever the tool takes has the type,
/// and what has not is denied when it is read.
/// </summary>
internal sealed class InputTypeReader(JsonElement root)
{
    /// <summary>Arguments nest no deeper than <see cref="ArgumentReader"/> reads.</summary>
    private const int Deepest = 60;

    /// <summary>Schemas that are read in all, large ones counted more than once; a reference reads what it refers to again.</summary>
    private const int Most = 10_000;

    /// <summary>As many types as JSON has, integers apart.</summary>
    private const int MostTypes = 7;

    private readonly List<Diagnostic> notes = [];
    private readonly LocalReferences references = new(root);
    private readonly HashSet<string> following = new([""], StringComparer.Ordinal); // the root is being read
    private int read;

    /// <param name="Nullable">Whether null stands for it too, which is as if it were not there.</param>
    private sealed record Typed(CedarType Type, bool Nullable = false);

    public InputType Read()
    {
        Typed? typed = Read(SchemaObject.Of(root), JsonPlace.Root, 0);
        if (typed is { Type: not RecordType }) Note(JsonPlace.Root, "The arguments are not described as an object.");
        return new(typed?.Type as RecordType ?? RecordType.Empty, notes);
    }

    public static Diagnostic NoteOf(JsonPlace at, string reason) => new("no_cedar_type", reason, Path: at.ToString()) { Severity = Severity.Warning };

    private Typed? Read(SchemaObject schema, JsonPlace at, int depth)
    {
        if (read >= Most) return None<Typed>(at, "The schema is too large to be read to its end.");
        read += 1 + (schema.Size / 8);
        if (depth > Deepest) return None<Typed>(at, "It nests too deeply.");
        if (schema.Fault is { } fault) return None<Typed>(at, fault);
        if (schema.Has("$dynamicRef") || schema.Has("$recursiveRef")) return None<Typed>(at, "It refers to what only a validator can find.");
        if (depth > 0 && schema.Has("$id")) return None<Typed>(at, "It is a schema resource of its own.");
        if (schema.TryGet("$ref", out JsonElement reference)) return Follow(schema, reference, at, depth);
        if (schema.TryGet("type", out JsonElement type)) return ByType(schema, type, at, depth);
        if (schema.TryGet("enum", out _) || schema.TryGet("const", out _))
            return schema.ValueType is { } values ? new(values, schema.ValuesNull) : None<Typed>(at, "Its values are not of one type.");
        if (schema.TryGet("anyOf", out JsonElement any)) return OneOf(any, at.Member("anyOf"), at, depth);
        if (schema.TryGet("oneOf", out any)) return OneOf(any, at.Member("oneOf"), at, depth);
        if (schema.TryGet("allOf", out JsonElement all))
            return all.ValueKind == JsonValueKind.Array && all.GetArrayLength() == 1
                ? Read(SchemaObject.Of(all[0]), at.Member("allOf").Item(0), depth + 1)
                : None<Typed>(at, "It must meet several schemas at once.");
        return None<Typed>(at, "It has no type.");
    }

    private Typed? Follow(SchemaObject schema, JsonElement reference, JsonPlace at, int depth)
    {
        if (schema.DescribesBesideReference) return None<Typed>(at, "It has a description beside the reference.");
        if (LocalReferences.Pointer(reference) is not { } pointer || references.Find(pointer) is not { } target)
            return None<Typed>(at, "It refers to nothing in this schema.");
        if (!following.Add(pointer)) return None<Typed>(at, "It refers to itself.");
        Typed? typed = Read(target, at.Member("$ref"), depth + 1);
        following.Remove(pointer);
        return typed;
    }

    private Typed? ByType(SchemaObject schema, JsonElement type, JsonPlace at, int depth)
    {
        bool nullable = schema.TryGet("nullable", out JsonElement n) && n.ValueKind == JsonValueKind.True; // OpenAPI's word for it
        if (type.ValueKind == JsonValueKind.Array && type.GetArrayLength() > MostTypes) return None<Typed>(at, "It may be of several types.");
        string? single = null;
        foreach (JsonElement one in type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().ToArray() : [type])
        {
            string name = SchemaObject.TextOf(one) ?? "";
            if (name == "null") nullable = true;
            else if (single is null || single == name) single = name;
            else if ((single, name) is ("integer", "number") or ("number", "integer")) single = "number";
            else return None<Typed>(at, "It may be of several types.");
        }
        CedarType? read = single switch
        {
            "string" => CedarType.String,
            "boolean" => CedarType.Bool,
            "integer" => CedarType.Long,
            "number" => CedarType.Decimal,
            "array" => Array(schema, at, depth),
            "object" => Object(schema, at, depth),
            null => None<CedarType>(at, "It is always null."),
            _ => None<CedarType>(at, "Its type is none of JSON Schema."),
        };
        return read is null ? null : new(read, nullable);
    }

    private SetType? Array(SchemaObject schema, JsonPlace at, int depth)
    {
        if (schema.Has("prefixItems") || (schema.TryGet("items", out JsonElement items) && items.ValueKind == JsonValueKind.Array))
            return None<SetType>(at, "Its members have types by their position.");
        if (!schema.TryGet("items", out items)) return None<SetType>(at, "Its members are not described.");
        JsonPlace below = at.Member("items");
        Typed? element = Read(SchemaObject.Of(items), below, depth + 1);
        if (element is { Nullable: true }) return None<SetType>(below, "A member may be null.");
        return element is null ? null : new(element.Type);
    }

    private RecordType? Object(SchemaObject schema, JsonPlace at, int depth)
    {
        bool closed = schema.TryGet("additionalProperties", out JsonElement additional) && additional.ValueKind == JsonValueKind.False && !schema.Has("patternProperties");
        if (!schema.TryGet("properties", out JsonElement properties))
            return closed ? RecordType.Empty : None<RecordType>(at, "Its members are not described.");
        if (properties.ValueKind != JsonValueKind.Object) return None<RecordType>(at, "Its members are not described as an object.");
        if (schema.Has("patternProperties") || (schema.Has("additionalProperties") && !closed)) Note(at, "It may have members besides these, which policies do not see.");

        JsonPlace members = at.Member("properties");
        var attributes = new List<KeyValuePair<string, AttributeType>>();
        foreach (JsonProperty property in properties.EnumerateObject())
        {
            if (SchemaObject.NameOf(property) is not { } name) Note(members, "A name holds half a character.");
            else if (Read(SchemaObject.Of(property.Value), members.Member(name), depth + 1) is { } typed)
                attributes.Add(new(name, new(typed.Type, Required: !typed.Nullable && schema.Requires(name))));
        }
        return new(attributes);
    }

    /// <summary>Of alternatives one, besides null; or all of one and the same simple type.</summary>
    private Typed? OneOf(JsonElement alternatives, JsonPlace at, JsonPlace whole, int depth)
    {
        if (alternatives.ValueKind != JsonValueKind.Array) return None<Typed>(whole, "It has no type.");
        bool nullable = false;
        var read = new List<Typed?>();
        int before = notes.Count;
        int index = 0;
        foreach (JsonElement one in alternatives.EnumerateArray())
        {
            this.read++;
            SchemaObject alternative = SchemaObject.Of(one);
            if (alternative.IsNull) nullable = true;
            else read.Add(Read(alternative, at.Item(index), depth + 1));
            index++;
        }
        if (read is [{ } only]) return only with { Nullable = nullable || only.Nullable };
        if (read is [null]) return null; // it said why
        if (read.Count > 0 && read.TrueForAll(r => r?.Type is PrimitiveType && Same(r.Type, read[0]!.Type)))
            return new(read.Exists(r => r!.Type == CedarType.Decimal) ? CedarType.Decimal : read[0]!.Type, nullable || read.Exists(r => r!.Nullable));
        notes.RemoveRange(before, notes.Count - before); // the whole has no type, so that parts have none is no news
        return None<Typed>(whole, "It may be of several types.");
    }

    /// <summary>Whole numbers are among the numbers.</summary>
    private static bool Same(CedarType a, CedarType b) => a == b || (IsNumber(a) && IsNumber(b));

    private static bool IsNumber(CedarType type) => type == CedarType.Long || type == CedarType.Decimal;

    private T? None<T>(JsonPlace at, string reason)
        where T : class
    {
        Note(at, reason);
        return null;
    }

    private void Note(JsonPlace at, string reason)
    {
        if (notes.Count < Limits.Errors) notes.Add(NoteOf(at, reason));
    }
}
