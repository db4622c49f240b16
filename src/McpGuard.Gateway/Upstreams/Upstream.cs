using System.Security.Cryptography;
using McpGuard.Gateway.Configuration;
using McpGuard.Sdk;

namespace McpGuard.Gateway.Upstreams;

/// <summary>
/// One tool server behind the gateway: connected, its tools listed, and connected again when it ends. Its tools are the guard's before any call
/// can reach it.
/// </summary>
internal sealed partial class Upstream(UpstreamConfiguration configuration, ToolSet toolSet, TimeProvider time, ILogger<Upstream> logger) : BackgroundService
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500), ListLimit = TimeSpan.FromSeconds(30);

    private UpstreamSession? session;
    private UpstreamTools? tools;

    /// <summary>Null while it is not connected.</summary>
    public UpstreamSession? Session => Volatile.Read(ref session);

    /// <summary>As last listed, also while it is not connected.</summary>
    public UpstreamTools Tools => Volatile.Read(ref tools) ?? UpstreamTools.None;

    public UpstreamLimits Limits => configuration.Limits;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        TimeSpan pause = FirstPause;
        while (!stoppingToken.IsCancellationRequested)
        {
            long started = time.GetTimestamp();
            try
            {
                await using UpstreamSession next = await UpstreamSession.Open(configuration, time, logger, stoppingToken);
                try
                {
                    await List(next, stoppingToken);
                    Volatile.Write(ref session, next);
                    Log.Connected(logger, Tools.Definitions.Count);
                    await Watch(next, stoppingToken);
                }
                finally
                {
                    Volatile.Write(ref session, null);
                }
                Log.Ended(logger);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // Its own text may quote what an upstream said; ours does not.
                Log.Failed(logger, e is UpstreamException or System.ComponentModel.Win32Exception ? e.Message : e.GetType().Name);
            }
            if (time.GetElapsedTime(started) > configuration.Limits.Restart) pause = FirstPause;
            await Pause(pause, stoppingToken);
            pause = pause * 2 < configuration.Limits.Restart ? pause * 2 : configuration.Limits.Restart;
        }
    }

    private async Task Watch(UpstreamSession connected, CancellationToken cancellationToken)
    {
        while (!connected.Ended.IsCompleted)
        {
            using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(connected.Changed(wait.Token), Task.Delay(configuration.Limits.Relist, time, wait.Token));
            await wait.CancelAsync();
            cancellationToken.ThrowIfCancellationRequested();
            if (connected.Ended.IsCompleted) return;
            try
            {
                await List(connected, cancellationToken);
            }
            catch (UpstreamException e) when (e.Message == UpstreamException.Ended)
            {
                // A call that failed may be known before the end that it failed by.
                return;
            }
        }
    }

    private async Task List(UpstreamSession connected, CancellationToken cancellationToken)
    {
        TimeSpan limit = configuration.Limits.Call < ListLimit ? configuration.Limits.Call : ListLimit;
        await connected.List(limit, (tool, why) => Log.NotOffered(logger, tool, why), Publish, cancellationToken);
    }

    private void Publish(UpstreamTools now)
    {
        if (tools is { } before && before.Same(now)) return;
        // The guard first: what changed is denied before anybody is shown it.
        toolSet.Replace(now.Definitions);
        Volatile.Write(ref tools, now);
        Log.Listed(logger, now.Definitions.Count);
    }

    private Task Pause(TimeSpan pause, CancellationToken cancellationToken)
    {
        // Up to a quarter more, so that many that failed together do not come back together.
        int more = RandomNumberGenerator.GetInt32(0, (int)pause.TotalMilliseconds / 4 + 1);
        return Task.Delay(pause + TimeSpan.FromMilliseconds(more), time, cancellationToken).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Connected; it has {Count} tools")]
        public static partial void Connected(ILogger logger, int count);

        [LoggerMessage(Level = LogLevel.Information, Message = "Its tools are {Count}, not those that were known before")]
        public static partial void Listed(ILogger logger, int count);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The tool {Tool} is not offered: {Why}")]
        public static partial void NotOffered(ILogger logger, string tool, string why);

        [LoggerMessage(Level = LogLevel.Warning, Message = "It ended, and is started again")]
        public static partial void Ended(ILogger logger);

        [LoggerMessage(Level = LogLevel.Error, Message = "It cannot be used, and is tried again: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
