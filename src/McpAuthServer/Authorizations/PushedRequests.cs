using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Authorizations;

/// <summary>
/// Authorization requests that clients left here beforehand (RFC 9126). A reference opens one browser's interaction, once and soon; what it
/// stands for is kept for as long as that interaction may take.
/// </summary>
internal sealed class PushedRequests(ICommitLog log, IReadStore store, TimeProvider time)
{
    /// <summary>RFC 9126 §2.2: what makes a reference of ours.</summary>
    public const string Prefix = "urn:ietf:params:oauth:request_uri:";

    /// <summary>How long a reference may wait for its browser.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(60);

    private static readonly Sql Opened = new("select form from pushed_requests where hash = @hash and client_id = @client and used_at is not null");

    /// <summary>Keeps a request that was checked.</summary>
    /// <param name="form">Its parameters, encoded, without what authenticated the client.</param>
    /// <param name="pushed">The event.</param>
    /// <returns>The reference, or the space of what was single-use and was used before.</returns>
    public async Task<(string? Reference, string? Replayed)> PushAsync(string client, string form, IReadOnlyList<Once> consume, AuditEvent pushed)
    {
        var reference = OpaqueToken.New(Prefix);
        var replayed = await log.Commit(new Push(reference.Hash, client, form, consume, pushed, time.GetUtcNow()));
        return replayed is null ? (reference.Value, null) : (null, replayed);
    }

    /// <summary>False when the reference is unknown, expired, another client's, or was opened before (RFC 9126 §4: one-time use).</summary>
    public Task<bool> OpenAsync(string reference, string client) => log.Commit(new Open(OpaqueToken.HashOf(reference), client, time.GetUtcNow()));

    /// <summary>The parameters of a request that was opened; null when there is none.</summary>
    public Task<string?> FindAsync(string reference, string client, CancellationToken cancel) =>
        store.First(Opened.With(OpaqueToken.HashOf(reference), client), r => r.GetString(0), cancel);

    private sealed class Push(string hash, string client, string form, IReadOnlyList<Once> consume, AuditEvent pushed, DateTimeOffset now) : Unit<string?>
    {
        private static readonly Sql Insert = new("insert into pushed_requests (hash, client_id, form, expires_at) values (@hash, @client, @form, @expires)");

        public override StateLock Lock => StateLock.None;

        public override string? Apply(WriteTx tx)
        {
            foreach (var once in consume)
                if (!once.Consume(tx))
                {
                    tx.Append(pushed with { Type = AuditTypes.ReplayDetected, Outcome = "refused", Reason = McpAuth.Protocol.Names.Reasons.Replay });
                    return once.Space;
                }
            tx.Run(Insert.With(hash, client, form, (now + Life).ToUnixTimeMilliseconds()));
            tx.Append(pushed);
            return null;
        }
    }

    private sealed class Open(string hash, string client, DateTimeOffset now) : Unit<bool>
    {
        private static readonly Sql Mark = new(
            "update pushed_requests set used_at = @now where hash = @hash and client_id = @client and used_at is null and expires_at > @now");

        public override StateLock Lock => StateLock.None;

        public override bool Apply(WriteTx tx) => tx.Run(Mark.With(now.ToUnixTimeMilliseconds(), hash, client)) == 1;
    }
}
