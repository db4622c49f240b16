using System.Collections.Frozen;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Revocation;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Calls;

/// <summary>
/// The tools this process serves, each with its approval. Reported to the server at the start and whenever the server says that the
/// manifest changed; until the new answer is here, calls wait for it.
/// </summary>
internal sealed partial class ToolCatalogue : IDisposable
{
    private static readonly TimeSpan WaitFor = TimeSpan.FromSeconds(1), AskFor = TimeSpan.FromSeconds(5),
        FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(5);

    private sealed record Known(FrozenDictionary<string, GuardedTool> Tools, long Manifest);

    private readonly GuardConnection connection;
    private readonly RevocationFeed feed;
    private readonly TimeProvider time;
    private readonly ILogger<ToolCatalogue> logger;
    private readonly SemaphoreSlim changed = new(0, 1);
    private readonly List<GuardedTool> own = [];
    private Known? known;
    private TaskCompletionSource learned = New();
    private long wanted = -1;

    public ToolCatalogue(
        GuardConnection connection, RevocationFeed feed, ToolDefinitions definitions, IOptions<McpGuardOptions> options, TimeProvider time, ILogger<ToolCatalogue> logger)
    {
        (this.connection, this.feed, this.time, this.logger) = (connection, feed, time, logger);
        foreach (JsonElement definition in definitions.All().Concat(options.Value.Tools))
        {
            if (!GuardedTool.Read(definition).TryGet(out GuardedTool? tool, out Fault? fault)) Log.CannotBeApproved(logger, Label(definition), fault);
            else if (own.Exists(t => t.Name == tool.Name)) Log.CannotBeApproved(logger, tool.Name, new Fault("duplicate_tool", "Two tools have this name."));
            else own.Add(tool);
        }
        feed.ManifestSeen += OnManifest;
    }

    /// <summary>The server has answered for this version of the manifest.</summary>
    public bool Current => Volatile.Read(ref known) is { } k && k.Manifest == Interlocked.Read(ref wanted);

    public GuardedTool? Find(string name) => Volatile.Read(ref known)?.Tools.GetValueOrDefault(name);

    /// <summary>Any tool by name, approved or not.</summary>
    public GuardedTool? Own(string name) => Find(name) ?? own.Find(t => t.Name == name);

    /// <summary>False when what is known is outdated and the server did not answer in time.</summary>
    public async ValueTask<bool> EnsureCurrent(CancellationToken cancellationToken)
    {
        if (Current) return true;
        Task next = Volatile.Read(ref learned).Task;
        if (Current) return true; // learned between the two looks
        try
        {
            await next.WaitAsync(WaitFor, time, cancellationToken);
        }
        catch (TimeoutException)
        {
        }
        return Current;
    }

    public async Task Run(CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstPause;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await Report(cancellationToken);
                pause = FirstPause;
                if (!Current) continue;
                await changed.WaitAsync(cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Log.NotReported(logger, e.Message);
                await Task.Delay(pause, time, cancellationToken);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    private async Task Report(CancellationToken cancellationToken)
    {
        var request = new ManifestRequest([.. own.Select(t => new ManifestTool(t.Name, t.Definition))]);
        ManifestResponse answer = await (await connection.Channel(cancellationToken)).ReportManifest(request, cancellationToken).WaitAsync(AskFor, time, cancellationToken);
        Dictionary<string, ManifestToolState> states = answer.Tools.ToDictionary(t => t.Name, StringComparer.Ordinal);
        var fresh = new Known(own.Select(t => t.As(states.GetValueOrDefault(t.Name))).ToFrozenDictionary(t => t.Name, StringComparer.Ordinal), answer.Manifest);
        // The answer may be ahead of the feed; the feed's next word is then the same version.
        if (answer.Manifest > Interlocked.Read(ref wanted)) Interlocked.Exchange(ref wanted, answer.Manifest);
        Volatile.Write(ref known, fresh);
        Interlocked.Exchange(ref learned, New()).TrySetResult();
        int approved = fresh.Tools.Values.Count(t => t.Callable);
        Log.Reported(logger, approved, fresh.Tools.Count);
    }

    private void OnManifest(long version)
    {
        // Polls overlap, so an older word can come last; versions only grow.
        if (version <= Interlocked.Read(ref wanted)) return;
        Interlocked.Exchange(ref wanted, version);
        if (changed.CurrentCount == 0) changed.Release();
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static string Label(JsonElement definition) =>
        definition.ValueKind == JsonValueKind.Object && definition.TryGetProperty("name", out JsonElement name) ? name.ToString() : "?";

    public void Dispose()
    {
        feed.ManifestSeen -= OnManifest;
        changed.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "The tool {Tool} cannot be approved and every call of it is denied: {Fault}")]
        public static partial void CannotBeApproved(ILogger logger, string tool, Fault fault);

        [LoggerMessage(Level = LogLevel.Information, Message = "{Approved} of {Count} tools are approved")]
        public static partial void Reported(ILogger logger, int approved, int count);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The tools could not be reported: {Reason}")]
        public static partial void NotReported(ILogger logger, string reason);
    }
}
