namespace McpAuthServer.Storage;

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
