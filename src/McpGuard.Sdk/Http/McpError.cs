namespace McpGuard.Sdk.Http;

/// <summary>A JSON-RPC error with the HTTP status it rides on.</summary>
/// <param name="Requested">For an unsupported version: the one that was asked for.</param>
internal sealed record McpError(int Code, string Message, int Status, string? Requested = null)
{
    /// <summary>For the audit.</summary>
    public string Reason => Code switch
    {
        McpAuth.Protocol.Names.Mcp.HeaderMismatch => "header_mismatch",
        McpAuth.Protocol.Names.Mcp.UnsupportedVersion => "unsupported_version",
        _ => "invalid_message",
    };

    public const int InvalidRequest = -32600, MethodNotFound = -32601, InvalidParams = -32602, Internal = -32603;
}
