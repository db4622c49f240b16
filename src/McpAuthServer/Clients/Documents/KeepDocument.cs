using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients.Documents;

/// <summary>What a known client's document says by now. When it is something else than before, what was decided on that is decided again.</summary>
internal sealed class KeepDocument(ClientRecord said, ClientRecord before, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql FreshAgain = new("update clients set fresh_until = @until where id = @id and origin = 'document' and metadata = @metadata");

    private readonly bool same = said.Metadata == before.Metadata;

    public override StateLock Lock => same ? StateLock.None : StateLock.Exclusive;

    /// <summary>False when the row is another by now; whoever asks next reads it.</summary>
    public override bool Apply(WriteTx tx)
    {
        // Of being asked again there is nothing to record.
        if (same)
            return tx.Run(FreshAgain.With(said.FreshUntil, said.Id, said.Metadata)) == 1;
        if (!ClientRows.Update(tx, said, before, now.ToUnixTimeMilliseconds()))
            return false;
        RegistryVersion.Raise(tx);
        tx.Append(ClientEvents.Changed(said, before, now, node));
        return true;
    }
}
