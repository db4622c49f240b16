using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>Reads the signing keys as committed now.</summary>
internal sealed class SigningKeyReader(IReadStore store, KeyEncryption encryption)
{
    private static readonly Sql
        VersionSql = new("select version from signing_key_ring where id = 1"),
        // One statement, so that version and keys belong together.
        All = new(
            """
            select r.version, k.kid, k.alg, k.state, k.active_from, k.ended_at, k.private_wrapped, k.public_wrapped
            from signing_key_ring r join signing_keys k on r.id = 1 and k.state <> 'past' order by k.created_at desc, k.kid
            """);

    /// <summary>The number that every change to a key raises: one indexed row.</summary>
    public Task<long> VersionAsync(CancellationToken cancel) => store.First(VersionSql.With(), r => r.GetInt64(0), cancel);

    /// <param name="before">Keys that were read before are taken from here.</param>
    /// <exception cref="SigningKeyException">None signs, or one cannot be read.</exception>
    public async Task<ServerKeys> LoadAsync(ServerKeys? before, CancellationToken cancel)
    {
        var rows = await store.All(All.With(), r => (Version: r.GetInt64(0), Key: SigningKeyRow.Read(r, 1)), cancel);
        return ServerKeys.Of(rows.Count == 0 ? 0 : rows[0].Version, [.. rows.Select(r => r.Key)], encryption, before);
    }
}
