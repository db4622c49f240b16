namespace McpAuthServer.Storage;

/// <summary>The units that wait for a writer: bounded, so that a slow disk is told to callers as 503 and not as memory.</summary>
internal sealed class CommitQueue(int length)
{
    private readonly object gate = new();
    private readonly Queue<PendingUnit> units = new();
    private bool closed;

    /// <exception cref="CommitLogBusyException">It is full, or the process is stopping; the unit was not queued.</exception>
    public Task<T> Add<T>(Unit<T> unit)
    {
        var pending = new PendingUnit<T>(unit);
        lock (gate)
        {
            if (closed || units.Count == length) return Task.FromException<T>(new CommitLogBusyException());
            units.Enqueue(pending);
            Monitor.Pulse(gate);
        }
        return pending.Task;
    }

    /// <summary>Blocks until there are units and takes up to <paramref name="most"/>; false once closed and drained.</summary>
    public bool Take(List<PendingUnit> taken, int most)
    {
        lock (gate)
        {
            while (units.Count == 0)
            {
                if (closed) return false;
                Monitor.Wait(gate);
            }
            while (taken.Count < most && units.TryDequeue(out var unit)) taken.Add(unit);
            return true;
        }
    }

    /// <summary>What is queued still runs, nothing new does.</summary>
    public void Close()
    {
        lock (gate)
        {
            closed = true;
            Monitor.PulseAll(gate);
        }
    }
}
