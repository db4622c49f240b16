using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Clients.Registrations;

/// <summary>A registration as its client gets to see it.</summary>
/// <param name="Secret">Only when it was made now: it is shown once.</param>
/// <param name="Token">What the client manages it with.</param>
internal sealed record OwnRegistration(StoredClient Stored, string? Secret, string Token)
{
    public ClientRecord Client => Stored.Client;
}

/// <summary>Clients that register themselves, and manage that (RFC 7591, RFC 7592).</summary>
internal sealed class RegistrationDesk(ICommitLog log, ClientRows rows, ServerOptions options, TimeProvider time)
{
    /// <returns>Null when there are as many as there may be.</returns>
    public async Task<OwnRegistration?> RegisterAsync(ClientMetadata metadata)
    {
        var now = time.GetUtcNow();
        var (secret, token) = (NewSecret(metadata), OpaqueToken.New(OpaqueToken.Registration));
        var client = metadata.ToClient(Id.New(Id.DynamicClient, now), ClientOrigin.Dynamic, secret?.Hash, active: true);
        return await log.Commit(new RegisterClient(client, token.Hash, options.DynamicRegistration, now, options.Node))
            ? new OwnRegistration(new StoredClient(client, token.Hash, now), secret?.Value, token.Value)
            : null;
    }

    /// <summary>The registration that the token is for, null when it is for none; and whether there is such a client at all.</summary>
    public async Task<(OwnRegistration? Registration, bool Known)> OpenAsync(string id, string token, CancellationToken cancel)
    {
        var stored = id.StartsWith(Id.DynamicClient, StringComparison.Ordinal) ? await rows.FindAsync(id, cancel) : null;
        var right = CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(stored?.RegistrationHash ?? new string('-', 43)), Encoding.ASCII.GetBytes(OpaqueToken.HashOf(token)));
        return (stored is { Client.Active: true } && right ? new OwnRegistration(stored, null, token) : null, stored is not null);
    }

    /// <returns>Null when somebody changed it at the same time.</returns>
    public async Task<OwnRegistration?> ChangeAsync(OwnRegistration registration, ClientMetadata metadata)
    {
        var before = registration.Client;
        // A secret stays what it is; one that there was none before is made.
        var secret = before.SecretHash is null ? NewSecret(metadata) : null;
        var client = metadata.ToClient(before.Id, ClientOrigin.Dynamic, secret?.Hash ?? before.SecretHash, active: true);
        return client.Metadata == before.Metadata || await log.Commit(new ChangeRegistration(client, before, time.GetUtcNow(), options.Node))
            ? registration with { Stored = registration.Stored with { Client = client }, Secret = secret?.Value }
            : null;
    }

    public Task DeleteAsync(OwnRegistration registration) => log.Commit(new EndRegistrations([registration.Client.Id], due: false, time.GetUtcNow(), options.Node));

    private static OpaqueToken? NewSecret(ClientMetadata metadata) => metadata.HasSecret ? OpaqueToken.New(OpaqueToken.ClientSecret) : null;
}
