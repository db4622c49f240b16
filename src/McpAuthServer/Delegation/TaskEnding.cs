using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>Who asked for a transition, for its event.</summary>
internal sealed record Initiator(string? Agent, string? Instance, string? Client, Rank Rank, string? User = null)
{
    /// <summary>The client that administers, where it is one.</summary>
    public string? Administrator { get; init; }

    /// <summary>As events tell it.</summary>
    public string Name => Agent ?? User ?? Administrator ?? Rank.ToString().ToLowerInvariant();
}

/// <summary>How a transition ended; <paramref name="State"/> is null when there is no such task.</summary>
internal readonly record struct Transition(bool Replayed, bool Applied, string? State, string? Reason = null);

/// <summary>Ends a task and everything below it: child tasks, grants, tokens (invariant 3). Final.</summary>
internal sealed class EndTask(string id, string state, string? reason, Initiator by, Once? proof, DateTimeOffset now, string node) : Unit<Transition>
{
    public override StateLock Lock => StateLock.Exclusive;

    public override Transition Apply(WriteTx tx)
    {
        if (TaskTransitions.Replayed(tx, proof, id, by, now, node))
            return new(Replayed: true, false, null);
        if (TaskTree.Root(tx, id) is not { } root)
            return new(false, false, null);
        if (TaskState.IsFinal(root.State))
        {
            // Somebody asked; the sweep of deadlines and a session's end only come too late.
            if (proof is not null || by.User is not null)
                Refused(tx, root, Names.Reasons.TaskEnded);
            return new(false, false, root.State, Names.Reasons.TaskEnded);
        }
        // Whether the work is done says who works on it. Revoking is for who stands above.
        if (by.Instance is not null && state != TaskState.Revoked && TaskHolding.IsAnothers(tx, TaskHolding.Find(tx, id)!, by, now.ToUnixTimeMilliseconds()))
        {
            Refused(tx, root, Names.Reasons.HeldByAnother);
            return new(false, false, root.State, Names.Reasons.HeldByAnother);
        }
        TaskTree.End(tx, id, state, reason, by, cause: null, now, node).ForEach(tx.Append);
        return new(false, true, state);
    }

    private void Refused(WriteTx tx, TaskTree.Node task, string why) => tx.Append(new AuditEvent
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.TaskRefused, Outcome = "refused", Reason = why,
        User = task.User, Agent = task.Agent, Instance = by.Instance, Client = task.Client, Task = id, ParentTask = task.Parent, Node = node,
        Data = new() { ["by"] = by.Name, ["asked"] = state },
    });
}

/// <summary>A task with all that hangs below it; only for units under <see cref="StateLock.Exclusive"/>.</summary>
internal static class TaskTree
{
    private static readonly Sql
        Subtree = new(
            """
            with recursive down (id, parent_id, state, user_id, agent_id, client_id, height) as (
              select id, parent_id, state, user_id, agent_id, client_id, 0 from tasks where id = @id
              union all select t.id, t.parent_id, t.state, t.user_id, t.agent_id, t.client_id, down.height + 1 from tasks t join down on t.parent_id = down.id)
            select id, parent_id, state, user_id, agent_id, client_id from down order by height, id
            """),
        One = new("select id, parent_id, state, user_id, agent_id, client_id from tasks where id = @id"),
        LongestToken = new("select coalesce(max(token_exp), 0) from grants where task_id = @task and state = 'active'"),
        EndOne = new("update tasks set state = @state, ended_at = @now, residual_ms = @residual where id = @id"),
        Living = new("select id, parent_id, state, user_id, agent_id, client_id from tasks where state in ('active', 'suspended') order by id"),
        RevokeGrants = new("update grants set state = 'revoked' where task_id = @task and state = 'active'"),
        EndFamilies = new("update refresh_families set state = 'revoked' where task_id = @task and state = 'active'"),
        Forget = new("update consents set remembered_until = 0 where id in (select consent_id from grants where task_id = @task and consent_id is not null)");

    internal readonly record struct Node(string Id, string? Parent, string State, string? User, string? Agent, string Client);

    public static Node? Root(WriteTx tx, string id) => tx.First(One.With(id), r => (Node?)Read(r));

