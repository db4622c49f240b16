using System.Collections.Concurrent;
using System.Data;
using Npgsql;
using NpgsqlTypes;

namespace McpAuthServer.Storage.Postgres;

/// <summary>The connections of this node, and what the server said about the statements' parameters.</summary>
internal sealed class PostgresDatabase : IAsyncDisposable
{
    /// <summary>Keys of the advisory locks; any numbers, as long as nothing else in the database takes them.</summary>
    public const long StateKey = 0x4d63_7041_7574_6801, SequenceKey = 0x4d63_7041_7574_6802, MigrationKey = 0x4d63_7041_7574_6803;

    private const int Readers = 24;

    /// <summary>
    /// A commit is answered only when it is on disk, whatever the database's default; a stronger setting (a standby that must have it too)
    /// stays. A node that hangs inside a transaction loses it, and its locks, after a while.
    /// </summary>
    private const string Settings =
        "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off';"
        + "set idle_in_transaction_session_timeout = '15s'; set lock_timeout = '10s'; set statement_timeout = '30s'";

    private readonly NpgsqlDataSource connections;
    private readonly TimeSpan openWithin;
    private readonly ConcurrentDictionary<Sql, NpgsqlDbType[]> parameters = new();

    public PostgresDatabase(string connectionString, int writers)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString)
        {
            // Statements are few and static. Nothing is set on a session after it was opened, so there is nothing to reset.
            MaxAutoPrepare = 256,
            AutoPrepareMinUsages = 2,
            NoResetOnClose = true,
            // Values of keys would stand in exceptions, and so in logs.
            IncludeErrorDetail = false,
        };
        if (settings.KeepAlive == 0) settings.KeepAlive = 30;
        settings.MaxPoolSize = Math.Min(settings.MaxPoolSize, writers + Readers);
        openWithin = TimeSpan.FromSeconds(settings.Timeout > 0 ? settings.Timeout : 15) + TimeSpan.FromSeconds(1);
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        builder.UsePhysicalConnectionInitializer(
            connection =>
            {
                using var command = new NpgsqlCommand(Settings, connection);
                command.ExecuteNonQuery();
            },
            async connection =>
            {
                await using var command = new NpgsqlCommand(Settings, connection);
                await command.ExecuteNonQueryAsync();
            });
        connections = builder.Build();
    }

    /// <summary>
    /// For a thread of one's own. The driver's synchronous way has been seen to wait without end where it tries a second time by itself and nobody answers, so this one
    /// waits for the other way, and no longer than it may take.
    /// </summary>
    /// <exception cref="TimeoutException">The server did not answer in time.</exception>
    public NpgsqlConnection Open()
    {
        using var limit = new CancellationTokenSource(openWithin);
        var opening = connections.OpenConnectionAsync(limit.Token).AsTask();
        try
        {
            return opening.WaitAsync(limit.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            // One that comes after all is given back.
            _ = opening.ContinueWith(static late => late.Result.Dispose(), default, TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            throw new TimeoutException("The database did not answer in time.");
        }
    }

    public ValueTask<NpgsqlConnection> OpenAsync(CancellationToken cancel) => connections.OpenConnectionAsync(cancel);

    /// <summary>
    /// A command with the parameter types that the server infers, asked for once per statement: a null has no type of its own, and a
    /// prepared statement's types must not depend on the values it was first run with.
    /// </summary>
    public NpgsqlCommand Command(NpgsqlConnection connection, Sql sql)
    {
        var command = new NpgsqlCommand(sql.Positional, connection);
        foreach (var type in parameters.GetOrAdd(sql, Infer, connection)) command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = type });
        return command;
    }

    /// <summary>Sets the values: an integer for a boolean too, as all its columns are.</summary>
    public static void Bind(NpgsqlCommand command, object?[] values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i] switch
            {
                null => DBNull.Value,
                int number => (long)number,
                bool flag => flag ? 1L : 0L,
                string or long or byte[] => values[i],
                var other => throw new ArgumentException($"A {other.GetType().Name} cannot be bound."),
            };
        }
    }

    /// <summary>Whether the server or the way to it failed, and not the statement.</summary>
    public static bool IsStoreFailure(Exception e) => e switch
    {
        // Connection, resources, operator intervention, system and internal errors; a primary that became a standby.
        PostgresException p => p.SqlState[..2] is "08" or "53" or "57" or "58" or "XX" or "F0" || p.SqlState == PostgresErrorCodes.ReadOnlySqlTransaction,
        NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException => true,
        _ => IsBrokenUnderTheDriver(e),
    };

    /// <summary>Whether the connection ended, as all do when the server restarts.</summary>
    public static bool IsConnectionLoss(Exception e) =>
        IsBrokenUnderTheDriver(e) || e is NpgsqlException and not PostgresException
        || (e as PostgresException)?.SqlState is PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow;

    /// <summary>At some moments the driver says so by its own objects having been disposed of; what a unit disposes of is the unit's affair.</summary>
    private static bool IsBrokenUnderTheDriver(Exception e) =>
        e is ObjectDisposedException disposed
        && (disposed.Source == "Npgsql" || disposed.ObjectName.StartsWith("Npgsql", StringComparison.Ordinal) || disposed.ObjectName.StartsWith("System.Net.", StringComparison.Ordinal));

    /// <summary>Idle connections are closed; those in use are not returned to the pool.</summary>
    public void ForgetConnections() => connections.Clear();

    public ValueTask DisposeAsync() => connections.DisposeAsync();

    private static NpgsqlDbType[] Infer(Sql sql, NpgsqlConnection connection)
    {
        if (sql.Parameters == 0) return [];
        using var command = new NpgsqlCommand(sql.Text, connection) { CommandType = CommandType.Text };
        NpgsqlCommandBuilder.DeriveParameters(command);
        return [.. command.Parameters.Select(p => p.NpgsqlDbType)];
    }
}
