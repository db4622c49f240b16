using System.Data.Common;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace McpAuthServer.Storage.Sqlite;

/// <summary>One connection with its prepared statements. Used by one thread at a time.</summary>
internal sealed class SqliteSession : IDisposable
{
    /// <summary>Statements are static fields, so this many is never met; it keeps one made per call from growing without bound.</summary>
    private const int MostStatements = 1024;

    private readonly sqlite3 db;
    private readonly Dictionary<Sql, SqliteStatement> prepared = [];

    static SqliteSession() => Batteries_V2.Init();

    private SqliteSession(sqlite3 db) => this.db = db;

    /// <summary>False once SQLite has rolled the transaction back by itself (disk full, I/O error).</summary>
    public bool InTransaction => raw.sqlite3_get_autocommit(db) == 0;

    /// <param name="path">The data file; created, readable by its owner alone, when absent.</param>
    /// <param name="queryOnly">For reads: a write is refused.</param>
    /// <param name="busy">How long a lock held by another process is waited for.</param>
    /// <exception cref="SqliteException">It could not be opened.</exception>
    public static SqliteSession Open(string path, bool queryOnly, TimeSpan busy)
    {
        CreatePrivate(path);
        // One thread at a time uses it, so the library need not lock on every call.
        var code = raw.sqlite3_open_v2(path, out var db, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_NOMUTEX, null);
        var session = new SqliteSession(db);
        try
        {
            SqliteException.ThrowExceptionForRC(code, db);
            session.Wait(busy);
            // FULL: in WAL mode nothing less syncs at every commit. fullfsync matters on macOS only, where fsync alone stops at the drive's cache.
            session.Execute("pragma synchronous=full; pragma fullfsync=1; pragma foreign_keys=on; pragma trusted_schema=off;"
                + "pragma temp_store=memory; pragma cache_size=-32768; pragma wal_autocheckpoint=4000; pragma journal_size_limit=67108864;"
                + (queryOnly ? "pragma query_only=on" : ""));
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>How long a lock held by another process is waited for, from now on.</summary>
    public void Wait(TimeSpan busy) => raw.sqlite3_busy_timeout(db, (int)busy.TotalMilliseconds);

    /// <summary>Runs a text that has no parameters, any number of statements.</summary>
    public void Execute(string text)
    {
        var code = raw.sqlite3_exec(db, text);
        SqliteException.ThrowExceptionForRC(code, db);
    }

    public int Run(Statement statement)
    {
        var run = Bound(statement);
        try
        {
            while (run.Step())
            {
                // A returned row that nobody asked for.
            }
            return run.Changes;
        }
        finally
        {
            run.Reset();
        }
    }

    public TRow? First<TRow>(Statement statement, Func<DbDataReader, TRow> read)
    {
        var run = Bound(statement);
        try
        {
            return run.Step() ? read(run.Reader) : default;
        }
        finally
        {
            run.Reset();
        }
    }

    public List<TRow> All<TRow>(Statement statement, Func<DbDataReader, TRow> read)
    {
        var run = Bound(statement);
        try
        {
            var rows = new List<TRow>();
            while (run.Step()) rows.Add(read(run.Reader));
            return rows;
        }
        finally
        {
            run.Reset();
        }
    }

    public SqliteStatement Prepared(Sql sql)
    {
        if (prepared.TryGetValue(sql, out var found)) return found;
        if (prepared.Count == MostStatements) Forget();
        return prepared[sql] = new SqliteStatement(db, sql.Text);
    }

    public void Dispose()
    {
        Forget();
        db.Dispose();
    }

    private SqliteStatement Bound(Statement statement)
    {
        var run = Prepared(statement.Sql);
        run.Bind(statement.Values);
        return run;
    }

    private void Forget()
    {
        foreach (var statement in prepared.Values) statement.Dispose();
        prepared.Clear();
    }

    /// <summary>SQLite gives its journal files the permissions of the data file.</summary>
    private static void CreatePrivate(string path)
    {
        if (File.Exists(path)) return;
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
        new FileStream(path, options).Dispose();
    }
}
