using System.Data.Common;
using Npgsql;

namespace McpAuthServer.Storage.Postgres;

/// <summary>Reads on pooled connections, each statement by itself; the driver prepares those that are used again.</summary>
internal sealed class PostgresReadStore(PostgresDatabase database) : IReadStore
{
    public Task<TRow?> First<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) =>
        Read(
            statement,
            async reader => await reader.ReadAsync(cancel) ? read(reader) : default,
            cancel);

    public Task<List<TRow>> All<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) =>
        Read(
            statement,
            async reader =>
            {
                var rows = new List<TRow>();
                while (await reader.ReadAsync(cancel)) rows.Add(read(reader));
                return rows;
            },
            cancel);

    /// <summary>Once more on a new connection when the pooled one had died, and the others like it: a read changes nothing.</summary>
    private async Task<T> Read<T>(Statement statement, Func<NpgsqlDataReader, Task<T>> rows, CancellationToken cancel)
    {
        try
        {
            return await Attempt(statement, rows, cancel);
        }
        catch (Exception e) when (PostgresDatabase.IsConnectionLoss(e) && !cancel.IsCancellationRequested)
        {
            database.ForgetConnections();
            return await Attempt(statement, rows, cancel);
        }
    }

    private async Task<T> Attempt<T>(Statement statement, Func<NpgsqlDataReader, Task<T>> rows, CancellationToken cancel)
    {
        await using var connection = await database.OpenAsync(cancel);
        await using var command = database.Command(connection, statement.Sql);
        PostgresDatabase.Bind(command, statement.Values);
        await using var reader = await command.ExecuteReaderAsync(cancel);
        return await rows(reader);
    }
}
