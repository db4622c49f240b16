using System.Buffers;
using System.Data;
using System.Data.Common;
using McpAuth.Protocol.Audit;
using Npgsql;

namespace McpAuthServer.Storage.Postgres;

/// <summary>A writer's connection with its prepared statements, and the transaction open on it. Used by one thread.</summary>
internal sealed class PostgresSession(PostgresDatabase database) : WriteTx, IDisposable
{
    private const int MostStatements = 512;

    private static readonly Sql InsertEvent = new(
            "insert into audit_events (id, time, type, task, jti, grant_id, agent, body) values (@id, @time, @type, @task, @jti, @grant, @agent, @body)"),
        InsertNew = new(InsertEvent.Text + " on conflict (id) do nothing"),
        ShareState = new("select pg_advisory_xact_lock_shared(@key)"),
        OwnState = new("select pg_advisory_xact_lock(@key)");

    private readonly Dictionary<Sql, NpgsqlCommand> prepared = [];
    private readonly ArrayBufferWriter<byte> body = new(1024);
    private NpgsqlTransaction? transaction;

    public NpgsqlConnection Connection { get; } = database.Open();

    /// <summary>Whether the transaction appended an event.</summary>
    public bool Appended { get; private set; }

    /// <summary>
    /// Starts a transaction and takes the lock as its first statement. At READ COMMITTED every later statement sees what was committed
    /// before the lock was granted, so what is read under it stays true until this transaction ends.
    /// </summary>
    public void Begin(StateLock held)
    {
        Appended = false;
        transaction = Connection.BeginTransaction(IsolationLevel.ReadCommitted);
        if (held != StateLock.None) Run((held == StateLock.Shared ? ShareState : OwnState).With(PostgresDatabase.StateKey));
    }

    public void Commit()
    {
        transaction!.Commit();
        transaction.Dispose();
        transaction = null;
    }

    public void Rollback()
    {
        transaction?.Rollback();
        transaction?.Dispose();
        transaction = null;
    }

    public override int Run(Statement statement) => Math.Max(0, Bound(statement).ExecuteNonQuery());

    public override TRow? First<TRow>(Statement statement, Func<DbDataReader, TRow> read)
        where TRow : default
    {
        using var reader = Bound(statement).ExecuteReader();
        return reader.Read() ? read(reader) : default;
    }

    public override List<TRow> All<TRow>(Statement statement, Func<DbDataReader, TRow> read)
    {
        using var reader = Bound(statement).ExecuteReader();
        var rows = new List<TRow>();
        while (reader.Read()) rows.Add(read(reader));
        return rows;
    }

    public override void Append(AuditEvent e) => Insert(InsertEvent, e);

    public override bool AppendNew(AuditEvent e) => Insert(InsertNew, e) > 0;

    private int Insert(Sql sql, AuditEvent e)
    {
        body.ResetWrittenCount();
        AuditBody.Write(e, body);
        var insert = Prepared(sql);
        var values = insert.Parameters;
        values[0].Value = Sql.Storable(e.Id);
        values[1].Value = e.Time;
        values[2].Value = Sql.Storable(e.Type);
        values[3].Value = Sql.Storable(e.Task) ?? (object)DBNull.Value;
        values[4].Value = Sql.Storable(e.Jti) ?? (object)DBNull.Value;
        values[5].Value = Sql.Storable(e.Grant) ?? (object)DBNull.Value;
        values[6].Value = Sql.Storable(e.Agent) ?? (object)DBNull.Value;
        values[7].Value = body.WrittenSpan.ToArray();
        var added = insert.ExecuteNonQuery();
        Appended |= added > 0;
        return added;
    }

    public void Dispose()
    {
        Forget();
        transaction?.Dispose();
        Connection.Dispose();
    }

    private NpgsqlCommand Bound(Statement statement)
    {
        var command = Prepared(statement.Sql);
        PostgresDatabase.Bind(command, statement.Values);
        return command;
    }

    private NpgsqlCommand Prepared(Sql sql)
    {
        if (prepared.TryGetValue(sql, out var found)) return found;
        if (prepared.Count == MostStatements) Forget();
        var command = database.Command(Connection, sql);
        try
        {
            command.Prepare();
        }
        catch
        {
            command.Dispose();
            throw;
        }
        return prepared[sql] = command;
    }

    private void Forget()
    {
        foreach (var command in prepared.Values) command.Dispose();
        prepared.Clear();
    }
}
