using System.Globalization;
using Npgsql;

namespace McpAuthServer.Storage.Postgres;

/// <summary>The migration lock belongs to the transaction: it ends with it, or with the connection.</summary>
internal sealed class PostgresMigrations(PostgresDatabase database) : IMigrationTarget
{
    public async Task<IMigrationSession> Lock(CancellationToken cancel)
    {
        var connection = await database.OpenAsync(cancel);
        try
        {
            var session = new Session(connection, await connection.BeginTransactionAsync(cancel));
            // Another node that migrates a large table may take its time.
            await session.Execute("set local lock_timeout = '10min'; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0", cancel);
            await session.Execute(
                string.Create(CultureInfo.InvariantCulture, $"select pg_advisory_xact_lock({PostgresDatabase.MigrationKey})"), cancel);
            return session;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private sealed class Session(NpgsqlConnection connection, NpgsqlTransaction transaction) : IMigrationSession
    {
        public async Task Execute(string text, CancellationToken cancel)
        {
            await using var command = new NpgsqlCommand(text, connection) { CommandTimeout = 0 };
            await command.ExecuteNonQueryAsync(cancel);
        }

        public async Task<IReadOnlyList<AppliedMigration>> Applied(CancellationToken cancel)
        {
            await using var command = new NpgsqlCommand("select number, name, checksum from schema_migrations order by number", connection);
            await using var reader = await command.ExecuteReaderAsync(cancel);
            var rows = new List<AppliedMigration>();
            while (await reader.ReadAsync(cancel)) rows.Add(new(reader.GetInt32(0), reader.GetString(1), reader.GetString(2)));
            return rows;
        }

        public async Task Record(Migration migration, long now, CancellationToken cancel)
        {
            await using var command = new NpgsqlCommand(
                "insert into schema_migrations (number, name, checksum, applied_at) values ($1, $2, $3, $4)", connection)
            {
                Parameters = { new() { Value = (long)migration.Number }, new() { Value = migration.Name }, new() { Value = migration.Checksum }, new() { Value = now } },
            };
            await command.ExecuteNonQueryAsync(cancel);
        }

        public Task Commit(CancellationToken cancel) => transaction.CommitAsync(cancel);

        public async ValueTask DisposeAsync()
        {
            await transaction.DisposeAsync();
            await connection.DisposeAsync();
        }
    }
}
