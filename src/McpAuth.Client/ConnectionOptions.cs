namespace McpAuth.Client;

/// <summary>How to reach the authorization server. The values in place are the ones to use; tests replace the clock.</summary>
public sealed class ConnectionOptions
{
    /// <summary>Sends the requests; not disposed here. Null = a handler of its own: no redirects, no cookies.</summary>
    public HttpMessageHandler? Handler { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>For one attempt, answer included.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often a request is sent at most when the connection fails or the answer is 503.</summary>
    public int Attempts { get; init; } = 3;

    /// <summary>The longest first pause between two attempts; doubled each time, and a random part of it is taken.</summary>
    public TimeSpan Backoff { get; init; } = TimeSpan.FromMilliseconds(100);
}
