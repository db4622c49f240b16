using System.Security.Cryptography;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>The key of the server's DPoP nonces: one for all nodes, so that a nonce of one is good at the others (RFC 9449 §8).</summary>
internal sealed class NonceKey(ICommitLog log, IReadStore store, KeyEncryption encryption, AuditTrail trail)
{
    private const string Purpose = "dpop-nonce-key", Setting = "dpop_nonce_key";

    private static readonly Sql
        Select = new("select value from settings where name = @name"),
        Insert = new("insert into settings (name, value) values (@name, @value) on conflict do nothing");

    private byte[]? value;

    /// <exception cref="InvalidOperationException">It is not loaded yet; it is before the first request.</exception>
    public byte[] Value => value ?? throw new InvalidOperationException("The key of nonces is not loaded.");

    /// <exception cref="StartupException">It cannot be unwrapped.</exception>
    public async Task LoadOrCreateAsync(CancellationToken cancel)
    {
        var wrapped = await store.First(Select.With(Setting), r => (byte[])r[0], cancel);
        if (wrapped is null)
        {
            await log.Commit(new Create(encryption.Wrap(RandomNumberGenerator.GetBytes(32), Purpose), trail.Success(AuditTypes.KeyCreated) with { Data = new() { ["kind"] = Setting } }));
            // Two nodes that start at once: the first one's stands.
            wrapped = (await store.First(Select.With(Setting), r => (byte[])r[0], cancel))!;
        }
        try
        {
            value = encryption.Unwrap(wrapped, Purpose);
        }
        catch (CryptographicException)
        {
            throw new StartupException("The key of DPoP nonces cannot be unwrapped: the key-encryption key is another one, or the database is damaged.");
        }
    }

    private sealed class Create(byte[] wrapped, AuditEvent e) : Unit<bool>
    {
        public override StateLock Lock => StateLock.None;

        public override bool Apply(WriteTx tx)
        {
            if (tx.Run(Insert.With(Setting, wrapped)) == 0)
                return false;
            tx.Append(e);
            return true;
        }
    }
}
