using System.Data;
using Npgsql;

namespace McpAuthServer.Storage.Postgres;

/// <summary>
/// Gives committed events their <c>seq</c>. Any node runs it, one at a time. Rows without a <c>seq</c> get the next ones in order of
/// <c>place</c>, and that order keeps a cause before its effect: an effect is appended by someone who has seen its cause committed, so the
/// cause took its place earlier (places are handed out one by one), and any snapshot in which the effect is committed has the cause too. So a
/// cause is either numbered by an earlier pass or stands before its effect in this one. A row with a low place that commits late gets a high
/// <c>seq</c>; nothing that was numbered before it can have depended on it.
/// </summary>
internal sealed partial class PostgresSequencer(PostgresDatabase database, ILogger<PostgresSequencer> logger) : BackgroundService, IEventSequence
{
    private const int Batch = 5000;

    /// <summary>Commits wait for each other's numbers this long; other nodes' leftovers are looked for at every tick.</summary>
    private static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(25), Tick = TimeSpan.FromSeconds(1);

    private const string Pass =
        """
        update audit_events e set seq = n.seq
        from (select place, (select coalesce(max(seq), 0) from audit_events) + row_number() over (order by place) as seq
              from (select place from audit_events where seq is null order by place limit @batch) w) n
        where e.place = n.place
        """;

    private readonly SemaphoreSlim woken = new(0, 1);

    /// <summary>There are new events.</summary>
    public void Wake()
    {
        if (woken.CurrentCount > 0) return;
        try
        {
            woken.Release();
        }
        catch (SemaphoreFullException)
        {
            // Someone else was faster.
        }
    }

    public async Task SequenceNow(CancellationToken cancel)
    {
        while (await RunPass(cancel) == Batch)
        {
            // More are waiting; each pass is a transaction of its own.
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        woken.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            if (await woken.WaitAsync(Tick, stoppingToken)) await Task.Delay(Debounce, stoppingToken);
            try
            {
                await SequenceNow(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                // Whatever it is: a service that throws would stop the node, and the next tick tries again.
                Log.Failed(logger, e);
            }
        }
    }

    private async Task<int> RunPass(CancellationToken cancel)
    {
        await using var connection = await database.OpenAsync(cancel);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancel);
        // A statement of its own: the next one's snapshot is taken when the lock is held, and has the numbers the holder before gave.
        await using (var hold = new NpgsqlCommand("select pg_advisory_xact_lock($1)", connection))
        {
            hold.Parameters.Add(new() { Value = PostgresDatabase.SequenceKey });
            await hold.ExecuteNonQueryAsync(cancel);
        }
        await using var pass = new NpgsqlCommand(Pass, connection);
        pass.Parameters.AddWithValue("batch", Batch);
        var numbered = await pass.ExecuteNonQueryAsync(cancel);
        await transaction.CommitAsync(cancel);
        return numbered;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "Audit events could not be numbered.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
