namespace McpAuthServer.Storage;

/// <summary>
/// What is done again and again while the server runs. Whatever goes wrong is logged and tried at the next tick: a service that throws would stop the node.
/// </summary>
/// <param name="first">Whether it is done at the start, too, and not only after the first interval.</param>
internal abstract class RecurringWork(TimeSpan every, TimeProvider time, bool first = false) : BackgroundService
{
    protected TimeProvider Time { get; } = time;

    protected abstract Task RunAsync(CancellationToken cancel);

    /// <summary>Logs why a run failed.</summary>
    protected abstract void Failed(Exception e);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var ticks = new PeriodicTimer(every, Time);
        try
        {
            if (first)
                await TryAsync(stoppingToken);
            while (await ticks.WaitForNextTickAsync(stoppingToken))
                await TryAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task TryAsync(CancellationToken cancel)
    {
        try
        {
            await RunAsync(cancel);
        }
        catch (Exception e) when (!cancel.IsCancellationRequested)
        {
            Failed(e);
        }
    }
}
