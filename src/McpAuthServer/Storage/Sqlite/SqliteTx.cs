using System.Buffers;
using System.Data.Common;
using McpAuth.Protocol.Audit;

namespace McpAuthServer.Storage.Sqlite;

/// <summary>The writer's open transaction.</summary>
internal sealed class SqliteTx(SqliteSession session) : WriteTx
{
    /// <summary><c>seq</c> is computed from <c>place</c>: there is one writer at a time, so places are in commit order.</summary>
    private static readonly Sql
        InsertEvent = new("insert into audit_events (id, time, type, task, jti, grant_id, agent, body) values (@id, @time, @type, @task, @jti, @grant, @agent, @body)"),
        InsertNew = new(InsertEvent.Text + " on conflict (id) do nothing");

    private readonly ArrayBufferWriter<byte> body = new(1024);

    public override int Run(Statement statement) => session.Run(statement);

    public override TRow? First<TRow>(Statement statement, Func<DbDataReader, TRow> read)
        where TRow : default => session.First(statement, read);

    public override List<TRow> All<TRow>(Statement statement, Func<DbDataReader, TRow> read) => session.All(statement, read);

    public override void Append(AuditEvent e) => Insert(InsertEvent, e);

    public override bool AppendNew(AuditEvent e) => Insert(InsertNew, e) > 0;

    private int Insert(Sql sql, AuditEvent e)
    {
        body.ResetWrittenCount();
        AuditBody.Write(e, body);
        var insert = session.Prepared(sql);
        insert.Bind(1, Sql.Storable(e.Id));
        insert.Bind(2, e.Time);
        insert.Bind(3, Sql.Storable(e.Type));
        insert.Bind(4, Sql.Storable(e.Task));
        insert.Bind(5, Sql.Storable(e.Jti));
        insert.Bind(6, Sql.Storable(e.Grant));
        insert.Bind(7, Sql.Storable(e.Agent));
        insert.Bind(8, body.WrittenSpan);
        try
        {
            insert.Step();
            return insert.Changes;
        }
        finally
        {
            insert.Reset();
        }
    }
}
