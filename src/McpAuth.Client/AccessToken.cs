namespace McpAuth.Client;

/// <summary>An access token and how long it may be used. Its text never shows the token.</summary>
public sealed class AccessToken
{
    internal AccessToken(string value, DateTimeOffset issuedAt, DateTimeOffset expiresAt, string? scope) =>
        (Value, IssuedAt, ExpiresAt, Scope) = (value, issuedAt, expiresAt, scope);

    /// <summary>The token itself: a secret, though of little use without the key it is bound to.</summary>
    public string Value { get; }

    /// <summary>When it was asked for, so that <see cref="ExpiresAt"/> is early rather than late.</summary>
    public DateTimeOffset IssuedAt { get; }
    public DateTimeOffset ExpiresAt { get; }
    public string? Scope { get; }

    // Half a minute ahead, or a fifth of a life that is short because the task ends soon: else every call would renew.
    internal bool NearExpiry(DateTimeOffset now)
    {
        TimeSpan margin = (ExpiresAt - IssuedAt) / 5;
        return now >= ExpiresAt - (margin < TimeSpan.FromSeconds(30) ? margin : TimeSpan.FromSeconds(30));
    }

    public override string ToString() => $"access token until {ExpiresAt:O}";
}
