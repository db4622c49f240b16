namespace McpAuthServer.People;

/// <summary>
/// Attempts on one sign-in name take turns on this node, and only so many wait: verifying a password costs a tenth of a second of a
/// processor, which nobody may have for nothing without end. Names share a fixed number of turns.
/// </summary>
internal sealed class SignInGate : IDisposable
{
    /// <summary>How many may wait or work at once; the next is sent away.</summary>
    public const int Room = 64;

    private readonly SemaphoreSlim[] turns = [.. Enumerable.Range(0, 256).Select(_ => new SemaphoreSlim(1))];
    private readonly SemaphoreSlim work = new(Math.Max(2, Environment.ProcessorCount));
    private int inside;

    /// <summary>One's turn, given back by disposing it; null when the room is full.</summary>
    public async Task<IDisposable?> EnterAsync(string name, CancellationToken cancel)
    {
        if (Interlocked.Increment(ref inside) > Room)
        {
            Interlocked.Decrement(ref inside);
            return null;
        }
        var turn = turns[(uint)name.GetHashCode(StringComparison.Ordinal) % turns.Length];
        try
        {
            await turn.WaitAsync(cancel);
            try
            {
                await work.WaitAsync(cancel);
            }
            catch
            {
                turn.Release();
                throw;
            }
        }
        catch
        {
            Interlocked.Decrement(ref inside);
            throw;
        }
        return new Turn(this, turn);
    }

    public void Dispose()
    {
        foreach (var turn in turns)
            turn.Dispose();
        work.Dispose();
    }

    private sealed class Turn(SignInGate gate, SemaphoreSlim turn) : IDisposable
    {
        public void Dispose()
        {
            gate.work.Release();
            turn.Release();
            Interlocked.Decrement(ref gate.inside);
        }
    }
}
