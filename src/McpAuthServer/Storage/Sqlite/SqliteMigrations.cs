using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace McpAuthServer.Storage.Sqlite;

/// <summary>The migration lock is the database's own write lock: it dies with the process.</summary>
internal sealed class SqliteMigrations(string path) : IMigrationTarget
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public async Task<IMigrationSession> Lock(CancellationToken cancel)
    {
        var session = SqliteSession.Open(path, queryOnly: false, Patience);
        try
        {
            await UseWal(session, cancel);
            session.Execute("begin immediate");
            return new Session(session);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>The mode is kept in the file. Changing it does not wait for others as ordinary locks do, so this does.</summary>
    private static async Task UseWal(SqliteSession session, CancellationToken cancel)
    {
        for (var left = Patience; ; left -= TimeSpan.FromMilliseconds(20))
        {
            try
            {
                var mode = session.First(Mode.With(), row => row.GetString(0));
                if (mode == "wal") return;
                throw new NotSupportedException($"The data file's file system allows no write-ahead log (journal mode {mode}).");
            }
            catch (SqliteException e) when (e.SqliteErrorCode is raw.SQLITE_BUSY or raw.SQLITE_LOCKED && left > TimeSpan.Zero)
            {
                await Task.Delay(20, cancel);
            }
        }
    }

    private static readonly Sql Mode = new("pragma journal_mode=wal");

    private sealed class Session(SqliteSession session) : IMigrationSession
    {
        private static readonly Sql Select = new("select number, name, checksum from schema_migrations order by number"),
            Insert = new("insert into schema_migrations (number, name, checksum, applied_at) values (@number, @name, @checksum, @at)");

        public Task Execute(string text, CancellationToken cancel)
        {
            session.Execute(text);
            return Task.CompletedTask;
        }

        public Task<IReadOnlyList<AppliedMigration>> Applied(CancellationToken cancel) =>
            Task.FromResult<IReadOnlyList<AppliedMigration>>(
                session.All(Select.With(), row => new AppliedMigration(row.GetInt32(0), row.GetString(1), row.GetString(2))));

        public Task Record(Migration migration, long now, CancellationToken cancel)
        {
            session.Run(Insert.With(migration.Number, migration.Name, migration.Checksum, now));
            return Task.CompletedTask;
        }

        public Task Commit(CancellationToken cancel)
        {
            session.Execute("commit");
            return Task.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            session.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
