using McpAuthServer.Delegation;
using McpAuthServer.People;

namespace McpAuthServer.Grants;

/// <summary>What a token for a person tells of them, as it is now.</summary>
internal sealed class PersonAt(PersonStore people)
{
    /// <summary>Null when the person is disabled or unknown.</summary>
    public async Task<Presence?> FindAsync(string user, DateTimeOffset? authTime, string? acr, CancellationToken cancel) =>
        await people.Find(user, cancel) is { Enabled: true } person ? new Presence(authTime, acr, person) : null;
}
