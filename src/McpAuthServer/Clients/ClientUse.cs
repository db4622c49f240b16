using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients;

/// <summary>
/// That a person has decided about a client: whoever writes it down calls these in the same transaction. A client that registered itself stays for
/// longer by it; one that was only a document in memory becomes a row, for the consent to refer to.
/// </summary>
internal static class ClientUse
{
    /// <summary>How long a client that registered itself is kept after it was last used, and for as long as it has refresh tokens.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromDays(90);

    private static readonly Sql
        Keep = new("update clients set expires_at = @until where id = @id and origin = 'dynamic' and state = 'active'"),
        Metadata = new("select metadata from clients where id = @id and origin = 'document'");

    /// <summary>Whether the client still is what it was decided about as. The version tells of every row; of a document in memory there may be another row by now.</summary>
    public static bool IsCurrent(WriteTx tx, ClientRecord client) =>
        client.Origin != ClientOrigin.Document || (tx.First(Metadata.With(client.Id), r => r.GetString(0)) ?? client.Metadata) == client.Metadata;

    /// <returns>The event of its becoming a row.</returns>
    public static AuditEvent? Note(WriteTx tx, ClientRecord client, DateTimeOffset now, string node)
    {
        if (client.Origin == ClientOrigin.Dynamic)
            tx.Run(Keep.With((now + Kept).ToUnixTimeMilliseconds(), client.Id));
        return client.Origin == ClientOrigin.Document && ClientRows.Insert(tx, client, now.ToUnixTimeMilliseconds()) ? ClientEvents.Registered(client, now, node) : null;
    }
}
