using McpAuth.Client;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Calls;

/// <summary>
/// Spends calls of tools with <c>max_calls</c>. The server counts them; it leases some in advance, which run without asking, and what is not used soon goes
/// back. What this process loses, by dying or because the server cannot be told, is spent: never is a call run that nobody counted.
/// </summary>
internal sealed partial class CallBudgets(GuardConnection connection, TimeProvider time, ILogger<CallBudgets> logger)
{
    /// <summary>As many as the guard would take at a time; the server leases less when little is left.</summary>
    private const int Block = 16;

    /// <summary>Leases that one request returns.</summary>
    private const int Batch = 100;

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1), AnswerLimit = TimeSpan.FromSeconds(2);

    /// <summary>A lease that nobody took from for so long goes back: another guard may need it.</summary>
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(2);

    /// <summary>A lease is over that much before the server says so: what it counts as spent by then may still be on its way back.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(3);

    private readonly Lock gate = new();
    private readonly Dictionary<(string Grant, string Tool), Held> held = [];

    /// <summary>One call: granted 1, or 0 with the reason.</summary>
    public async ValueTask<BudgetResponse> Spend(ValidatedToken token, string tool, CancellationToken cancellationToken)
    {
        // A grant has one authority, and so one limit; its tokens share a lease, another grant's do not.
        var key = (token.Grant ?? token.Jti, tool);
        Held mine;
        lock (gate)
        {
            if (!held.TryGetValue(key, out mine!)) held[key] = mine = new Held();
            if (Take(mine)) return new BudgetResponse(1);
            mine.Users++;
        }
        try
        {
            // Who comes meanwhile waits for the same lease.
            await mine.Asking.WaitAsync(cancellationToken);
            try
            {
                lock (gate)
                    if (Take(mine)) return new BudgetResponse(1);
                GuardChannel channel = await connection.Channel(cancellationToken);
                long sent = time.GetTimestamp();
                BudgetResponse answer = await channel.Spend(new BudgetRequest(token.Jti, tool, UpTo: Block), cancellationToken).WaitAsync(AnswerLimit, time, cancellationToken);
                if (answer is { Granted: > 1, Lease: { } lease, ExpiresIn: { } seconds })
                    lock (gate)
                        // Counted from when it was asked for: the server's lease began later.
                        (mine.Lease, mine.Left, mine.Got, mine.For, mine.Used) = (lease, answer.Granted - 1, sent, TimeSpan.FromSeconds(seconds) - Margin, sent);
                return answer with { Granted = Math.Min(answer.Granted, 1) };
            }
            finally
            {
                mine.Asking.Release();
            }
        }
        finally
        {
            lock (gate) mine.Users--;
        }
    }

    /// <summary>Returns what lies idle, until the host stops; then everything.</summary>
    public async Task Run(CancellationToken cancellationToken)
    {
        try
        {
            using var ticks = new PeriodicTimer(Tick, time);
            while (await ticks.WaitForNextTickAsync(cancellationToken)) await Return(all: false, cancellationToken);
        }
        finally
        {
            await Return(all: true, CancellationToken.None);
        }
    }

    private async Task Return(bool all, CancellationToken cancellationToken)
    {
        List<ReturnedLease> back = [];
        lock (gate)
            foreach ((var key, Held entry) in held.ToList())
            {
                // Taken out before it is sent: a call that comes now finds nothing of it.
                if (entry.Lease is { } lease && (all || entry.Left == 0 || Over(entry) || time.GetElapsedTime(entry.Used) >= Idle))
                {
                    if (entry.Left > 0 && !Over(entry)) back.Add(new ReturnedLease(lease, entry.Left));
                    (entry.Lease, entry.Left) = (null, 0);
                }
                if (entry is { Lease: null, Users: 0 })
                {
                    held.Remove(key);
                    entry.Asking.Dispose();
                }
            }
        foreach (ReturnedLease[] leases in back.Chunk(Batch))
            try
            {
                GuardChannel channel = await connection.Channel(cancellationToken);
                await channel.Return(new BudgetReturnsRequest(leases), cancellationToken).WaitAsync(AnswerLimit, time, cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Log.NotReturned(logger, leases.Sum(l => l.Unused), e.Message);
            }
    }

    private bool Take(Held entry)
    {
        if (entry.Left == 0 || Over(entry)) return false;
        (entry.Left, entry.Used) = (entry.Left - 1, time.GetTimestamp());
        return true;
    }

    private bool Over(Held entry) => time.GetElapsedTime(entry.Got) >= entry.For;

    private sealed class Held
    {
        public SemaphoreSlim Asking { get; } = new(1);

        /// <summary>Callers between finding it and leaving it.</summary>
        public int Users { get; set; }
        public string? Lease { get; set; }
        public int Left { get; set; }
        public long Got { get; set; }
        public TimeSpan For { get; set; }
        public long Used { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "{Calls} unused calls of budgets could not be returned, and count as spent: {Reason}")]
        public static partial void NotReturned(ILogger logger, int calls, string reason);
    }
}
