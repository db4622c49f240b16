using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Schema;

namespace McpGuard.Sdk.Calls;

/// <summary>One tool this process serves, and what the administrator made of it. Immutable.</summary>
/// <param name="Digest">Over the whole definition: what is approved.</param>
/// <param name="Listed">Over the definition without <c>outputSchema</c>, which hosts reshape for older protocol revisions.</param>
internal sealed record GuardedTool(string Name, JsonElement Definition, string Digest, string Listed, ToolSchema Schema)
{
    private const int LongestName = 128;

    /// <summary>Unset means the worst (design: declared numbers).</summary>
    public string Sensitivity { get; init; } = Sensitivities.Destructive;

    /// <summary>Whether every call needs a person's yes, whatever token and policies say.</summary>
    public bool ApprovalRequired { get; init; }

    public ToolStanding Standing { get; init; } = ToolStanding.Unknown;

    public bool Callable => Standing == ToolStanding.Approved;
    public bool Reads => Sensitivity == Sensitivities.Read;

    /// <summary>Reads a definition as <c>tools/list</c> shows it. A fault makes the tool one that cannot be approved.</summary>
    public static Result<GuardedTool> Read(JsonElement definition)
    {
        if (definition.ValueKind != JsonValueKind.Object || !definition.TryGetProperty("name", out JsonElement name) || name.ValueKind != JsonValueKind.String)
            return new Fault("invalid_tool", "A tool definition is an object with a name.");
        if (!IsName(name.GetString()!)) return new Fault("invalid_tool", "A tool name is [A-Za-z0-9_./-]{1,128}.", name.GetString());
        if (!definition.TryGetProperty("inputSchema", out JsonElement schema)) return new Fault("invalid_tool", "The tool has no inputSchema.", name.GetString());
        if (!ToolSchema.Compile(schema).TryGet(out ToolSchema? compiled, out Fault? fault)) return fault;
        return new GuardedTool(name.GetString()!, definition, CanonicalJson.Digest(definition), ListedDigest(definition), compiled);
    }

    /// <summary>The same tool as the server's registry sees it. A digest other than the approved one is drift, whatever the state says.</summary>
    public GuardedTool As(ManifestToolState? state) => this with
    {
        Sensitivity = state?.Sensitivity is Sensitivities.Read or Sensitivities.Write ? state.Sensitivity : Sensitivities.Destructive,
        ApprovalRequired = state?.Approval is Approvals.Required,
        Standing = state?.State switch
        {
            "approved" => string.Equals(state.Digest, Digest, StringComparison.Ordinal) ? ToolStanding.Approved : ToolStanding.Drifted,
            "drifted" => ToolStanding.Drifted,
            _ => ToolStanding.Unknown,
        },
    };

    /// <summary>The tool in place of the one that had its name before, until the server has said what it is.</summary>
    public GuardedTool After(GuardedTool? before) => before is null ? this
        : string.Equals(before.Digest, Digest, StringComparison.Ordinal) ? before
        : this with { Sensitivity = before.Sensitivity, Standing = before.Standing == ToolStanding.Unknown ? ToolStanding.Unknown : ToolStanding.Drifted };

    public static string ListedDigest(JsonElement definition)
    {
        if (!definition.TryGetProperty("outputSchema", out _)) return CanonicalJson.Digest(definition);
        JsonObject without = JsonObject.Create(definition)!;
        without.Remove("outputSchema");
        return CanonicalJson.Digest(JsonSerializer.SerializeToElement(without, SchemaJson.Default.JsonObject));
    }

    private static bool IsName(string name) =>
        name.Length is > 0 and <= LongestName && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '/' or '-');
}

internal enum ToolStanding
{
    /// <summary>New, retired or never reported: to a caller it does not exist.</summary>
    Unknown,
    Approved,

    /// <summary>Approved once, but not as it is now.</summary>
    Drifted,
}

internal static class Sensitivities
{
    public const string Read = "read", Write = "write", Destructive = "destructive";
}
