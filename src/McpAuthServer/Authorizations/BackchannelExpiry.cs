using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>Makes it a recorded fact that a person did not answer in time.</summary>
internal sealed partial class BackchannelExpiry(BackchannelRequests requests, TimeProvider time, ILogger<BackchannelExpiry> logger) : RecurringWork(TimeSpan.FromMinutes(1), time)
{
    protected override Task RunAsync(CancellationToken cancel) => requests.ExpireDueAsync(cancel);

    protected override void Failed(Exception e) => Log.Failed(logger, e);

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Recording that questions were not answered failed; it is tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
