using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients;

/// <summary>The keys of living instances, for clients that authenticate with those (<c>instance_key</c>).</summary>
internal sealed class InstanceKeys(IReadStore store)
{
    private static readonly Sql Select = new(
        "select jwk from instances where jkt = @jkt and agent_id = @agent and client_id = @client and state = 'active' and expires_at > @now and jwk is not null");

    /// <summary>The key of that thumbprint, if a living instance of the agent holds it as that client; an assertion must name it, for an agent may have thousands.</summary>
    public Task<VerificationKey?> FindAsync(string thumbprint, string agent, string client, DateTimeOffset now, CancellationToken cancel) =>
        store.First(Select.With(thumbprint, agent, client, now.ToUnixTimeMilliseconds()),
            r => (VerificationKey?)VerificationKey.FromJwk(JsonElement.Parse(r.GetString(0))).Value, cancel);
}
