using System.Security.Cryptography;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>
/// The key that signs policies, and nothing else: guards pin it when they enrol, so that whoever gets a key of tokens, or puts one into the published set, cannot
/// tell them what to allow. The same for all nodes.
/// </summary>
internal sealed class PolicyKey(ICommitLog log, IReadStore store, KeyEncryption encryption, AuditTrail trail) : IDisposable
{
    private const string Purpose = "policy-signing-key", Setting = "policy_key";

    private static readonly Sql
        Select = new("select value from settings where name = @name"),
        Insert = new("insert into settings (name, value) values (@name, @value) on conflict do nothing");

    private SigningKey? value;

    /// <exception cref="InvalidOperationException">It is not loaded yet; it is before the first request.</exception>
    public SigningKey Value => value ?? throw new InvalidOperationException("The key of policies is not loaded.");

    /// <exception cref="StartupException">It cannot be unwrapped.</exception>
    public async Task LoadOrCreateAsync(CancellationToken cancel)
    {
        var wrapped = await store.First(Select.With(Setting), r => (byte[])r[0], cancel);
        if (wrapped is null)
        {
            using var fresh = SigningKey.Create();
            await log.Commit(new Create(encryption.Wrap(fresh.ExportPkcs8(), Purpose), trail.Success(AuditTypes.KeyCreated) with { Data = new() { ["kind"] = Setting, ["kid"] = fresh.KeyId } }));
            // Two nodes that start at once: the first one's stands.
            wrapped = (await store.First(Select.With(Setting), r => (byte[])r[0], cancel))!;
        }
        try
        {
            value = SigningKey.Import(encryption.Unwrap(wrapped, Purpose), "ES256");
        }
        catch (CryptographicException)
        {
            throw new StartupException("The key of policies cannot be unwrapped: the key-encryption key is another one, or the database is damaged.");
        }
    }

    public void Dispose() => value?.Dispose();

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
