namespace McpAuthServer.Storage;

/// <summary>
/// Removes what no longer matters, a little at a time and as ordinary units; and while the commit log is not ready, tries a commit every
/// second: a node taken out of service gets no requests that could find out that its disk works again.
/// </summary>
internal sealed partial class StoreUpkeep(ICommitLog log, StoreOptions options, TimeProvider time, ILogger<StoreUpkeep> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(1), Probe = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var purged = time.GetTimestamp();
        using var ticks = new PeriodicTimer(Probe, time);
        while (await ticks.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (!log.Ready) await log.Commit(new ProbeUnit(time.GetUtcNow().ToUnixTimeMilliseconds()));
                if (time.GetElapsedTime(purged) < Every) continue;
                purged = time.GetTimestamp();
                await Purge(stoppingToken);
            }
            catch (Exception e) when (e is CommitLogFailedException or CommitLogBusyException)
            {
                // The next tick tries again; the log itself says what failed.
            }
            catch (Exception e)
            {
                Log.PurgeFailed(logger, e);
            }
        }
    }

    /// <summary>Runs batches until one finds less than it might have removed.</summary>
    internal async Task Purge(CancellationToken cancel)
    {
        foreach (var unit in PurgeUnit.All(time.GetUtcNow().ToUnixTimeMilliseconds(), options.KeepDecided))
            while (!cancel.IsCancellationRequested && await log.Commit(unit) == PurgeUnit.Batch)
                await Task.Yield();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "Expired rows could not be removed.")]
        public static partial void PurgeFailed(ILogger logger, Exception e);
    }
}

/// <summary>Deletes up to <see cref="Batch"/> rows that ended before a moment; the result is how many.</summary>
internal sealed class PurgeUnit(Sql delete, long before) : Unit<int>
{
    public const int Batch = 500;

    /// <summary>Kept past its expiry: the clocks of two nodes are not the same.</summary>
    private static readonly TimeSpan KeepUsed = TimeSpan.FromMinutes(1), KeepRevocations = TimeSpan.FromHours(1);

    /// <summary>A refresh token is known this long after its own end, so that its second use still tells that two have it.</summary>
    private static readonly TimeSpan KeepCredentials = TimeSpan.FromDays(1);

    /// <summary>A guard opens a stream anew when it is told that there is none: no token, task or long poll lasts as long as this.</summary>
    private static readonly TimeSpan KeepStreams = TimeSpan.FromDays(7);

    private static readonly Sql
        Used = new("delete from used_once where (space, key) in (select space, key from used_once where expires_at < @before limit @batch)"),
        // The newest stays: it says how far the record goes.
        Revocations = new(
            """
            delete from revocations where seq in (select seq from revocations where until < @before order by seq limit @batch)
              and seq < (select max(seq) from revocations)
            """),
        Evidence = new("delete from presented_evidence where digest in (select digest from presented_evidence where expires_at < @before limit @batch)"),
        BudgetLeases = new("delete from budget_leases where id in (select id from budget_leases where expires_at < @before limit @batch)"),
        Codes = new("delete from codes where hash in (select hash from codes where expires_at < @before limit @batch)"),
        PushedRequests = new("delete from pushed_requests where hash in (select hash from pushed_requests where expires_at < @before limit @batch)"),
        DeviceRequests = new("delete from device_requests where hash in (select hash from device_requests where expires_at < @before limit @batch)"),
        BackchannelRequests = new("delete from backchannel_requests where hash in (select hash from backchannel_requests where expires_at < @before limit @batch)"),
        RefreshTokens = new("delete from refresh_tokens where hash in (select hash from refresh_tokens where expires_at < @before limit @batch)"),
        RefreshFamilies = new(
            """
            delete from refresh_families where id in (select f.id from refresh_families f
              where f.expires_at < @before and not exists (select 1 from refresh_tokens t where t.family_id = f.id) limit @batch)
            """),
        Sessions = new(
            """
            delete from sessions where id in (select s.id from sessions s where s.expires_at < @before and not exists (select 1 from codes c where c.session_id = s.id)
              and not exists (select 1 from refresh_families f where f.session_id = s.id) limit @batch)
            """),
        PolicyRequests = new("delete from policy_requests where decision in (select decision from policy_requests where expires_at < @before limit @batch)"),
        // The time twice: it may be polled again in between.
        Streams = new("delete from guard_streams where id in (select id from guard_streams where heard_at < @before limit @batch) and heard_at < @before"),
        Differences = new("delete from policy_differences where decision in (select decision from policy_differences where told_at < @before limit @batch)"),
        // Those of a channel that is configured go by themselves.
        Notices = new(
            """
            delete from approval_notices where (approval, webhook) in (select n.approval, n.webhook from approval_notices n join approvals a on a.id = n.approval
              where a.state in ('refused', 'used', 'expired', 'ended') and a.expires_at < @before limit @batch)
            """),
        Approvals = new(
            """
            delete from approvals where id in (select a.id from approvals a where a.state in ('refused', 'used', 'expired', 'ended') and a.expires_at < @before
              and not exists (select 1 from approval_notices n where n.approval = a.id) limit @batch)
            """),
        SetupLinks = new("delete from setup_links where hash in (select hash from setup_links where expires_at < @before limit @batch)");

    public override StateLock Lock => StateLock.None;

    /// <param name="now">Epoch milliseconds.</param>
    /// <param name="keepDecided"><see cref="StoreOptions.KeepDecided"/>.</param>
    public static IEnumerable<PurgeUnit> All(long now, TimeSpan keepDecided) =>
        // What refers goes before what it refers to.
        [
            new(Used, now - (long)KeepUsed.TotalMilliseconds), new(Evidence, now - (long)KeepUsed.TotalMilliseconds),
            new(BudgetLeases, now - (long)KeepUsed.TotalMilliseconds), new(Revocations, now - (long)KeepRevocations.TotalMilliseconds), new(PolicyRequests, now),
            new(Streams, now - (long)KeepStreams.TotalMilliseconds),
            .. new[] { Differences, Notices, Approvals }.Select(sql => new PurgeUnit(sql, now - (long)keepDecided.TotalMilliseconds)),
            .. new[] { Codes, PushedRequests, DeviceRequests, BackchannelRequests, RefreshTokens, RefreshFamilies, Sessions, SetupLinks }
                .Select(sql => new PurgeUnit(sql, now - (long)KeepCredentials.TotalMilliseconds)),
        ];

    public override int Apply(WriteTx tx) => tx.Run(delete.With(before, Batch));
}

/// <summary>A commit that reaches the disk and means nothing.</summary>
internal sealed class ProbeUnit(long now) : Unit<int>
{
    private static readonly Sql Touch = new(
        "insert into settings (name, value) values ('store_probe', @at) on conflict (name) do update set value = excluded.value");

    public override StateLock Lock => StateLock.None;

    public override int Apply(WriteTx tx) => tx.Run(Touch.With(BitConverter.GetBytes(now)));
}
