using System.Collections.Frozen;
using System.Text.Json;
using McpAuth.Protocol;

namespace McpGuard.Sdk.Schema;

/// <summary>
/// Compiles the part of JSON Schema 2020-12 that tools use. A keyword that is not understood makes the whole schema unusable: ignoring it
/// would admit what the author wanted refused.
/// </summary>
internal sealed class SchemaCompiler
{
    private const int DeepestNesting = 64, MostNodes = 4096;

    /// <summary>Keywords that assert nothing (annotations), among them <c>format</c> (§7.2.1).</summary>
    private static readonly FrozenSet<string> Annotations = FrozenSet.ToFrozenSet(
        ["$schema", "$id", "$comment", "$anchor", "title", "description", "examples", "deprecated", "readOnly", "writeOnly", "format",
         "contentEncoding", "contentMediaType"], StringComparer.Ordinal);

    private readonly JsonElement root;
    private readonly Dictionary<string, SchemaNode> references = new(StringComparer.Ordinal);
    private int nodes, annotated;

    private SchemaCompiler(JsonElement root) => this.root = root;

    /// <summary>The schema, and how many header annotations it has wherever they stand.</summary>
    public static Result<(SchemaNode Root, int Annotated)> Compile(JsonElement schema)
    {
        try
        {
            var compiler = new SchemaCompiler(schema);
            SchemaNode root = compiler.Node(schema, "$", 0);
            return (root, compiler.annotated);
        }
        catch (SchemaException e)
        {
            return new Fault("unsupported_schema", e.Message, e.Path);
        }
    }

    private SchemaNode Node(JsonElement schema, string path, int depth)
    {
        var node = new SchemaNode();
        Fill(node, schema, path, depth);
        return node;
    }

    private void Fill(SchemaNode node, JsonElement schema, string path, int depth)
    {
        if (depth > DeepestNesting || ++nodes > MostNodes) throw new SchemaException("The schema is too large or nested too deep.", path);
        if (schema.ValueKind == JsonValueKind.True) return;
        if (schema.ValueKind == JsonValueKind.False)
        {
            node.Nothing = true;
            return;
        }
        if (schema.ValueKind != JsonValueKind.Object) throw new SchemaException("A schema is an object or a boolean.", path);
        foreach (JsonProperty keyword in schema.EnumerateObject())
            Keyword(node, keyword.Name, keyword.Value, $"{path}.{keyword.Name}", depth + 1);
    }

    private void Keyword(SchemaNode node, string name, JsonElement value, string path, int depth)
    {
        switch (name)
        {
            case "type": node.Types = Types(value, path); break;
            case "properties": node.Properties = Map(value, path, depth); break;
            case "required": node.Required = Strings(value, path); break;
            case "additionalProperties": node.AdditionalProperties = Node(value, path, depth); break;
            case "propertyNames": node.PropertyNames = Node(value, path, depth); break;
            case "items": node.Items = Node(value, path, depth); break;
            case "not": node.Not = Node(value, path, depth); break;
            case "if": node.If = Node(value, path, depth); break;
            case "then": node.Then = Node(value, path, depth); break;
            case "else": node.Else = Node(value, path, depth); break;
            case "allOf": node.AllOf = List(value, path, depth); break;
            case "anyOf": node.AnyOf = List(value, path, depth); break;
            case "oneOf": node.OneOf = List(value, path, depth); break;
            case "enum": node.Enum = value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : throw new SchemaException("enum is an array.", path); break;
            case "const": node.Enum = [value]; break;
            case "default": node.Default = value; break;
            case "minimum": node.Minimum = Number(value, path); break;
            case "maximum": node.Maximum = Number(value, path); break;
            case "exclusiveMinimum": node.ExclusiveMinimum = Number(value, path); break;
            case "exclusiveMaximum": node.ExclusiveMaximum = Number(value, path); break;
            case "multipleOf":
                node.MultipleOf = Number(value, path) is > 0 and var step ? step : throw new SchemaException("multipleOf is greater than 0.", path);
                break;
            case "minLength": node.MinLength = Count(value, path); break;
            case "maxLength": node.MaxLength = Count(value, path); break;
            case "minItems": node.MinItems = Count(value, path); break;
            case "maxItems": node.MaxItems = Count(value, path); break;
            case "minProperties": node.MinProperties = Count(value, path); break;
            case "maxProperties": node.MaxProperties = Count(value, path); break;
            case "uniqueItems": node.UniqueItems = value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw new SchemaException("uniqueItems is a boolean.", path); break;
            case "pattern": node.Pattern = EcmaPattern.Compile(Text(value, path), path); break;
            case "x-mcp-header":
                node.Header = Text(value, path);
                annotated++;
                break;
            case "$ref": node.Reference = Resolve(Text(value, path), path, depth); break;
            case "$defs" or "definitions":
                // Compiled where they are referred to.
                if (value.ValueKind != JsonValueKind.Object) throw new SchemaException($"{name} is an object.", path);
                break;
            default:
                if (!Annotations.Contains(name) && !name.StartsWith("x-", StringComparison.Ordinal))
                    throw new SchemaException($"The keyword '{name}' is not supported.", path);
                break;
        }
    }

