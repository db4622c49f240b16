using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Policies;

/// <summary>Keeps what guards are given. A release gets its number when the first guard asks for it; numbers only grow, also when something is rolled back.</summary>
internal sealed class PolicyReleases(ICommitLog log, IReadStore store, TimeProvider time)
{
    private static readonly Sql
        Latest = new("select version, hash from policy_releases where tool_server = @server order by version desc limit 1"),
        ByHash = new("select body from policy_releases where hash = @hash limit 1"),
        Insert = new("insert into policy_releases (tool_server, version, hash, body, released_at) values (@server, @version, @hash, @body, @now)");

    /// <summary>The release's number; null when the registry changed since <paramref name="registryVersion"/>.</summary>
    public async Task<long?> NumberAsync(string server, CompiledRelease release, long registryVersion, CancellationToken cancel)
    {
        // What another node released in between must be seen, so this is never answered from memory.
        var latest = await store.First(Latest.With(server), r => new Row(r.GetInt64(0), r.GetString(1)), cancel);
        return latest?.Hash == release.Hash ? latest.Version
            : await log.Commit(new Record(server, release.Hash, release.Body.GetRawText(), registryVersion, time.GetUtcNow().ToUnixTimeMilliseconds()));
    }

    /// <summary>What a decision was made by; null when no release has that hash.</summary>
    public async Task<CompiledRelease?> FindAsync(string hash, CancellationToken cancel) =>
        await store.First(ByHash.With(hash), r => r.GetString(0), cancel) is { } body ? CompiledRelease.Of(StoredText.Json(body)) : null;

    private sealed record Row(long Version, string Hash);

    private sealed class Record(string server, string hash, string body, long registryVersion, long now) : Unit<long?>
    {
        /// <summary>Two nodes that release at once would take the same number.</summary>
        public override StateLock Lock => StateLock.Exclusive;

        public override long? Apply(WriteTx tx)
        {
            if (!RegistryVersion.IsCurrent(tx, registryVersion))
                return null;
            var latest = tx.First(Latest.With(server), r => new Row(r.GetInt64(0), r.GetString(1)));
            if (latest?.Hash == hash)
                return latest.Version;
            var version = (latest?.Version ?? 0) + 1;
            tx.Run(Insert.With(server, version, hash, body, now));
            return version;
        }
    }
}
