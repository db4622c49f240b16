using System.Text.Json;

namespace McpGuard.Sdk.Calls;

/// <summary>What was decided about one request, with the very arguments it was decided on. Immutable.</summary>
internal sealed class CallDecision
{
    public required string Id { get; init; }
    public required McpMessage Message { get; init; }
    public required Caller Caller { get; init; }

    /// <summary>The tool; null when the request is about something else, or about no tool there is.</summary>
    public GuardedTool? Tool { get; init; }

    /// <summary>The arguments of a tool call, defaults filled in, in canonical form: what the handler gets.</summary>
    public JsonElement Arguments { get; init; }

    /// <summary>The person's yes to these arguments; null where none was needed.</summary>
    public string? Approval { get; init; }

    /// <summary>Null = allowed.</summary>
    public Denial? Denial { get; init; }

    public bool Allowed => Denial is null;
}
