using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients.Registrations;

/// <summary>A client that registered itself; false, and recorded as refused, when there are as many as there may be.</summary>
internal sealed class RegisterClient(ClientRecord client, string registrationHash, DynamicRegistrationOptions options, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql Count = new("select count(*) from clients where origin = 'dynamic' and state = 'active'");

    public override StateLock Lock => StateLock.None;

    public override bool Apply(WriteTx tx)
    {
        if (tx.First(Count.With(), r => r.GetInt64(0)) >= options.MaxClients)
        {
            tx.Append(new AuditEvent
            {
                Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.RegistrationRefused, Outcome = "refused", Reason = "full", Node = node,
            });
            return false;
        }
        ClientRows.Insert(tx, client, now.ToUnixTimeMilliseconds(), registrationHash, (now + options.UnusedExpireAfter).ToUnixTimeMilliseconds());
        var registered = ClientEvents.Registered(client, now, node);
        // The row may be gone when somebody asks who once came by here.
        registered.Data!["redirects"] = new JsonArray([.. client.RedirectUris.Select(RedirectUri.Shown).Distinct(StringComparer.Ordinal).Select(r => (JsonNode?)r)]);
        tx.Append(registered);
        return true;
    }
}
