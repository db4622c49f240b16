namespace McpAuthServer.Storage;

/// <summary>
/// Wakes whoever waits in this process for a revocation or a changed registry: raised after every commit that held
/// <see cref="StateLock.Exclusive"/>. Other processes on the same database are noticed by polling.
/// </summary>
/// <remarks>Take <see cref="Next"/> before reading the database: a commit between the read and the wait then ends the wait.</remarks>
internal sealed class ChangeSignal
{
    private TaskCompletionSource next = Fresh();

    /// <summary>Completes at the next such commit.</summary>
    public Task Next => Volatile.Read(ref next).Task;

    public void Raise() => Interlocked.Exchange(ref next, Fresh()).SetResult();

    private static TaskCompletionSource Fresh() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
