namespace McpGuard.Sdk;

/// <summary>
/// A policy decision point that speaks the AuthZEN Authorization API 1.0. It is asked about every call that authority and the server's policies allow; only its
/// <c>true</c> lets the call go on. Validated when the host starts.
/// </summary>
public sealed class AuthZenDecisionPoint
{
    /// <param name="name">What the audit calls it, within one guard: 1 to 64 of <c>A-Z a-z 0-9 . _ -</c>.</param>
    /// <param name="endpoint">Its identifier, e.g. <c>https://pdp.example</c>; https, or http on a loopback address. Evaluations are asked for at <c>/access/v1/evaluation</c> below it.</param>
    public AuthZenDecisionPoint(string name, Uri endpoint)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(endpoint);
        (Name, Endpoint) = (name, endpoint);
    }

    public string Name { get; }

    public Uri Endpoint { get; }

    /// <summary>A bearer token for the decision point, asked for at every call; null, from it or as it: none. What callers of the tool server present is never sent on.</summary>
    public Func<CancellationToken, ValueTask<string?>>? Token { get; init; }

    /// <summary>How long its answer, <see cref="Token"/> included, is waited for before the call is denied. Default 500 ms, at most 2 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Whether it is told the arguments, in <c>context.input</c>: all of them, also those that no policy of it reads. Default true.</summary>
    public bool IncludeArguments { get; init; } = true;

    /// <summary>Sends the requests, and must not follow redirects. Null: a handler of its own, without redirects and cookies.</summary>
    public HttpMessageHandler? Handler { get; init; }
}
