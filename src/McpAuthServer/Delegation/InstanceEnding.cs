using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>States of an instance; all but the first are final.</summary>
internal static class InstanceState
{
    /// <summary>Until its time is over, which is recorded a little later.</summary>
    public const string Active = "active";

    /// <summary>Its key is burnt.</summary>
    public const string Ended = "ended";

    /// <summary>Its key may be attested again, as a new instance.</summary>
    public const string Expired = "expired";
}

/// <summary>Ends an instance and everything issued to it.</summary>
internal sealed class EndInstance(string id, string reason, Initiator by, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<string?>
{
    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>The <see cref="Once.Space"/> of something presented that was used before; else null.</summary>
    public override string? Apply(WriteTx tx)
    {
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(InstanceEnding.Event(id, AuditTypes.ReplayDetected, "refused", Names.Reasons.Replay, by, now, node));
                return once.Space;
            }
        var ended = InstanceEnding.End(tx, id, InstanceState.Ended, reason, by, cause: null, now, node);
        ended.ForEach(tx.Append);
        if (ended.Count == 0 && consume.Count > 0)
            tx.Append(InstanceEnding.Event(id, AuditTypes.InstanceEnded, "refused", Names.Reasons.InstanceEnded, by, now, node));
        return null;
    }
}

/// <summary>An instance's time is over: nothing waited for this to be refused, but what it worked on has to be told.</summary>
internal sealed class ExpireInstance(string id, DateTimeOffset now, string node) : Unit<bool>
{
    // Renewed meanwhile, it goes on.
    private static readonly Sql IsDue = new("select id from instances where id = @id and state = 'active' and expires_at <= @now");

    public override StateLock Lock => StateLock.Exclusive;

    public override bool Apply(WriteTx tx)
    {
        if (tx.First(IsDue.With(id, now.ToUnixTimeMilliseconds()), r => r.GetString(0)) is null)
            return false;
        var clock = new Initiator(null, null, null, Rank.Administrator);
        InstanceEnding.End(tx, id, InstanceState.Expired, Names.Reasons.Expired, clock, cause: null, now, node).ForEach(tx.Append);
        return true;
    }
}

/// <summary>The end of an instance; only for units under <see cref="StateLock.Exclusive"/>.</summary>
internal static class InstanceEnding
{
    private static readonly Sql
        AgentOf = new("select agent_id from instances where id = @id"),
        Close = new("update instances set state = @state, ended_at = @now where id = @id and state = 'active'"),
        Worked = new($"select {TaskStore.Columns} from tasks where instance_id = @id and state in ('active', 'suspended') order by id"),
        // What it handed on, also of work that another instance holds: it stands on a grant of this one.
        HandedOn = new(
            """
            select distinct t.id from grants p join grants g on g.parent_id = p.id join tasks t on t.id = g.task_id
            where p.instance_id = @id and p.task_id <> g.task_id and t.origin = 'handoff' and t.state in ('active', 'suspended') order by t.id
            """),
        Suspend = new("update tasks set state = 'suspended', suspended_by = @rank where id = @id and state = 'active'"),
        RevokeGrants = new("update grants set state = 'revoked' where instance_id = @id and state = 'active'"),
        EndFamilies = new("update refresh_families set state = 'revoked' where instance_id = @id and state = 'active'");

    /// <summary>Its tasks fail with it, but for those that may be resumed: they wait for another instance of the agent.</summary>
    /// <param name="state">One of <see cref="InstanceState"/>.</param>
    /// <returns>The events, for the caller to append when everything else is written; none when it had ended before.</returns>
    public static List<AuditEvent> End(WriteTx tx, string id, string state, string reason, Initiator by, string? cause, DateTimeOffset now, string node)
    {
        var ms = now.ToUnixTimeMilliseconds();
        if (tx.Run(Close.With(state, ms, id)) == 0)
            return [];
        var ended = Event(id, AuditTypes.InstanceEnded, "success", reason, by, now, node) with
        {
            Agent = by.Agent ?? tx.First(AgentOf.With(id), r => r.GetString(0)), Cause = cause,
        };
        // Tasks before the grants: how long their tokens would have lived is told by those.
        var events = new List<AuditEvent> { ended };
        foreach (var task in tx.All(Worked.With(id), TaskStore.Read).OfType<TaskRecord>())
            if (!task.Resumable)
                events.AddRange(TaskTree.End(tx, task.Id, TaskState.Failed, Names.Reasons.InstanceEnded, by, ended.Id, now, node));
            else if (Wait(tx, task, ended, by, now, node) is { } waits)
                events.Add(waits);
        foreach (var task in tx.All(HandedOn.With(id), r => r.GetString(0)))
            events.AddRange(TaskTree.End(tx, task, TaskState.Revoked, Names.Reasons.InstanceEnded, by, ended.Id, now, node));
        events[0] = ended with { Data = new() { ["by"] = by.Name, ["grants"] = (long)tx.Run(RevokeGrants.With(id)) } };
        tx.Run(EndFamilies.With(id));
        // Of an instance that lived its time, no token is left to be denied.
        if (state != InstanceState.Expired)
            Revocations.Deny(tx, SubjectKind.Instance, id, reason, ms);
        return events;
    }

    public static AuditEvent Event(string id, string type, string outcome, string why, Initiator by, DateTimeOffset now, string node) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Reason = why, Agent = by.Agent, Instance = id, Client = by.Client, Node = node,
    };

    /// <summary>Null when it is suspended already, by whomever; or has just ended with its parent.</summary>
    private static AuditEvent? Wait(WriteTx tx, TaskRecord task, AuditEvent ended, Initiator by, DateTimeOffset now, string node)
    {
        // The agent's own rank: whichever instance of it comes next may go on.
        if (tx.Run(Suspend.With((long)Rank.Agent, task.Id)) == 0)
            return null;
        Revocations.Deny(tx, SubjectKind.Task, task.Id, TaskState.Suspended, now.ToUnixTimeMilliseconds());
        return TaskTransitions.Event(AuditTypes.TaskSuspended, "success", Names.Reasons.InstanceEnded, task, by, now, node) with { Instance = ended.Instance, Cause = ended.Id };
    }
}
