using System.Collections.Concurrent;
using McpAuth.Protocol;
using McpGuard.Sdk.Tokens;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Revocation;

/// <summary>The requests that run now: a revocation ends those of its subject too, not only the next ones.</summary>
internal sealed class LiveCalls : IDisposable
{
    /// <summary>For a handler to notice that it is cancelled; one that does not loses its connection.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// How long the server may say nothing before answers without an end of their own are ended. A little longer than calls wait before the guard
    /// asks about each: a stream that is opened anew costs more than a question.
    /// </summary>
    private static readonly TimeSpan Silence = Limits.GuardStale + Limits.RevocationBound, Look = Limits.RevocationBound / 2;

    private readonly ConcurrentDictionary<LiveCall, bool> running = new();
    private readonly DenyTable table;
    private readonly RevocationFeed feed;
    private readonly TimeProvider time;
    private readonly ITimer look;

    public LiveCalls(DenyTable table, RevocationFeed feed, TimeProvider time)
    {
        (this.table, this.feed, this.time) = (table, feed, time);
        table.Denied += EndDenied;
        look = time.CreateTimer(_ => EndUnheard(), null, Look, Look);
    }

    /// <param name="endless">For an answer without an end of its own: it ends when the token does, or when the guard hears no more of revocations.</param>
    public LiveCall Enter(HttpContext context, ValidatedToken token, bool endless = false)
    {
        var call = new LiveCall(this, context, token, endless);
        running[call] = true;
        if (endless) call.EndAt(token.ExpiresAt, time);
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

    /// <summary>The next request is asked about, and nobody can be asked about a stream that is open: it is opened again, as such a request.</summary>
    private void EndUnheard()
    {
        if (!table.Overflowed && feed.Age <= Silence) return;
        foreach ((LiveCall call, _) in running)
        {
            if (call.Endless) Lapse(call);
        }
    }

    private void End(LiveCall call)
    {
        if (call.End(LiveCallState.Revoked)) _ = AbortLater(call);
    }

    internal void Lapse(LiveCall call)
    {
        if (call.End(LiveCallState.Lapsed)) _ = AbortLater(call);
    }

    private async Task AbortLater(LiveCall call)
    {
        await Task.Delay(Grace, time);
        call.Abort();
    }

    public void Dispose()
    {
        table.Denied -= EndDenied;
        look.Dispose();
    }
}

/// <summary>One running request; disposed when it is answered.</summary>
internal sealed class LiveCall(LiveCalls calls, HttpContext context, ValidatedToken token, bool endless) : IDisposable
{
    private readonly CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
    private readonly Lock leaving = new();
    private ITimer? expiry;
    private int state;
    private bool left;

    public ValidatedToken Token { get; } = token;
    public bool Endless { get; } = endless;

    /// <summary>Cancelled when the caller goes away, and when its authority does.</summary>
    public CancellationToken Stop => stop.Token;

    /// <summary>Its authority was taken away while it ran.</summary>
    public bool Ended => State == LiveCallState.Revoked;

    /// <summary>It ran until its token ended, or for as long as the guard could know that nothing had been revoked.</summary>
    public bool Lapsed => State == LiveCallState.Lapsed;

    /// <summary>Its answer is larger than it may be: what runs stops, and the connection stays for the answer that says so.</summary>
    public void Cut() => End(LiveCallState.Cut);

    private LiveCallState State => (LiveCallState)Volatile.Read(ref state);

    internal void EndAt(DateTimeOffset when, TimeProvider time)
    {
        TimeSpan left = when - time.GetUtcNow();
        expiry = time.CreateTimer(_ => calls.Lapse(this), null, left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    /// <summary>False when it had ended before, or was answered.</summary>
    internal bool End(LiveCallState how)
    {
        if (!Become(how)) return false;
        // Not on the caller's thread: what is registered with the token is the handler's code.
        _ = stop.CancelAsync();
        return true;
    }

    /// <summary>Ends its connection, unless it has left: with its context the server may answer another by then.</summary>
    internal void Abort()
    {
        lock (leaving)
        {
            if (!left) context.Abort();
        }
    }

    public void Dispose()
    {
        calls.Leave(this);
        lock (leaving) left = true;
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
    Lapsed,
    Cut,
}
