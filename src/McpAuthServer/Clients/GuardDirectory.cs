using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients;

/// <summary>Looks enrolled guards up.</summary>
internal sealed class GuardDirectory(IReadStore store)
{
    private static readonly Sql Select = new("select id, tool_server, jwk, state from guards where id = @id");

    public Task<GuardRecord?> Find(string id, CancellationToken cancel) =>
        store.First(Select.With(id), r => (GuardRecord?)new GuardRecord(
            r.GetString(0), r.GetString(1), VerificationKey.FromJwk(JsonElement.Parse(r.GetString(2))).Value, r.GetString(3) == "active"), cancel);
}
