using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace McpAuthServer.Storage;

/// <summary>The units that wait for a writer: bounded, so that a slow disk is told to callers as 503 and not as memory.</summary>
internal sealed class CommitQueue(int length) : IDisposable
{
    private readonly BlockingCollection<PendingUnit> units = new(new ConcurrentQueue<PendingUnit>(), length);

    /// <exception cref="CommitLogBusyException">It is full, or the process is stopping; the unit was not queued.</exception>
    public Task<T> Add<T>(Unit<T> unit)
    {
        var pending = new PendingUnit<T>(unit);
        try
        {
            if (units.TryAdd(pending)) return pending.Task;
        }
        catch (InvalidOperationException)
        {
            // Closed: what is queued still runs, nothing new does.
        }
        return Task.FromException<T>(new CommitLogBusyException());
    }

    /// <summary>Blocks until there is a unit; false once closed and drained.</summary>
    public bool Take([NotNullWhen(true)] out PendingUnit? unit) => units.TryTake(out unit, Timeout.Infinite);

    /// <summary>A unit that is already there, without waiting.</summary>
    public bool TakeReady([NotNullWhen(true)] out PendingUnit? unit) => units.TryTake(out unit);

    public void Close() => units.CompleteAdding();

    public void Dispose() => units.Dispose();
}

/// <summary>A queued unit and the caller that waits for it. Its outcome is kept until the commit is known.</summary>
internal abstract class PendingUnit
{
    public abstract StateLock Lock { get; }

    /// <summary>What the unit threw in its last run.</summary>
    public Exception? Fault { get; private set; }

    public void Run(WriteTx tx)
    {
        Fault = null;
        Apply(tx);
    }

    public void Faulted(Exception fault) => Fault = fault;

    /// <summary>Releases the caller: with the result, or with what the unit threw.</summary>
    public abstract void Settle();

    /// <summary>Releases the caller: the transaction failed.</summary>
    public abstract void Fail(Exception reason);

    protected abstract void Apply(WriteTx tx);
}

internal sealed class PendingUnit<T>(Unit<T> unit) : PendingUnit
{
    // A caller's continuation must not run on the writer's thread.
    private readonly TaskCompletionSource<T> waiter = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T result = default!;

    public override StateLock Lock => unit.Lock;

    public Task<T> Task => waiter.Task;

    public override void Settle()
    {
        if (Fault is null) waiter.TrySetResult(result);
        else waiter.TrySetException(Fault);
    }

    public override void Fail(Exception reason) => waiter.TrySetException(reason);

    protected override void Apply(WriteTx tx) => result = unit.Apply(tx);
}
