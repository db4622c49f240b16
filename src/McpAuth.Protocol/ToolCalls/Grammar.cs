using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>The words and bounds of the <c>mcp_tool_call</c> grammar, once.</summary>
internal static class Grammar
{
    /// <summary>Members of an entry and of a tool.</summary>
    public const string Type = "type", Locations = "locations", Actions = "actions", Tools = "tools", Resources = "resources",
        Prompts = "prompts", Task = "task", Id = "id", Purpose = "purpose", ExpiresAt = "expires_at", Resumable = "resumable", Args = "args", Optional = "optional",
        DefinitionDigest = "def_digest", MaxCalls = "max_calls", Approval = "approval", ApprovalNone = "none", ApprovalRequired = "required",
        ToolsCall = "tools/call";

    /// <summary>Constraint types and their members.</summary>
    public const string ConstraintType = "constraint_type", Value = "value", Values = "values", Min = "min", Max = "max",
        MinInclusive = "min_inclusive", MaxInclusive = "max_inclusive", Of = "of", Exact = "exact", OneOf = "one_of", NotOneOf = "not_one_of",
        Range = "range", Prefix = "prefix", PathUnder = "path_under", Contains = "contains", Subset = "subset", All = "all", Any = "any",
        Wildcard = "wildcard";

    /// <summary>Of one <c>authorization_details</c> array, every constraint counted, those inside <c>all</c> and <c>any</c> too.</summary>
    public const int MaxClauses = 256;

    /// <summary>Of <c>all</c> and <c>any</c>; a constraint that stands alone is 1.</summary>
    public const int MaxNesting = 32;

    public const int MaxNameLength = 128, MaxTextLength = 2048;

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-");

    public static ImmutableSortedDictionary<string, Constraint> NoConstraints { get; } =
        ImmutableSortedDictionary.Create<string, Constraint>(StringComparer.Ordinal);

    /// <summary>Tool names and actions: <c>[A-Za-z0-9_./-]{1,128}</c>.</summary>
    public static bool IsName(string text) => text.Length is > 0 and <= MaxNameLength && !text.AsSpan().ContainsAnyExcept(NameCharacters);

    public static Fault Exceeds(JsonPath path, string message) => new("exceeds_parent", message, path.ToString());

    public static void WriteStrings(Utf8JsonWriter writer, string name, IEnumerable<string> values)
    {
        writer.WriteStartArray(name);
        foreach (var value in values)
            writer.WriteStringValue(value);
        writer.WriteEndArray();
    }
}
