using System.Collections.Concurrent;
using System.Data.Common;

namespace McpAuthServer.Storage.Sqlite;

/// <summary>
/// Reads on a few connections of their own, each with its prepared statements; in WAL mode they neither wait for the writer nor hold it up.
/// A read runs on the caller's thread: it is a few microseconds from the page cache.
/// </summary>
internal sealed class SqliteReadStore(string path) : IReadStore, IDisposable
{
    private readonly SemaphoreSlim room = new(Connections);
    private readonly ConcurrentBag<SqliteSession> idle = [];

    private static int Connections => Math.Max(4, Environment.ProcessorCount * 2);

    public Task<TRow?> First<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) =>
        Read(session => session.First(statement, read), cancel);

    public Task<List<TRow>> All<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) =>
        Read(session => session.All(statement, read), cancel);

    public void Dispose()
    {
        while (idle.TryTake(out var session)) session.Dispose();
        room.Dispose();
    }

    private async Task<T> Read<T>(Func<SqliteSession, T> query, CancellationToken cancel)
    {
        await room.WaitAsync(cancel);
        SqliteSession? session = null;
        try
        {
            if (!idle.TryTake(out session)) session = SqliteSession.Open(path, queryOnly: true, busy: TimeSpan.FromSeconds(5));
            var result = query(session);
            idle.Add(session);
            session = null;
            return result;
        }
        finally
        {
            // After an error the connection is not used again.
            session?.Dispose();
            room.Release();
        }
    }
}
