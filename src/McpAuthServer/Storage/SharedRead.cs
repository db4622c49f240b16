using System.Runtime.ExceptionServices;

namespace McpAuthServer.Storage;

/// <summary>A read that many need at once: one at a time is under way, and whoever comes meanwhile waits for the next, all for the same one.</summary>
internal sealed class SharedRead(Func<Task> read) : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);
    private long begun, ended; // reads are numbered: the last that began, the last that ended
    private ExceptionDispatchInfo? failure; // of the last that ended

    /// <summary>When it completes, a read that began after this call has ended; it throws what that one threw. Nobody's going away ends a read.</summary>
    public async Task BeginAsync(CancellationToken cancel)
    {
        var before = Volatile.Read(ref begun);
        await turn.WaitAsync(cancel);
        try
        {
            // Another's that began after this call did has seen, or failed at, all that this one would.
            if (ended > before)
            {
                failure?.Throw();
                return;
            }
            var number = Interlocked.Increment(ref begun);
            try
            {
                await read();
                failure = null;
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                throw;
            }
            finally
            {
                ended = number;
            }
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();
}
