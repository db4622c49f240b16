namespace McpGuard.Sdk.Calls;

/// <summary>How a handler ended.</summary>
internal sealed record HandlerOutcome(bool Success, string? Reason = null)
{
    public const string TooLarge = "result_too_large", Failed = "handler_failed";
}
