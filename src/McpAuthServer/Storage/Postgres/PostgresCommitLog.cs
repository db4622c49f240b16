using System.Security.Cryptography;
using Npgsql;

namespace McpAuthServer.Storage.Postgres;

/// <summary>
/// A transaction for each unit, on a few connections at once: the server shares the flush among those that commit together. What units hold
/// against each other is one advisory lock (docs/decisions/0001-state-lock.md).
/// </summary>
internal sealed partial class PostgresCommitLog : ICommitLog
{
    private const int MostAttempts = 10;

    private readonly PostgresDatabase database;
    private readonly PostgresSequencer sequencer;
    private readonly ChangeSignal changes;
    private readonly ILogger<PostgresCommitLog> logger;
    private readonly CommitQueue queue;
    private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int working;
    private volatile bool ready = true;

    public PostgresCommitLog(
        PostgresDatabase database, PostgresSequencer sequencer, StoreOptions options, ChangeSignal changes, ILogger<PostgresCommitLog> logger)
    {
        (this.database, this.sequencer, this.changes, this.logger) = (database, sequencer, changes, logger);
        queue = new CommitQueue(options.QueueLength);
        working = options.Writers;
        for (var i = 0; i < options.Writers; i++) new Thread(Work) { IsBackground = true, Name = "commit log" }.Start();
    }

    public bool Ready => ready;

    public Task<T> Commit<T>(Unit<T> unit) => queue.Add(unit);

    /// <summary>Takes no more units; completes when those queued have run.</summary>
    public async ValueTask DisposeAsync()
    {
        queue.Close();
        await stopped.Task;
    }

    private void Work()
    {
        PostgresSession? session = null;
        var taken = new List<PendingUnit>(1);
        while (queue.Take(taken, 1))
        {
            try
            {
                Write(taken[0], ref session);
            }
            catch (Exception e)
            {
                // Of what nobody foresaw, as a log that cannot be written: all commits wait for this thread, so nothing may end it.
                ready = false;
                Drop(ref session);
                taken[0].Fail(new CommitLogFailedException(e));
            }
            taken.Clear();
        }
        Drop(ref session);
        if (Interlocked.Decrement(ref working) == 0) stopped.SetResult();
    }

    private void Write(PendingUnit unit, ref PostgresSession? session)
    {
        for (var attempt = 1; ; attempt++)
        {
            var committing = false;
            try
            {
                session ??= new PostgresSession(database);
                session.Begin(unit.Lock);
                unit.Run(session);
                committing = true;
                session.Commit();
                break;
            }
            catch (Exception e)
            {
                var again = !committing && IsConflict(e) && attempt < MostAttempts;
                if (again || (!committing && !PostgresDatabase.IsStoreFailure(e)))
                {
                    TakeBack(ref session);
                    if (again)
                    {
                        // The victim of a deadlock waits a little, each its own time, or they meet again.
                        Thread.Sleep(RandomNumberGenerator.GetInt32(1, 4 * attempt));
                        continue;
                    }
                    unit.Faulted(IsConflict(e) || IsLockTimeout(e) ? new CommitLogBusyException() : e);
                    unit.Settle();
                    return;
                }
                // Once a commit was sent, only its answer tells whether it happened: it is never run again.
                ready = false;
                Log.Failed(logger, e);
                Drop(ref session);
                unit.Fail(new CommitLogFailedException(e));
                return;
            }
        }
        ready = true;
        if (unit.Lock == StateLock.Exclusive) changes.Raise();
        if (session.Appended) sequencer.Wake();
        unit.Settle();
    }

    private static bool IsConflict(Exception e) =>
        e is PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected };

    private static bool IsLockTimeout(Exception e) => e is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable };

    /// <summary>Undoes the transaction; a connection on which even that fails is not used again.</summary>
    private static void TakeBack(ref PostgresSession? session)
    {
        try
        {
            session?.Rollback();
        }
        catch (Exception)
        {
            Drop(ref session);
        }
    }

    private static void Drop(ref PostgresSession? session)
    {
        try
        {
            session?.Dispose();
        }
        catch (Exception)
        {
            // It is being thrown away, mostly because it is broken; what it says to that changes nothing.
        }
        session = null;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "The commit log failed; a unit was refused.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
