using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;

namespace McpAuthServer.Clients;

/// <summary>What is recorded of clients that no administrator registered. Members are told by name; the values stand in the row.</summary>
internal static class ClientEvents
{
    public static AuditEvent Registered(ClientRecord client, DateTimeOffset now, string node) =>
        Event(AuditTypes.ClientRegistered, client.Id, client.Origin, now, node);

    public static AuditEvent Changed(ClientRecord client, ClientRecord before, DateTimeOffset now, string node)
    {
        var (old, said) = (Members(before), Members(client));
        var changed = said.Where(m => old.GetValueOrDefault(m.Key) != m.Value).Select(m => m.Key).Concat(old.Keys.Except(said.Keys, StringComparer.Ordinal));
        var e = Event(AuditTypes.ClientChanged, client.Id, client.Origin, now, node);
        e.Data!["members"] = new JsonArray([.. changed.Order(StringComparer.Ordinal).Select(m => (JsonNode?)m)]);
        return e;
    }

    public static AuditEvent Deleted(string id, string origin, string reason, DateTimeOffset now, string node) =>
        Event(AuditTypes.ClientDeleted, id, origin, now, node) with { Reason = reason };

    private static AuditEvent Event(string type, string id, string origin, DateTimeOffset now, string node) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = "success", Client = id, Node = node, Data = new() { ["origin"] = origin },
    };

    private static Dictionary<string, string> Members(ClientRecord client) =>
        StoredText.Json(client.Metadata!).EnumerateObject().ToDictionary(m => m.Name, m => m.Value.GetRawText(), StringComparer.Ordinal);
}
