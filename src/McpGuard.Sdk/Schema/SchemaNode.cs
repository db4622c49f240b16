using System.Collections.Frozen;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace McpGuard.Sdk.Schema;

/// <summary>One compiled (sub)schema of JSON Schema 2020-12. Filled once by <see cref="SchemaCompiler"/>, then only read.</summary>
internal sealed class SchemaNode
{
    public bool Nothing;                                    // the schema false
    public JsonTypes Types = JsonTypes.Any;
    public FrozenDictionary<string, SchemaNode> Properties = FrozenDictionary<string, SchemaNode>.Empty;
    public string[] Required = [];
    public SchemaNode? AdditionalProperties, PropertyNames, Items, Not, If, Then, Else, Reference;
    public SchemaNode[] AllOf = [], AnyOf = [], OneOf = [];
    public JsonElement[]? Enum;
    public JsonElement? Default;
    public double? Minimum, Maximum, ExclusiveMinimum, ExclusiveMaximum, MultipleOf;
    public int? MinLength, MaxLength, MinItems, MaxItems, MinProperties, MaxProperties;
    public bool UniqueItems;
    public Regex? Pattern;
    public string? Header;                                  // x-mcp-header
}

[Flags]
internal enum JsonTypes
{
    None = 0,
    Null = 1,
    Boolean = 2,
    Integer = 4,
    Number = 8 | Integer,
    String = 16,
    Array = 32,
    Object = 64,
    Any = Null | Boolean | Number | String | Array | Object,
}
