using System.Data.Common;
using McpAuth.Protocol.Audit;

namespace McpAuthServer.Storage;

/// <summary>
/// One durable act: state and its audit events together. It starts with its preconditions as conditional statements, and appends
/// last; when a precondition changes no row it appends the refusal and nothing else.
/// </summary>
internal abstract class Unit<T>
{
    /// <summary>Synchronous, SQL only; it may be run again (after a retry), so it must keep no state between runs.</summary>
    public abstract T Apply(WriteTx tx);

    /// <summary>What the unit holds against others while it runs (PostgreSQL; the one SQLite writer holds everything).</summary>
    public virtual StateLock Lock => StateLock.Shared;
}

/// <summary>
/// How a unit stands to revocation. Issuance reads the states it depends on under <see cref="Shared"/>; whatever ends, suspends or changes
/// such a state takes <see cref="Exclusive"/>, so a token is recorded either before the revocation (and is in its reach) or not at all.
/// </summary>
internal enum StateLock { None, Shared, Exclusive }

/// <summary>A transaction as a unit sees it.</summary>
internal abstract class WriteTx
{
    /// <returns>Rows changed.</returns>
    public abstract int Run(Statement statement);

    /// <summary>The first row, or <c>default</c> when there is none.</summary>
    public abstract TRow? First<TRow>(Statement statement, Func<DbDataReader, TRow> read);

    public abstract List<TRow> All<TRow>(Statement statement, Func<DbDataReader, TRow> read);

    /// <summary>Adds the event to the log, in this transaction; <see cref="AuditEvent.Seq"/> is ignored, the store assigns it.</summary>
    public abstract void Append(AuditEvent e);

    /// <summary>The same for an event whose id somebody else made; false, and nothing is added, when there is one of that id.</summary>
    public abstract bool AppendNew(AuditEvent e);
}

/// <summary>The one way anything is written.</summary>
internal interface ICommitLog : IAsyncDisposable
{
    /// <summary>Completes when the unit is on disk. Not cancellable: once queued, a unit runs.</summary>
    /// <exception cref="CommitLogBusyException">The queue is full; nothing was done (503).</exception>
    /// <exception cref="CommitLogFailedException">The commit failed, or may not have reached the disk; readiness is false.</exception>
    /// <remarks>Whatever the unit itself throws reaches its caller alone; nothing of that unit stays.</remarks>
    Task<T> Commit<T>(Unit<T> unit);

    /// <summary>False after a failed commit, until one succeeds.</summary>
    bool Ready { get; }
}

/// <summary>The commit queue is full; the caller answers 503 with Retry-After.</summary>
public sealed class CommitLogBusyException() : Exception("The commit queue is full.");

/// <summary>A text holds U+0000. PostgreSQL stores it in none, so it is refused before either database sees it: what asks for it cannot be right, and would fail again.</summary>
public sealed class UnstorableTextException() : Exception("A text holds U+0000.");

/// <summary>The transaction could not be made durable.</summary>
public sealed class CommitLogFailedException(Exception inner) : Exception("The commit did not reach the disk.", inner);

/// <summary>Reads outside of units, on pooled connections; sees what is committed.</summary>
internal interface IReadStore
{
    Task<TRow?> First<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel);

    Task<List<TRow>> All<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel);
}

/// <summary>Gives every committed audit event its <c>seq</c>: dense, from 1, a cause before its effect, the same for every reader.</summary>
internal interface IEventSequence
{
    /// <summary>When it completes, every event committed before the call has its <c>seq</c>.</summary>
    Task SequenceNow(CancellationToken cancel);
}
