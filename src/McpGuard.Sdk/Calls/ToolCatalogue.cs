using System.Collections.Frozen;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Policy;
using McpGuard.Sdk.Revocation;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Calls;

/// <summary>
/// The tools this process serves, each with its approval. Reported to the server at the start, whenever they change, and whenever the server
/// says that the manifest changed; until the new answer is here, calls wait for it.
/// </summary>
internal sealed partial class ToolCatalogue : IDisposable
{
    private static readonly TimeSpan WaitFor = TimeSpan.FromSeconds(1), AskFor = TimeSpan.FromSeconds(5),
        FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(5);

    private sealed record Known(FrozenDictionary<string, GuardedTool> Tools, long Manifest, bool Development);

    private readonly GuardConnection connection;
    private readonly RevocationFeed feed;
    private readonly PolicySource policies;
    private readonly ToolDefinitions definitions;
    private readonly TimeProvider time;
    private readonly ILogger<ToolCatalogue> logger;
    private readonly SemaphoreSlim changed = new(0, 1);
    private readonly Lock gate = new();
    private IReadOnlyList<GuardedTool>? own; // replaced, never changed; null while nobody knows yet
    private Known? known;
    private TaskCompletionSource learned = New();
    private long wanted = -1, outdatedAt;

    public ToolCatalogue(
        GuardConnection connection, RevocationFeed feed, PolicySource policies, ToolDefinitions definitions, TimeProvider time, ILogger<ToolCatalogue> logger)
    {
        (this.connection, this.feed, this.policies, this.definitions, this.time, this.logger) = (connection, feed, policies, definitions, time, logger);
        own = Read();
        definitions.Changed += OnDefinitions;
        feed.ManifestSeen += OnManifest;
    }

    /// <summary>The server has answered for this version of the manifest.</summary>
    public bool Current => Volatile.Read(ref known) is { } k && k.Manifest == Interlocked.Read(ref wanted);

    /// <summary>It has not, for longer than a call waits for it: calls are denied.</summary>
    public bool Late => !Current && (Volatile.Read(ref known) is null || time.GetElapsedTime(Interlocked.Read(ref outdatedAt)) > WaitFor);

    /// <summary>The server approves whatever is reported here.</summary>
    public bool Development => Volatile.Read(ref known) is { Development: true };

    /// <summary>Why calls wait, in a word, when it is not <see cref="Current"/>.</summary>
    public string Problem => policies.Current.Problem ?? PolicySource.NotAsked;

    public GuardedTool? Find(string name) => Volatile.Read(ref known)?.Tools.GetValueOrDefault(name);

    /// <summary>Any tool by name, approved or not.</summary>
    public GuardedTool? Own(string name) => Find(name) ?? Volatile.Read(ref own)?.FirstOrDefault(t => t.Name == name);

    /// <summary>False when what is known is outdated and the server did not answer in time.</summary>
    public async ValueTask<bool> EnsureCurrent(CancellationToken cancellationToken)
    {
        if (Current) return true;
        long began = time.GetTimestamp();
        while (true)
        {
            // Before the look: an answer that comes after it is waited for. One that is outdated when it comes is followed by another.
            Task next = Volatile.Read(ref learned).Task;
            if (Current) return true;
            TimeSpan left = WaitFor - time.GetElapsedTime(began);
            if (left <= TimeSpan.Zero) return false;
            try
            {
                await next.WaitAsync(left, time, cancellationToken);
            }
            catch (TimeoutException)
            {
            }
        }
    }