    /// <summary>Only inside this document: <c>#</c> and JSON Pointers (RFC 6901). Nothing is fetched.</summary>
    private SchemaNode Resolve(string reference, string path, int depth)
    {
        if (references.TryGetValue(reference, out SchemaNode? known)) return known;
        if (!reference.StartsWith('#') || (reference.Length > 1 && reference[1] != '/')) throw new SchemaException("$ref must point into this schema.", path);
        JsonElement target = root;
        foreach (string raw in reference.Length == 1 ? [] : reference[2..].Split('/'))
        {
            string token = Uri.UnescapeDataString(raw).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (target.ValueKind != JsonValueKind.Object || !target.TryGetProperty(token, out target)) throw new SchemaException("$ref points at nothing.", path);
        }
        var node = new SchemaNode();
        references.Add(reference, node); // before it is filled: it may refer to itself
        Fill(node, target, path, depth);
        return node;
    }

    private static JsonTypes Types(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.String) return Type(value, path);
        if (value.ValueKind != JsonValueKind.Array) throw new SchemaException("type is a string or an array.", path);
        JsonTypes types = JsonTypes.None;
        foreach (JsonElement one in value.EnumerateArray()) types |= Type(one, path);
        return types;
    }

    private static JsonTypes Type(JsonElement value, string path) => (value.ValueKind == JsonValueKind.String ? value.GetString() : null) switch
    {
        "null" => JsonTypes.Null,
        "boolean" => JsonTypes.Boolean,
        "integer" => JsonTypes.Integer,
        "number" => JsonTypes.Number,
        "string" => JsonTypes.String,
        "array" => JsonTypes.Array,
        "object" => JsonTypes.Object,
        _ => throw new SchemaException("type is not one of the seven.", path),
    };

    private FrozenDictionary<string, SchemaNode> Map(JsonElement value, string path, int depth) => value.ValueKind == JsonValueKind.Object
        ? value.EnumerateObject().ToFrozenDictionary(p => p.Name, p => Node(p.Value, $"{path}.{p.Name}", depth), StringComparer.Ordinal)
        : throw new SchemaException("properties is an object.", path);

    private SchemaNode[] List(JsonElement value, string path, int depth) => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0
        ? [.. value.EnumerateArray().Select((s, i) => Node(s, $"{path}[{i}]", depth))]
        : throw new SchemaException("A combination is an array with members.", path);

    private static string[] Strings(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(e => e.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(e => e.GetString()!)] : throw new SchemaException("required is an array of strings.", path);

    private static string Text(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new SchemaException("The value is a string.", path);

    private static double Number(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble()) ? value.GetDouble() : throw new SchemaException("The value is a number.", path);

    private static int Count(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.Number && value.GetDouble() is >= 0 and <= int.MaxValue and var count && count == Math.Floor(count)
            ? (int)count : throw new SchemaException("The value is a non-negative integer.", path);
}

/// <summary>Leaves the recursive compilation; becomes a <see cref="Fault"/> at its door.</summary>
internal sealed class SchemaException(string message, string path) : Exception(message)
{
    public string Path { get; } = path;
}
