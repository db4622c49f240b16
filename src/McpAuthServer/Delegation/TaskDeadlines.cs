using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>
/// Ends tasks at their deadline. Nothing waits for it to be refused (issuance and tokens carry the deadline themselves); it makes the end a
/// recorded fact.
/// </summary>
internal sealed partial class TaskDeadlines(ICommitLog log, IReadStore store, ServerOptions options, TimeProvider time, ILogger<TaskDeadlines> logger) : BackgroundService
{
    private static readonly Sql Due = new("select id from tasks where state in ('active', 'suspended') and expires_at <= @now order by expires_at limit 256");

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                try
                {
                    await ExpireDueAsync(stoppingToken);
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    // Whatever it is: a service that throws would stop the node, and the next tick tries again.
                    Log.Failed(logger, e);
                }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    public async Task ExpireDueAsync(CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        var by = new Initiator(null, null, null, Rank.Administrator);
        foreach (var id in await store.All(Due.With(now.ToUnixTimeMilliseconds()), r => r.GetString(0), cancel))
            await log.Commit(new EndTask(id, TaskState.Expired, "deadline", by, null, now, options.Node));
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Expiring tasks failed; they stay refused and are tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