    public async Task Run(CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstPause;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                if (Volatile.Read(ref own) is { } tools) await Report(tools, cancellationToken);
                pause = FirstPause;
                if (!Current && Volatile.Read(ref own) is not null) continue;
                await Change(cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Log.NotReported(logger, e.Message);
                await Task.Delay(pause, time, cancellationToken);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    /// <summary>Until there are other tools, the server says that something changed, or the policies age.</summary>
    private async Task Change(CancellationToken cancellationToken)
    {
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task told = changed.WaitAsync(woken.Token);
        TimeSpan due = Volatile.Read(ref own) is null ? Timeout.InfiniteTimeSpan : policies.Due is var left && left > FirstPause ? left : FirstPause;
        await Task.WhenAny(told, Task.Delay(due, time, woken.Token));
        await woken.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task Report(IReadOnlyList<GuardedTool> tools, CancellationToken cancellationToken)
    {
        var request = new ManifestRequest([.. tools.Select(t => new ManifestTool(t.Name, t.Definition))]);
        ManifestResponse answer = await (await connection.Channel(cancellationToken)).ReportManifest(request, cancellationToken).WaitAsync(AskFor, time, cancellationToken);
        // What decides about the tools comes with them: a call never sees the one without the other.
        await policies.Refresh(answer.Manifest, cancellationToken);
        Dictionary<string, ManifestToolState> states = answer.Tools.ToDictionary(t => t.Name, StringComparer.Ordinal);
        var fresh = new Known(tools.Select(t => t.As(states.GetValueOrDefault(t.Name))).ToFrozenDictionary(t => t.Name, StringComparer.Ordinal), answer.Manifest, answer.Development is not null);
        // Also of an answer that is outdated already: the approval happened.
        if (answer.Development is { } approvedUnseen) Tell(approvedUnseen);
        lock (gate)
        {
            // An answer about tools that are gone says nothing about those that are here; they are reported next.
            if (own != tools) return;
            // The answer may be ahead of the feed; the feed's next word is then the same version.
            Want(answer.Manifest);
            Volatile.Write(ref known, fresh);
        }
        Interlocked.Exchange(ref learned, New()).TrySetResult();
        int approved = fresh.Tools.Values.Count(t => t.Callable);
        Log.Reported(logger, approved, fresh.Tools.Count);
    }

    private void Tell(IReadOnlyList<string> approvedUnseen)
    {
        if (!Development) Log.DeveloperMode(logger);
        if (approvedUnseen.Count > 0) Log.ApprovedUnseen(logger, string.Join(", ", approvedUnseen));
    }

    private void OnManifest(long version)
    {
        lock (gate)
        {
            if (!Want(version)) return;
        }
        Wake();
    }

    /// <summary>False when it is nothing new: polls overlap, so an older word can come last; versions only grow.</summary>
    private bool Want(long version)
    {
        if (version <= Interlocked.Read(ref wanted)) return false;
        if (Current) Interlocked.Exchange(ref outdatedAt, time.GetTimestamp());
        Interlocked.Exchange(ref wanted, version);
        return true;
    }

    /// <summary>
    /// In one step: what is as it was keeps its approval, so no call of it notices; what is new, or not as it was approved, is denied from here
    /// on, before the server has said anything.
    /// </summary>
    private void OnDefinitions()
    {
        lock (gate)
        {
            IReadOnlyList<GuardedTool>? fresh = Read();
            Volatile.Write(ref own, fresh);
            if (fresh is not null && known is { } before)
                Volatile.Write(ref known, before with { Tools = fresh.Select(t => t.After(before.Tools.GetValueOrDefault(t.Name))).ToFrozenDictionary(t => t.Name, StringComparer.Ordinal) });
        }
        Wake();
    }

    private List<GuardedTool>? Read()
    {
        if (definitions.All() is not { } all) return null;
        List<GuardedTool> tools = [];
        foreach (JsonElement definition in all)
        {
            if (!GuardedTool.Read(definition).TryGet(out GuardedTool? tool, out Fault? fault)) Log.CannotBeApproved(logger, Label(definition), fault);
            else if (tools.Exists(t => t.Name == tool.Name)) Log.CannotBeApproved(logger, tool.Name, new Fault("duplicate_tool", "Two tools have this name."));
            else tools.Add(tool);
        }
        return tools;
    }

    private void Wake()
    {
        lock (gate)
        {
            if (changed.CurrentCount == 0) changed.Release();
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static string Label(JsonElement definition) =>
        definition.ValueKind == JsonValueKind.Object && definition.TryGetProperty("name", out JsonElement name) ? name.ToString() : "?";

    public void Dispose()
    {
        feed.ManifestSeen -= OnManifest;
        definitions.Changed -= OnDefinitions;
        changed.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "The tool {Tool} cannot be approved and every call of it is denied: {Fault}")]
        public static partial void CannotBeApproved(ILogger logger, string tool, Fault fault);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Developer mode: every tool of this tool server, new or changed, is approved, and nobody looks at it. That is for development on this machine.")]
        public static partial void DeveloperMode(ILogger logger);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Developer mode: approved, and nobody has looked at them: {Tools}")]
        public static partial void ApprovedUnseen(ILogger logger, string tools);

        [LoggerMessage(Level = LogLevel.Information, Message = "{Approved} of {Count} tools are approved")]
        public static partial void Reported(ILogger logger, int approved, int count);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The tools could not be reported: {Reason}")]
        public static partial void NotReported(ILogger logger, string reason);
    }
}
