using System.Collections.Frozen;
using System.Security.Cryptography;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>The keys that sign tokens: created on first start, kept in the database wrapped by the key-encryption key.</summary>
internal sealed class ServerKeys : IDisposable
{
    private const string Purpose = "signing-key", CreatedSetting = "signing_keys_created";

    private static readonly Sql SelectAll = new("select kid, alg, private_wrapped from signing_keys where state = 'active' order by created_at desc, kid");
    private static readonly Sql MarkCreated = new("insert into settings (name, value) values (@name, @value) on conflict do nothing");

    private readonly FrozenDictionary<string, SigningKey> byId;

    private ServerKeys(IReadOnlyList<SigningKey> keys) =>
        (Current, Published, byId) = (keys[0], [.. keys.Select(k => k.Public)], keys.ToFrozenDictionary(k => k.KeyId));

    /// <summary>The one that signs.</summary>
    public SigningKey Current { get; }

    /// <summary>All that verify: what <c>/jwks</c> shows.</summary>
    public IReadOnlyList<VerificationKey> Published { get; }

    public VerificationKey? Find(string? kid) => kid is not null && byId.TryGetValue(kid, out var key) ? key.Public : null;

    public void Dispose()
    {
        foreach (var key in byId.Values)
            key.Dispose();
    }

    /// <exception cref="StartupException">A key is missing, cannot be unwrapped or cannot be read.</exception>
    public static async Task<ServerKeys> LoadOrCreateAsync(
        ICommitLog log, IReadStore store, KeyEncryption encryption, string algorithm, string node, TimeProvider time, CancellationToken cancel)
    {
        using var fresh = SigningKey.Create(algorithm);
        await log.Commit(new CreateFirst(fresh, encryption.Wrap(fresh.ExportPkcs8(), Purpose), time.GetUtcNow(), node));
        var rows = await store.All(SelectAll.With(), r => (Kid: r.GetString(0), Alg: r.GetString(1), Wrapped: (byte[])r[2]), cancel);
        if (rows.Count == 0)
            throw new StartupException("The signing keys are missing from the database although they were created once. Restore them from a backup: new keys would orphan every guard.");
        return new ServerKeys([.. rows.Select(row => Unwrap(row.Kid, row.Alg, row.Wrapped, encryption))]);
    }

    private static SigningKey Unwrap(string kid, string algorithm, byte[] wrapped, KeyEncryption encryption)
    {
        try
        {
            var pkcs8 = encryption.Unwrap(wrapped, Purpose);
            var key = SigningKey.Import(pkcs8, algorithm);
            CryptographicOperations.ZeroMemory(pkcs8);
            return key.KeyId == kid ? key : throw new StartupException($"Signing key '{kid}' holds another key's private part.");
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new StartupException($"Signing key '{kid}' cannot be unwrapped: the key-encryption key is another one, or the database is damaged.");
        }
    }

    /// <summary>Does nothing when any node has ever created keys: a database that lost them is refused, not silently re-keyed.</summary>
    private sealed class CreateFirst(SigningKey key, byte[] wrapped, DateTimeOffset now, string node) : Unit<bool>
    {
        private static readonly Sql Add = new(
            "insert into signing_keys (kid, alg, state, created_at, private_wrapped, public_jwk) values (@kid, @alg, 'active', @created, @wrapped, @jwk)");

        // Two nodes that start at once must not both create.
        public override StateLock Lock => StateLock.Exclusive;

        public override bool Apply(WriteTx tx)
        {
            if (tx.Run(MarkCreated.With(CreatedSetting, "1"u8.ToArray())) == 0)
                return false;
            tx.Run(Add.With(key.KeyId, key.Algorithm, now.ToUnixTimeMilliseconds(), wrapped, key.Public.Jwk.GetRawText()));
            tx.Append(new AuditEvent
            {
                Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.KeyCreated, Outcome = "success", Node = node,
                Data = new() { ["kid"] = key.KeyId, ["alg"] = key.Algorithm },
            });
            return true;
        }
    }
}
