using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients.Registrations;

/// <summary>A client replaces what it registered (RFC 7592 §2.2); false when it was changed or deleted meanwhile. What was decided on the old is decided again.</summary>
internal sealed class ChangeRegistration(ClientRecord client, ClientRecord before, DateTimeOffset now, string node) : Unit<bool>
{
    public override StateLock Lock => StateLock.Exclusive;

    public override bool Apply(WriteTx tx)
    {
        if (!ClientRows.Update(tx, client, before, now.ToUnixTimeMilliseconds()))
            return false;
        RegistryVersion.Raise(tx);
        tx.Append(ClientEvents.Changed(client, before, now, node));
        return true;
    }
}
