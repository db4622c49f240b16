namespace McpAuth.Client;

/// <summary>
/// The server answered and refused (RFC 6749 §5.2). What could not be reached or made no sense is an
/// <see cref="HttpRequestException"/> instead. The message holds what the server said and nothing that was sent.
/// </summary>
public sealed class OAuthErrorException : Exception
{
    private const int Shown = 300;

    /// <param name="error">The <c>error</c> code; <c>server_error</c> when the body had none.</param>
    /// <param name="description">The server's <c>error_description</c>, or null.</param>
    /// <param name="reason">The <c>mcpauth_reason</c>, one of <see cref="Protocol.Names.Reasons"/>, or null.</param>
    /// <param name="status">The HTTP status; 0 when the refusal came through a person's browser (RFC 6749 §4.1.2.1).</param>
    public OAuthErrorException(string error, string? description, string? reason, int status)
        : base(Text(error, description, reason, status)) => (Error, Description, Reason, Status) = (error, description, reason, status);

    public string Error { get; }
    public string? Description { get; }

    /// <summary>Why, in one stable word: <c>task_ended</c>, <c>agent_suspended</c>, <c>revoked</c>…</summary>
    public string? Reason { get; }

    /// <summary>Of HTTP; 0 when the refusal came through a person's browser.</summary>
    public int Status { get; }

    // Bounded and on one line: the text comes from outside and ends in logs.
    private static string Text(string error, string? description, string? reason, int status)
    {
        string text = $"{(status == 0 ? "" : $"{status} ")}{error}{(reason is null ? "" : $" ({reason})")}{(description is null ? "" : $": {description}")}";
        return string.Create(Math.Min(text.Length, Shown), text, static (span, from) =>
        {
            for (int i = 0; i < span.Length; i++) span[i] = char.IsControl(from[i]) ? ' ' : from[i];
        });
    }
}
