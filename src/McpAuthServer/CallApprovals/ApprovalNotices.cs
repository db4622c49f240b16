using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Storage;

namespace McpAuthServer.CallApprovals;

/// <summary>
/// Tells programs outside that a call waits: its id and the address of its page, never what is called or with what. At least once, by one node at a time, again and more slowly
/// until it was taken or is of no use any more. Signed as Standard Webhooks have it.
/// </summary>
internal sealed partial class ApprovalNotices(
    ICommitLog log, IReadStore store, DocumentFetcher fetcher, FetchPolicy policy, Issuer issuer, ServerOptions options, TimeProvider time, ILogger<ApprovalNotices> logger) : RecurringWork(TimeSpan.FromSeconds(1), time)
{
    private const int Batch = 50;

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(4), LongestPause = TimeSpan.FromMinutes(1);

    private static readonly Sql
        Due = new(
            """
            select n.approval, n.webhook, n.attempts, a.asked_at, case when a.state = 'waiting' and a.expires_at > @now then 1 else 0 end
            from approval_notices n join approvals a on a.id = n.approval where n.next_at <= @now order by n.next_at limit @batch
            """),
        Take = new("update approval_notices set attempts = attempts + 1, next_at = @next where approval = @approval and webhook = @webhook and attempts = @attempts"),
        Drop = new("delete from approval_notices where approval = @approval and webhook = @webhook");

    private sealed record Notice(string Approval, string Webhook, long Attempts, long AskedAt, bool Useful);

    /// <summary>Where nobody is told, nothing ever waits.</summary>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => options.Approvals.Webhooks.Count == 0 ? Task.CompletedTask : base.ExecuteAsync(stoppingToken);

    protected override Task RunAsync(CancellationToken cancel) => SendDueAsync(cancel);

    protected override void Failed(Exception e) => Log.Failed(logger, e);

    internal async Task SendDueAsync(CancellationToken cancel)
    {
        var now = Time.GetUtcNow();
        var due = await store.All(
            Due.With(now.ToUnixTimeMilliseconds(), Batch), r => new Notice(r.GetString(0), r.GetString(1), r.GetInt64(2), r.GetInt64(3), Convert.ToInt64(r.GetValue(4), CultureInfo.InvariantCulture) == 1), cancel);
        await Task.WhenAll(due.Select(notice => SendAsync(notice, now)));
    }

    private async Task SendAsync(Notice notice, DateTimeOffset now)
    {
        var webhook = options.Approvals.Webhooks.FirstOrDefault(w => w.Name == notice.Webhook);
        if (!notice.Useful || webhook is null)
        {
            await log.Commit(new Change(Drop.With(notice.Approval, notice.Webhook)));
            return;
        }
        // The next attempt is settled before this one: a node that stops in the middle costs a repetition, never the notice.
        var pause = TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, FirstPause.Ticks << (int)Math.Min(notice.Attempts, 16)));
        if (await log.Commit(new Change(Take.With((now + pause).ToUnixTimeMilliseconds(), notice.Approval, notice.Webhook, notice.Attempts))) == 0)
            return;
        if (!policy.ReadRegistered(webhook.Url).TryGet(out var url, out var fault))
        {
            Log.NotTold(logger, webhook.Name, fault.Code);
            return;
        }
        var body = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["type"] = "approval.asked", ["timestamp"] = DateTimeOffset.FromUnixTimeMilliseconds(notice.AskedAt).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            ["data"] = new JsonObject { ["id"] = notice.Approval, ["url"] = issuer.Uri($"{Names.Paths.Approvals}/{notice.Approval}").AbsoluteUri },
        }.ToJsonString());
        var at = now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        byte[] signing = [.. Encoding.UTF8.GetBytes($"{notice.Approval}.{at}."), .. body];
        var signed = HMACSHA256.HashData(webhook.Key()!, signing);
        if (await fetcher.PostAsync(url, body, [new("webhook-id", notice.Approval), new("webhook-timestamp", at), new("webhook-signature", "v1," + Convert.ToBase64String(signed))]) is { } failed)
            Log.NotTold(logger, webhook.Name, failed.Code);
        else
            await log.Commit(new Change(Drop.With(notice.Approval, notice.Webhook)));
    }

    private sealed class Change(Statement statement) : Unit<int>
    {
        public override StateLock Lock => StateLock.None;

        public override int Apply(WriteTx tx) => tx.Run(statement);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The webhook {Webhook} could not be told of a call that waits ({Problem}); it is tried again.")]
        public static partial void NotTold(ILogger logger, string webhook, string problem);

        [LoggerMessage(2, LogLevel.Warning, "Telling webhooks of calls that wait failed; it is tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
