using McpAuth.Protocol;
using McpGuard.Sdk.Calls;

namespace McpGuard.Sdk.Http;

/// <summary>A request the guard let through, and what it let through.</summary>
/// <param name="Decision">Present, and allowing, for methods that are decided one by one.</param>
internal sealed record Admission(Caller Caller, McpMessage Message, string? Version, MethodKind Kind, CallDecision? Decision)
{
    public bool Modern => Version == Names.Mcp.V20260728;

    /// <summary>The answer is a stream without an end of its own.</summary>
    public bool Listens => Message.Method == McpMethods.Listen;

    /// <summary>Whether the handler's end was recorded.</summary>
    public bool Finished { get; set; }
}
