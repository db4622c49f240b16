using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>
/// Ends tasks at their deadline, and instances with their hour. Nothing waits for it to be refused (issuance and tokens carry the deadline themselves); it
/// makes the end a recorded fact.
/// </summary>
internal sealed partial class TaskDeadlines(ICommitLog log, IReadStore store, ServerOptions options, TimeProvider time, ILogger<TaskDeadlines> logger) : RecurringWork(TimeSpan.FromSeconds(1), time)
{
    private static readonly Sql
        Due = new("select id from tasks where state in ('active', 'suspended') and expires_at <= @now order by expires_at limit 256"),
        DueInstances = new("select id from instances where state = 'active' and expires_at <= @now order by expires_at limit 256");

    protected override Task RunAsync(CancellationToken cancel) => ExpireDueAsync(cancel);

    protected override void Failed(Exception e) => Log.Failed(logger, e);

    public async Task ExpireDueAsync(CancellationToken cancel)
    {
        var now = Time.GetUtcNow();
        var by = new Initiator(null, null, null, Rank.Administrator);
        foreach (var id in await store.All(Due.With(now.ToUnixTimeMilliseconds()), r => r.GetString(0), cancel))
            await log.Commit(new EndTask(id, TaskState.Expired, "deadline", by, null, now, options.Node));
        // After the tasks: one whose own deadline has come expired, and did not fail.
        foreach (var id in await store.All(DueInstances.With(now.ToUnixTimeMilliseconds()), r => r.GetString(0), cancel))
            await log.Commit(new ExpireInstance(id, now, options.Node));
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Expiring tasks failed; they stay refused and are tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
