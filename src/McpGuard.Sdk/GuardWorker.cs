using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Revocation;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk;

/// <summary>Enrols, then runs the guard's channels until the host stops. Until they stand, the gate answers 503.</summary>
internal sealed partial class GuardWorker(
    GuardConnection connection, StateDirectory state, Spool spool, AuditDelivery delivery, IssuerKeys keys, RevocationFeed feed, ToolCatalogue catalogue,
    CallBudgets budgets, TimeProvider time, ILogger<GuardWorker> logger) : BackgroundService
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200), LongestPause = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await Enrol(stoppingToken);
            // Damage to the record is for a person to look at: the host stops instead of going on without its past.
            spool.Open(state["spool"], connection.GuardId!);
            await Task.WhenAll(KeepKeys(stoppingToken), feed.Run(stoppingToken), catalogue.Run(stoppingToken), delivery.Run(stoppingToken), budgets.Run(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task Enrol(CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstPause;
        while (true)
        {
            try
            {
                await connection.Channel(cancellationToken);
                return;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Log.NotEnrolled(logger, e.Message);
                await Task.Delay(pause, time, cancellationToken);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    private async Task KeepKeys(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task lost = keys.Lost;
            await keys.Refresh(cancellationToken);
            using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(lost, Task.Delay(keys.Due, time, woken.Token));
            await woken.CancelAsync();
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The guard could not enrol; every call is refused until it has: {Reason}")]
        public static partial void NotEnrolled(ILogger logger, string reason);
    }
}
