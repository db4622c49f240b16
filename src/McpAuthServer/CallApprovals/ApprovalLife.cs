using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.CallApprovals;

/// <summary>What an approval stands on, asked inside a unit; and how it ends.</summary>
internal static class ApprovalLife
{
    private static readonly Sql
        Dead = new(
            """
            with recursive up (id, parent_id, state, expires_at) as (
              select id, parent_id, state, expires_at from tasks where id = @task
              union all select t.id, t.parent_id, t.state, t.expires_at from tasks t join up on t.id = up.parent_id)
            select count(*) + (select count(*) from instances where id = @instance and not (state = 'active' and expires_at > @now))
              + (select count(*) from agents where id = @agent and state <> 'active') + (select count(*) from users where id = @user and enabled <> 1)
              + (select count(*) from grants where id = @grant and state <> 'active')
            from up where state <> 'active' or expires_at <= @now
            """),
        Close = new("update approvals set state = @state, sealed = null where id = @id and state in ('waiting', 'approved')"),
        Resource = new("select resource from tool_servers where id = @id"),
        Over = new(
            $"""
            select {CallApproval.Columns} from approvals a where a.state in ('waiting', 'approved') and (a.expires_at <= @now
              or exists (select 1 from tasks t where t.id = a.task_id and (t.state not in ('active', 'suspended') or t.expires_at <= @now))
              or exists (select 1 from instances i where i.id = a.instance_id and (i.state <> 'active' or i.expires_at <= @now))
              or exists (select 1 from users u where u.id = a.user_id and u.enabled <> 1)
              or exists (select 1 from grants g where g.id = a.grant_id and g.state <> 'active'))
            order by a.asked_at, a.id limit @batch
            """),
        Due = new($"select {CallApproval.Columns} from approvals where task_id = @task and state in ('waiting', 'approved') and expires_at <= @now order by asked_at, id");

    /// <summary>Approvals that wait or could be used, and will not be any more.</summary>
    public static Statement OverAt(DateTimeOffset now, int batch) => Over.With(now.ToUnixTimeMilliseconds(), batch);

    /// <summary>Whether task, instance, agent, user and grant all live; a task that is suspended does not.</summary>
    public static bool Lives(WriteTx tx, BoundCall call, string grant, DateTimeOffset now) =>
        tx.First(Dead.With(call.Task, call.Instance, now.ToUnixTimeMilliseconds(), call.Agent, call.User, grant), r => r.GetInt64(0)) == 0;

    /// <summary>Those of a task whose time is over.</summary>
    public static void Expire(WriteTx tx, string task, DateTimeOffset now, string node)
    {
        foreach (var due in tx.All(Due.With(task, now.ToUnixTimeMilliseconds()), CallApproval.Read))
            End(tx, due!, now, node);
    }

    /// <summary>Final: by its time, or with what it stands on. Its arguments go with it.</summary>
    public static void End(WriteTx tx, CallApproval approval, DateTimeOffset now, string node)
    {
        var expired = approval.Expires <= now;
        if (tx.Run(Close.With(expired ? ApprovalState.Expired : ApprovalState.Ended, approval.Id)) == 0)
            return;
        tx.Append(approval.Event(
            New(expired ? AuditTypes.ApprovalExpired : AuditTypes.ApprovalEnded, "refused", now, node) with
            {
                Reason = expired ? approval.State == ApprovalState.Approved ? "not_used" : "not_answered" : "work_ended",
            },
            ResourceOf(tx, approval.Call.ToolServer), approval.AskedEvent));
    }

    public static string ResourceOf(WriteTx tx, string toolServer) => tx.First(Resource.With(toolServer), r => r.GetString(0))!;

    public static AuditEvent New(string type, string outcome, DateTimeOffset now, string node) =>
        new() { Id = McpAuth.Protocol.Id.New(McpAuth.Protocol.Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Node = node };
}
