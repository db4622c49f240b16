using System.Data.Common;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>Looks every minute whether a signing key's state is due to change; every node does.</summary>
internal sealed partial class KeyRotation(SigningKeys keys, TimeProvider time, ILogger<KeyRotation> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, time);
        do
        {
            try
            {
                await keys.TurnAsync(stoppingToken);
            }
            catch (Exception e) when (e is CommitLogBusyException or CommitLogFailedException or DbException or SigningKeyException)
            {
                Log.Failed(logger, e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "The signing keys could not be turned; the ones there are go on, and it is tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
