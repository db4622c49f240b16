using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>Which instance of its agent a resumable task is of; what only reads it needs the shared lock, all else <see cref="StateLock.Exclusive"/>.</summary>
internal static class TaskHolding
{
    private static readonly Sql
        Select = new($"select {TaskStore.Columns} from tasks where id = @id"),
        Holder = new("select instance_id from tasks where id = @id"),
        LivingInstance = new("select id from instances where id = @id and state = 'active' and expires_at > @now"),
        Move = new("update tasks set state = 'active', suspended_by = 0, instance_id = @instance where id = @id"),
        InUse = new("select id from grants where task_id = @task and instance_id = @instance and state = 'active' and token_exp > @since order by id"),
        RevokeGrants = new("update grants set state = 'revoked' where task_id = @task and instance_id = @instance and state = 'active'"),
        EndFamilies = new("update refresh_families set state = 'revoked' where task_id = @task and instance_id = @instance and state = 'active'"),
        HandedOn = new(
            """
            select distinct t.id from grants p join grants g on g.parent_id = p.id join tasks t on t.id = g.task_id
            where p.task_id = @task and p.instance_id = @instance and g.task_id <> p.task_id and t.origin = 'handoff' and t.state in ('active', 'suspended') order by t.id
            """);

    public static TaskRecord? Find(WriteTx tx, string task) => tx.First(Select.With(task), TaskStore.Read);

    public static bool Lives(WriteTx tx, string instance, long now) => tx.First(LivingInstance.With(instance, now), r => r.GetString(0)) is not null;

    /// <param name="instance">Null: who asks has none.</param>
    public static bool IsOf(WriteTx tx, string task, string? instance) => tx.First(Holder.With(task), r => r.IsDBNull(0) ? null : r.GetString(0)) == instance;

    /// <summary>Whether an instance asks about a resumable task that another living one of the agent holds.</summary>
    public static bool IsAnothers(WriteTx tx, TaskRecord task, Initiator by, long now) =>
        task is { Resumable: true, InstanceId: { } holder } && by is { Rank: Rank.Agent, Instance: { } asking } && holder != asking && Lives(tx, holder, now);

    /// <summary>
    /// The task goes on, as <paramref name="to"/>'s. Of the one before it keeps nothing: whether that one lives or not, its tokens of the task are dead, and so is
    /// what it handed on.
    /// </summary>
    /// <param name="resumed">The event of it, to be completed.</param>
    /// <returns>The events, for the caller to append when everything else is written.</returns>
    public static List<AuditEvent> TakeUp(WriteTx tx, TaskRecord task, string from, string to, Initiator by, AuditEvent resumed, DateTimeOffset now, string node)
    {
        var ms = now.ToUnixTimeMilliseconds();
        var why = Lives(tx, from, ms) ? Names.Reasons.HeldByAnother : Names.Reasons.InstanceEnded;
        // Tasks before the grants: how long their tokens would have lived is told by those.
        var events = new List<AuditEvent> { resumed };
        foreach (var below in tx.All(HandedOn.With(task.Id, from), r => r.GetString(0)))
            events.AddRange(TaskTree.End(tx, below, TaskState.Revoked, why, by, resumed.Id, now, node));
        // Guards know of the task's suspension, which is lifted now: those tokens are named one by one.
        foreach (var grant in tx.All(InUse.With(task.Id, from, ms - 2 * (long)Limits.ClockSkew.TotalMilliseconds), r => r.GetString(0)))
            Revocations.Deny(tx, SubjectKind.Grant, grant, why, ms);
        var grants = tx.Run(RevokeGrants.With(task.Id, from));
        tx.Run(EndFamilies.With(task.Id, from));
        tx.Run(Move.With(to, task.Id));
        events[0] = resumed with { Data = new JsonObject { ["by"] = by.Name, ["from"] = from, ["grants"] = (long)grants } };
        return events;
    }
}
