using McpAuthServer.Registry.Apply;

namespace McpAuthServer.Clients.Registrations;

/// <summary>Clients that register themselves (RFC 7591; section <c>McpAuth:DynamicRegistration</c>).</summary>
public sealed class DynamicRegistrationOptions
{
    /// <summary>Off: there is no such endpoint. Those that registered before stay, and cannot change.</summary>
    public bool Enabled { get; set; }

    /// <summary>How many may be registered at a time; beyond that nobody new is.</summary>
    public int MaxClients { get; set; } = 10_000;

    /// <summary>After this a registration that nobody has allowed anything is deleted.</summary>
    public TimeSpan UnusedExpireAfter { get; set; } = TimeSpan.FromDays(7);

    /// <summary>
    /// The base64url SHA-256 of a token that whoever registers must present (RFC 7591 §3: an initial access token); empty = anybody may.
    /// </summary>
    public string? InitialAccessTokenHash { get; set; }

    internal IEnumerable<string> Faults()
    {
        if (MaxClients is < 1 or > 1_000_000)
            yield return "McpAuth:DynamicRegistration:MaxClients must be between 1 and 1000000";
        if (UnusedExpireAfter < TimeSpan.FromMinutes(10) || UnusedExpireAfter > TimeSpan.FromDays(366))
            yield return "McpAuth:DynamicRegistration:UnusedExpireAfter must be between 10 minutes and a year";
        if (InitialAccessTokenHash is { Length: > 0 } hash && !ApplyGrammar.IsHash(hash))
            yield return "McpAuth:DynamicRegistration:InitialAccessTokenHash must be the base64url SHA-256 of the token";
    }
}
