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

    public LiveCall Enter(HttpContext context, ValidatedToken token)
    {
        var call = new LiveCall(this, context, token);
        running[call] = true;
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
        if (call.End()) _ = AbortLater(call);
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
    private int ended;

    public HttpContext Context { get; } = context;
    public ValidatedToken Token { get; } = token;

    /// <summary>Cancelled when the caller goes away, and when its authority does.</summary>
    public CancellationToken Stop => stop.Token;

    /// <summary>Its authority went away while it ran.</summary>
    public bool Ended => Volatile.Read(ref ended) == 1;

    internal bool End()
    {
        if (Interlocked.Exchange(ref ended, 1) == 1) return false;
        // Not on the feed's thread: what is registered with the token is the handler's code.
        _ = stop.CancelAsync();
        return true;
    }

    public void Dispose()
    {
        calls.Leave(this);
        if (!Ended) stop.Dispose();
    }
}
