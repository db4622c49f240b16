using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>A <c>tools/call</c> to be decided. On the stack: it holds the arguments as they came.</summary>
public readonly ref struct ToolCall
{
    /// <summary>Whose authority it is: the user, or the agent when there is no user.</summary>
    public required EntityUid Principal { get; init; }

    /// <summary>The tool's name.</summary>
    public required string Tool { get; init; }

    /// <summary>The tool server; null where the model makes the tool the resource (<see cref="ToolHive.ToolHiveProfile"/>).</summary>
    public EntityUid? Resource { get; init; }

    /// <summary><c>context.session</c>, by the model's schema. Of <see cref="ToolHive.ToolHiveProfile"/>: the claims.</summary>
    public CedarRecord? Session { get; init; }

    /// <summary>
    /// The JSON object <c>arguments</c>, in UTF-8, and nothing else; empty when the call has none. These bytes must be what the tool gets: with two of one
    /// name, or with defaults filled in later, it would get something else than was decided on.
    /// </summary>
    public ReadOnlySpan<byte> Arguments { get; init; }
}
