using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace McpAuthServer.Storage.Sqlite;

/// <summary>
/// One thread, one connection, one transaction for all units that are waiting: they share the flush. A caller is released only after
/// its transaction is on disk.
/// </summary>
internal sealed partial class SqliteCommitLog : ICommitLog, IEventSequence
{
    private const int MostUnits = 256;

    /// <summary>
    /// How long another process's lock is waited for: a moment of somebody's work on the file. Once that was in vain, the next wait is short, so
    /// that those in the queue are not kept one after the other for a lock that stays.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5), Impatience = TimeSpan.FromMilliseconds(200);

    private static readonly Sql Begin = new("begin immediate"), End = new("commit"), Undo = new("rollback"),
        Mark = new("savepoint unit"), BackToMark = new("rollback to unit"), Unmark = new("release unit");

    private readonly string path;
    private readonly CommitQueue queue;
    private readonly ChangeSignal changes;
    private readonly ILogger<SqliteCommitLog> logger;
    private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SqliteSession? session;
    private SqliteTx? tx;
    private volatile bool ready = true;
    private bool patient = true;

    public SqliteCommitLog(string path, int queueLength, ChangeSignal changes, ILogger<SqliteCommitLog> logger)
    {
        (this.path, this.changes, this.logger) = (path, changes, logger);
        queue = new CommitQueue(queueLength);
        new Thread(Work) { IsBackground = true, Name = "commit log" }.Start();
    }

    public bool Ready => ready;

    public Task<T> Commit<T>(Unit<T> unit) => queue.Add(unit);

    /// <summary>An event has its place, which is its <c>seq</c>, when it is committed.</summary>
    public Task SequenceNow(CancellationToken cancel) => Task.CompletedTask;

    /// <summary>Takes no more units; completes when those queued have run.</summary>
    public async ValueTask DisposeAsync()
    {
        queue.Close();
        await stopped.Task;
    }

    private void Work()
    {
        var batch = new List<PendingUnit>(MostUnits);
        while (queue.Take(batch, MostUnits))
        {
            try
            {
                Write(batch);
            }
            catch (Exception e)
            {
                // Of what nobody foresaw, as a log that cannot be written: all commits wait for this thread, so nothing may end it.
                ready = false;
                Close();
                foreach (var unit in batch) unit.Fail(new CommitLogFailedException(e));
            }
            batch.Clear();
        }
        Close();
        stopped.SetResult();
    }

    private void Write(List<PendingUnit> batch)
    {
        try
        {
            Open();
            session!.Run(Begin.With());
            if (!RunTogether(batch)) RunApart(batch);
            session.Run(End.With());
        }
        catch (Exception e)
        {
            // Nothing of a failed transaction is kept, and nothing of the connection: what it believes of the file may be wrong.
            ready = false;
            Log.Failed(logger, e, batch.Count);
            Close();
            foreach (var unit in batch) unit.Fail(new CommitLogFailedException(e));
            return;
        }
        ready = true;
        // The signal first: a caller that was answered may count on others having been woken.
        if (batch.Exists(u => u.Lock == StateLock.Exclusive && u.Fault is null)) changes.Raise();
        foreach (var unit in batch) unit.Settle();
    }

    /// <summary>The usual way, without a savepoint for each. False when one threw: then nothing has happened yet.</summary>
    private bool RunTogether(List<PendingUnit> batch)
    {
        foreach (var unit in batch)
        {
            try
            {
                unit.Run(tx!);
            }
            catch (Exception e) when (OfTheUnit(e))
            {
                session!.Run(Undo.With());
                session.Run(Begin.With());
                return false;
            }
        }
        return true;
    }

    /// <summary>A unit that throws is taken back alone; the bound on the work is twice, however many throw.</summary>
    private void RunApart(List<PendingUnit> batch)
    {
        foreach (var unit in batch)
        {
            session!.Run(Mark.With());
            try
            {
                unit.Run(tx!);
            }
            catch (Exception e) when (OfTheUnit(e))
            {
                unit.Faulted(e);
                session.Run(BackToMark.With());
            }
            session.Run(Unmark.With());
        }
    }

    /// <summary>Whether the unit is to blame and the transaction still stands; otherwise the store is, and all of the batch fails.</summary>
    private bool OfTheUnit(Exception e) =>
        session!.InTransaction && (e as SqliteException)?.SqliteErrorCode is not (raw.SQLITE_FULL or raw.SQLITE_IOERR or raw.SQLITE_CORRUPT
            or raw.SQLITE_NOTADB or raw.SQLITE_READONLY or raw.SQLITE_NOMEM or raw.SQLITE_CANTOPEN or raw.SQLITE_BUSY or raw.SQLITE_PROTOCOL);

    private void Open()
    {
        if (session is null)
        {
            session = SqliteSession.Open(path, queryOnly: false, ready ? Patience : Impatience);
            tx = new SqliteTx(session);
        }
        else if (!patient)
        {
            session.Wait(Patience);
        }
        patient = ready;
    }

    private void Close()
    {
        session?.Dispose();
        (session, tx) = (null, null);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "The commit log failed; {Units} units were refused.")]
        public static partial void Failed(ILogger logger, Exception e, int units);
    }
}
