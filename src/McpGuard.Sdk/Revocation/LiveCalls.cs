using System.Collections.Concurrent;
using McpGuard.Sdk.Tokens;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Revocation;

/// <summary>The requests that run now: a revocation ends those of its subject too, not only the next ones.</summary>
internal sealed class LiveCalls : IDisposable
{
    /// <summary>For a handler to notice that it is cancelled; one that does not loses its connection.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<LiveCall, bool> running = new();
    private readonly DenyTable table;
    private readonly TimeProvider time;

    public LiveCalls(DenyTable table, TimeProvider time)
    {
        (this.table, this.time) = (table, time);
        table.Denied += EndDenied;
    }

    /// <param name="untilExpiry">For an answer without an end of its own: it ends when the token does.</param>
    public LiveCall Enter(HttpContext context, ValidatedToken token, bool untilExpiry = false)
    {
        var call = new LiveCall(this, context, token);
        running[call] = true;
        if (untilExpiry) call.EndAt(token.ExpiresAt, time);
        // What was denied between the check of the token and this line was looked for before the call was here.
        if (table.Denies(token)) End(call);
        return call;
    }

    internal void Leave(LiveCall call) => running.TryRemove(call, out _);

    private void EndDenied()
    {
        foreach ((LiveCall call, _) in running)
        {
            if (table.Denies(call.Token)) End(call);
        }
    }

    private void End(LiveCall call)
    {
        if (call.End(LiveCallState.Revoked)) _ = AbortLater(call);
    }

    internal void Expire(LiveCall call)
    {
        if (call.End(LiveCallState.Expired)) _ = AbortLater(call);
    }

    private async Task AbortLater(LiveCall call)
    {
        await Task.Delay(Grace, time);
        if (running.ContainsKey(call)) call.Context.Abort();
    }

    public void Dispose() => table.Denied -= EndDenied;
}

/// <summary>One running request; disposed when it is answered.</summary>
internal sealed class LiveCall(LiveCalls calls, HttpContext context, ValidatedToken token) : IDisposable
{
    private readonly CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
    private ITimer? expiry;
    private int state;

    public HttpContext Context { get; } = context;
    public ValidatedToken Token { get; } = token;

    /// <summary>Cancelled when the caller goes away, and when its authority does.</summary>
    public CancellationToken Stop => stop.Token;

    /// <summary>Its authority was taken away while it ran.</summary>
    public bool Ended => State == LiveCallState.Revoked;

    /// <summary>It ran until its token ended.</summary>
    public bool Expired => State == LiveCallState.Expired;

    private LiveCallState State => (LiveCallState)Volatile.Read(ref state);

    internal void EndAt(DateTimeOffset when, TimeProvider time)
    {
        TimeSpan left = when - time.GetUtcNow();
        expiry = time.CreateTimer(_ => calls.Expire(this), null, left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    /// <summary>False when it had ended before, or was answered.</summary>
    internal bool End(LiveCallState how)
    {
        if (!Become(how)) return false;
        // Not on the caller's thread: what is registered with the token is the handler's code.
        _ = stop.CancelAsync();
        return true;
    }

    public void Dispose()
    {
        calls.Leave(this);
        expiry?.Dispose();
        // A source that is being cancelled is left to the collector.
        if (Become(LiveCallState.Answered)) stop.Dispose();
    }

    private bool Become(LiveCallState next) => Interlocked.CompareExchange(ref state, (int)next, (int)LiveCallState.Running) == (int)LiveCallState.Running;
}

internal enum LiveCallState
{
    Running,
    Answered,
    Revoked,
    Expired,
}
