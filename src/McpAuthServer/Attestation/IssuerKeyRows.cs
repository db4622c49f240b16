using McpAuthServer.Storage;

namespace McpAuthServer.Attestation;

/// <summary>The last keys that each issuer published, for when it does not answer.</summary>
internal sealed class IssuerKeyRows(IReadStore store, ICommitLog log)
{
    /// <summary>Keys that did not change are stamped this often, at most.</summary>
    private static readonly TimeSpan Again = TimeSpan.FromMinutes(5);

    private static readonly Sql Last = new("select keys from issuer_keys where issuer = @issuer and fetched_at >= @since");

    private readonly Lock gate = new();
    private readonly Dictionary<string, (string Keys, DateTimeOffset At)> kept = new(StringComparer.Ordinal);

    public async Task KeepAsync(string issuer, string keys, DateTimeOffset at)
    {
        lock (gate)
        {
            if (kept.TryGetValue(issuer, out var last) && last.Keys == keys && at < last.At + Again)
                return;
            kept[issuer] = (keys, at);
        }
        await log.Commit(new Keep(issuer, keys, at.ToUnixTimeMilliseconds()));
    }

    public Task<string?> LastAsync(string issuer, DateTimeOffset since, CancellationToken cancel) =>
        store.First(Last.With(issuer, since.ToUnixTimeMilliseconds()), r => r.GetString(0), cancel);

    private sealed class Keep(string issuer, string keys, long at) : Unit<int>
    {
        private static readonly Sql Write = new(
            """
            insert into issuer_keys (issuer, keys, fetched_at) values (@issuer, @keys, @at)
            on conflict (issuer) do update set keys = excluded.keys, fetched_at = excluded.fetched_at where issuer_keys.fetched_at < excluded.fetched_at
            """);

        public override int Apply(WriteTx tx) => tx.Run(Write.With(issuer, keys, at));
    }
}
