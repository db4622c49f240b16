using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;

namespace McpGuard.Sdk.Schema;

/// <summary>A tool's input schema: fills in defaults, then validates without coercing anything.</summary>
internal sealed class ToolSchema
{
    private readonly SchemaNode root;
    private readonly HashSet<string>? known; // null = the author said that any other argument is welcome
    private readonly bool hasDefaults;

    private ToolSchema(SchemaNode root, IReadOnlyList<HeaderParameter> headers)
    {
        (this.root, HeaderParameters) = (root, headers);
        var names = new HashSet<string>(StringComparer.Ordinal);
        known = Names(root, names, 0) ? null : names;
        hasDefaults = HasDefaults(root, 0);
    }

    /// <summary>The arguments that must also stand in <c>Mcp-Param-*</c> headers.</summary>
    public IReadOnlyList<HeaderParameter> HeaderParameters { get; }

    public static Result<ToolSchema> Compile(JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object) return new Fault("unsupported_schema", "inputSchema is an object.");
        if (!SchemaCompiler.Compile(schema).TryGet(out (SchemaNode Root, int Annotated) compiled, out Fault? fault)) return fault;
        return HeaderAnnotations.Read(compiled.Root, compiled.Annotated).TryGet(out HeaderParameter[]? headers, out fault) ? new ToolSchema(compiled.Root, headers) : fault;
    }

    /// <summary>
    /// The arguments with the schema's defaults where a property is absent, so that leaving one out cannot hide a value from the decision.
    /// </summary>
    public JsonElement FillDefaults(JsonElement arguments)
    {
        if (!hasDefaults || arguments.ValueKind != JsonValueKind.Object || !Lacks(root, arguments, 0)) return arguments;
        JsonObject filled = JsonObject.Create(arguments)!;
        Fill(root, filled, 0);
        return JsonSerializer.SerializeToElement(filled, SchemaJson.Default.JsonObject);
    }

    /// <summary>Null, or why not: code <c>argument_denied</c>, the path of the argument, no value quoted.</summary>
    public Fault? Validate(JsonElement arguments) => Validate(arguments, EcmaPattern.InTime);

    /// <param name="patternsWithin">For each; by default <see cref="EcmaPattern.InTime"/>.</param>
    public Fault? Validate(JsonElement arguments, TimeSpan patternsWithin)
    {
        if (arguments.ValueKind != JsonValueKind.Object) return new Fault(McpAuth.Protocol.Names.Denials.ArgumentDenied, "The arguments are not an object.", "$");
        if (known is not null)
        {
            foreach (JsonProperty argument in arguments.EnumerateObject())
            {
                // JSON Schema would let it pass; an argument nobody registered is denied all the same.
                if (!known.Contains(argument.Name)) return new Fault(McpAuth.Protocol.Names.Denials.ArgumentDenied, "The tool has no such argument.", "$." + argument.Name);
            }
        }
        return new SchemaValidation(patternsWithin).Check(root, arguments);
    }

    /// <summary>Collects every argument the schema names; true when it welcomes others by itself.</summary>
    private static bool Names(SchemaNode node, HashSet<string> names, int depth)
    {
        if (depth > SchemaValidation.Deepest) return false;
        names.UnionWith(node.Properties.Keys);
        bool open = node.AdditionalProperties is { Nothing: false };
        foreach (SchemaNode inner in Alternatives(node)) open |= Names(inner, names, depth + 1);
        return open;
    }

    private static bool HasDefaults(SchemaNode node, int depth) => depth <= SchemaValidation.Deepest
        && (node.Properties.Values.Any(p => p.Default is not null || HasDefaults(p, depth + 1)) || (node.Reference is { } reference && HasDefaults(reference, depth + 1))
            || node.AllOf.Any(n => HasDefaults(n, depth + 1)));

    private static bool Lacks(SchemaNode node, JsonElement value, int depth)
    {
        if (value.ValueKind != JsonValueKind.Object || depth > SchemaValidation.Deepest) return false;
        foreach ((string name, SchemaNode property) in node.Properties)
        {
            if (value.TryGetProperty(name, out JsonElement inner) ? Lacks(property, inner, depth + 1) : property.Default is not null) return true;
        }
        return (node.Reference is { } reference && Lacks(reference, value, depth + 1)) || node.AllOf.Any(n => Lacks(n, value, depth + 1));
    }

    private static void Fill(SchemaNode node, JsonObject value, int depth)
    {
        if (depth > SchemaValidation.Deepest) return;
        foreach ((string name, SchemaNode property) in node.Properties)
        {
            if (value[name] is JsonObject inner) Fill(property, inner, depth + 1);
            else if (property.Default is { } missing && !value.ContainsKey(name)) value[name] = JsonNode.Parse(missing.GetRawText());
        }
        if (node.Reference is { } reference) Fill(reference, value, depth + 1);
        foreach (SchemaNode all in node.AllOf) Fill(all, value, depth + 1);
    }

    private static IEnumerable<SchemaNode> Alternatives(SchemaNode node)
    {
        // Not "if": it asks about arguments, it does not admit any.
        SchemaNode?[] inner = [.. node.AllOf, .. node.AnyOf, .. node.OneOf, node.Then, node.Else, node.Reference];
        return inner.OfType<SchemaNode>();
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(JsonObject))]
internal sealed partial class SchemaJson : System.Text.Json.Serialization.JsonSerializerContext;
