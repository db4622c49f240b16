namespace McpAuthServer.Registry;

/// <summary>
/// The registry in memory. Reading it is one volatile read; a poll of the version makes other processes' changes seen within
/// <see cref="Poll"/>, and units check <see cref="RegistryVersion.IsCurrent"/> in their transaction, so staleness costs a retry at most.
/// </summary>
internal sealed partial class RegistryCache(RegistryReader reader, TimeProvider time, ILogger<RegistryCache> logger) : BackgroundService
{
    public static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    private readonly Lock gate = new();
    private volatile RegistrySnapshot? current;
    private Task<RegistrySnapshot>? loading;

    /// <summary>The newest snapshot that is known; loads it when there is none.</summary>
    public ValueTask<RegistrySnapshot> Current(CancellationToken cancel) =>
        current is { } snapshot ? new(snapshot) : new(Reload().WaitAsync(cancel));

    /// <summary>What is committed at this moment, also by another process; asks the database for the version.</summary>
    public async Task<RegistrySnapshot> AsOfNow(CancellationToken cancel)
    {
        var seen = await Current(cancel);
        if (await reader.Version(cancel) == seen.Version)
            return seen;
        Invalidate(seen.Version);
        return await Current(cancel);
    }

    /// <summary>What is in memory, if anything; for those who only want to notice a change.</summary>
    public RegistrySnapshot? Latest => current;

    /// <summary>The snapshot of <paramref name="seenVersion"/> was found stale: the next <see cref="Current"/> reads the database.</summary>
    public void Invalidate(long seenVersion)
    {
        lock (gate)
        {
            if (current is { } snapshot && snapshot.Version > seenVersion)
                return;
            // A load that is under way may have begun before the change, so its result is not published.
            current = null;
            loading = null;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Poll, time);
        do
        {
            try
            {
                var version = await reader.Version(stoppingToken);
                if (current?.Version != version)
                    await Reload().WaitAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                // The old snapshot stays: what is issued on it is checked against the version in its own transaction.
                Log.PollFailed(logger, e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    /// <summary>One load at a time; not cancelled by one of its waiters.</summary>
    private Task<RegistrySnapshot> Reload()
    {
        lock (gate)
        {
            if (loading is { } running)
                return running;
            var started = new TaskCompletionSource<RegistrySnapshot>(TaskCreationOptions.RunContinuationsAsynchronously);
            loading = started.Task;
            _ = Load(started);
            return started.Task;
        }
    }

    private async Task Load(TaskCompletionSource<RegistrySnapshot> started)
    {
        await Task.Yield();
        try
        {
            var snapshot = await reader.Load(CancellationToken.None);
            lock (gate)
            {
                if (loading == started.Task)
                {
                    loading = null;
                    if (current is null || current.Version < snapshot.Version)
                        current = snapshot;
                }
            }
            started.SetResult(snapshot);
        }
        catch (Exception e)
        {
            lock (gate)
            {
                if (loading == started.Task)
                    loading = null;
            }
            started.SetException(e);
            _ = started.Task.Exception; // Observed, should every waiter have been cancelled.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The registry's version could not be read; the last snapshot stays in use.")]
        public static partial void PollFailed(ILogger logger, Exception e);
    }
}