    /// <returns>The events, for the caller to append when everything else is written.</returns>
    public static List<AuditEvent> End(WriteTx tx, string id, string state, string? reason, Initiator by, string? cause, DateTimeOffset now, string? node)
    {
        var ms = now.ToUnixTimeMilliseconds();
        var first = Id.New(Id.Event, now);
        var events = new List<AuditEvent>();
        foreach (var task in tx.All(Subtree.With(id), Read))
        {
            if (TaskState.IsFinal(task.State))
                continue;
            var isRoot = task.Id == id;
            var residual = Residual(tx, task.Id, ms);
            // What a person ended, a remembered consent does not bring back (invariant 12).
            if (by.Rank >= Rank.User && state == TaskState.Revoked)
                tx.Run(Forget.With(task.Id));
            tx.Run(EndOne.With(isRoot ? state : TaskState.Revoked, ms, residual, task.Id));
            var grants = tx.Run(RevokeGrants.With(task.Id));
            // A session that expired has a successor at the next refresh; whatever else ends, ends for good.
            if (!isRoot || state != TaskState.Expired)
                tx.Run(EndFamilies.With(task.Id));
            Revocations.Deny(tx, SubjectKind.Task, task.Id, isRoot ? state : "parent_ended", ms);
            events.Add(new AuditEvent
            {
                Id = isRoot ? first : Id.New(Id.Event, now), Time = ms, Type = "task." + (isRoot ? state : TaskState.Revoked), Outcome = "success",
                Reason = isRoot ? reason : "parent_ended", User = task.User, Agent = task.Agent, Instance = isRoot ? by.Instance : null, Client = task.Client,
                Task = task.Id, ParentTask = task.Parent, Cause = isRoot ? cause : first, Node = node,
                Data = new() { ["by"] = by.Name, ["residual_access_ms"] = residual, ["grants"] = (long)grants },
            });
        }
        return events;
    }

    /// <summary>Every task there is; what stands on them is the caller's to end, and to deny.</summary>
    /// <returns>The events, for the caller to append when everything else is written.</returns>
    public static List<AuditEvent> EndAll(WriteTx tx, string reason, Initiator by, string cause, DateTimeOffset now, string node)
    {
        var ms = now.ToUnixTimeMilliseconds();
        return tx.All(Living.With(), Read).ConvertAll(task =>
        {
            var residual = Residual(tx, task.Id, ms);
            tx.Run(EndOne.With(TaskState.Revoked, ms, residual, task.Id));
            return new AuditEvent
            {
                Id = Id.New(Id.Event, now), Time = ms, Type = AuditTypes.TaskRevoked, Outcome = "success", Reason = reason, User = task.User, Agent = task.Agent, Client = task.Client,
                Task = task.Id, ParentTask = task.Parent, Cause = cause, Node = node, Data = new() { ["by"] = by.Name, ["residual_access_ms"] = residual },
            };
        });
    }

    /// <summary>Residual access: how long a token would still have been valid had nobody told the guards.</summary>
    private static long Residual(WriteTx tx, string task, long now) => Math.Max(0, tx.First(LongestToken.With(task), r => r.GetInt64(0)) - now);

    private static Node Read(System.Data.Common.DbDataReader r) => new(
        r.GetString(0), r.IsDBNull(1) ? null : r.GetString(1), r.GetString(2), r.IsDBNull(3) ? null : r.GetString(3), r.IsDBNull(4) ? null : r.GetString(4), r.GetString(5));
}

/// <summary>What both kinds of transition share.</summary>
internal static class TaskTransitions
{
    public static bool Replayed(WriteTx tx, Once? proof, string task, Initiator by, DateTimeOffset now, string node)
    {
        if (proof is not { } once || once.Consume(tx))
            return false;
        tx.Append(new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.ReplayDetected, Outcome = "refused", Reason = Names.Reasons.Replay,
            Agent = by.Agent, Instance = by.Instance, Client = by.Client, Task = task, Node = node,
        });
        return true;
    }

    public static AuditEvent Event(string type, string outcome, string? reason, TaskRecord task, Initiator by, DateTimeOffset now, string node) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Reason = reason, User = task.UserId, Agent = task.AgentId,
        Instance = by.Instance, Client = task.ClientId, Task = task.Id, ParentTask = task.ParentId, Node = node,
        Data = new() { ["by"] = by.Name },
    };
}
