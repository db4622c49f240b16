using System.Collections.Frozen;

namespace McpGuard.Sdk.Calls;

/// <summary>The MCP methods the guard knows. Every other one is denied.</summary>
internal static class McpMethods
{
    public const string Initialize = "initialize", Ping = "ping", Discover = "server/discover", SetLevel = "logging/setLevel",
        ToolsCall = "tools/call", ToolsList = "tools/list", ResourcesRead = "resources/read", ResourcesList = "resources/list",
        ResourceTemplatesList = "resources/templates/list", PromptsGet = "prompts/get", PromptsList = "prompts/list", Complete = "completion/complete",
        Listen = "subscriptions/listen";

    /// <summary>For whoever has a valid token; they reveal and change nothing of the server's.</summary>
    private static readonly FrozenSet<string> Open = FrozenSet.ToFrozenSet([Initialize, Ping, Discover, SetLevel], StringComparer.Ordinal);

    private static readonly FrozenSet<string> Lists = FrozenSet.ToFrozenSet([ToolsList, ResourcesList, ResourceTemplatesList, PromptsList], StringComparer.Ordinal);

    private static readonly FrozenSet<string> Decided = FrozenSet.ToFrozenSet([ToolsCall, ResourcesRead, PromptsGet, Complete, Listen], StringComparer.Ordinal);

    private static readonly FrozenSet<string> Notifications = FrozenSet.ToFrozenSet(
        ["notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/roots/list_changed"], StringComparer.Ordinal);

    /// <summary>Gone with 2026-07-28.</summary>
    private static readonly FrozenSet<string> Removed = FrozenSet.ToFrozenSet([Initialize, Ping, SetLevel], StringComparer.Ordinal);

    /// <summary>Begun with 2026-07-28.</summary>
    private static readonly FrozenSet<string> Begun = FrozenSet.ToFrozenSet([Listen], StringComparer.Ordinal);

    public static MethodKind Kind(McpMessage message, bool modern) =>
        message.IsNotification ? Notifications.Contains(message.Method) ? MethodKind.Open : MethodKind.Unknown
        : (modern ? Removed : Begun).Contains(message.Method) ? MethodKind.Unknown
        : Decided.Contains(message.Method) ? MethodKind.Decided
        : Lists.Contains(message.Method) ? MethodKind.List
        : Open.Contains(message.Method) ? MethodKind.Open
        : MethodKind.Unknown;

    /// <summary>Methods whose <c>Mcp-Name</c> header must repeat the name in the body.</summary>
    public static bool IsNamed(string method) => method is ToolsCall or ResourcesRead or PromptsGet;
}

internal enum MethodKind
{
    Unknown,
    Open,
    List,
    Decided,
}
