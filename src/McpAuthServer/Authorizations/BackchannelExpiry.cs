namespace McpAuthServer.Authorizations;

/// <summary>Makes it a recorded fact that a person did not answer in time.</summary>
internal sealed partial class BackchannelExpiry(BackchannelRequests requests, TimeProvider time, ILogger<BackchannelExpiry> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                try
                {
                    await requests.ExpireDueAsync(stoppingToken);
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    Log.Failed(logger, e);
                }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Recording that questions were not answered failed; it is tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
