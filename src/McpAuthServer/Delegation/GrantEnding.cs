using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>Revokes a node in the tree of authority: the grant and all below it, and so whatever was handed off from there: such a task lives by its grants alone.</summary>
internal sealed class RevokeGrant(string id, string? jti, string reason, Initiator by, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql Subtree = new(
        """
        with recursive down (id, task_id, state, agent_id, client_id) as (
          select id, task_id, state, agent_id, client_id from grants where id = @id
          union all select g.id, g.task_id, g.state, g.agent_id, g.client_id from grants g join down on g.parent_id = down.id)
        select id, task_id, state, agent_id, client_id from down
        """);

    private static readonly Sql Revoke = new("update grants set state = 'revoked' where id = @id");

    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>False when something presented was used before; nothing else was done then.</summary>
    public override bool Apply(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(new AuditEvent
                {
                    Id = Id.New(Id.Event, now), Time = ms, Type = AuditTypes.ReplayDetected, Outcome = "refused", Reason = Names.Reasons.Replay,
                    Client = by.Client, Grant = id, Node = node,
                });
                return false;
            }
        var subtree = tx.All(Subtree.With(id), r => (
            Id: r.GetString(0), Task: r.GetString(1), State: r.GetString(2), Agent: r.IsDBNull(3) ? null : r.GetString(3), Client: r.GetString(4)));
        var cause = Id.New(Id.Event, now);
        var events = new List<AuditEvent>(subtree.Count);
        foreach (var grant in subtree)
        {
            var isRoot = grant.Id == id;
            if (grant.State != "active" && !isRoot)
                continue;
            if (grant.State == "active")
            {
                tx.Run(Revoke.With(grant.Id));
                // Descendants name the root in their lineage; one entry is enough for every guard.
                if (isRoot)
                    Revocations.Deny(tx, SubjectKind.Grant, grant.Id, reason, ms);
            }
            events.Add(new AuditEvent
            {
                Id = isRoot ? cause : Id.New(Id.Event, now), Time = ms, Type = isRoot && jti is not null ? AuditTypes.TokenRevoked : AuditTypes.GrantRevoked, Outcome = "success",
                Reason = isRoot ? reason : "parent_revoked", Agent = grant.Agent, Client = grant.Client, Task = grant.Task, Grant = grant.Id,
                Jti = isRoot ? jti : null, Cause = isRoot ? null : cause, Node = node,
            });
        }
        events.ForEach(tx.Append);
        return true;
    }
}

/// <summary>Ends an instance and everything issued to it.</summary>
internal sealed class EndInstance(string id, string reason, Initiator by, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql End = new("update instances set state = 'ended', ended_at = @now where id = @id and state = 'active'");
    private static readonly Sql RevokeGrants = new("update grants set state = 'revoked' where instance_id = @id and state = 'active'");

    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>False when something presented was used before.</summary>
    public override bool Apply(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        AuditEvent Event(string type, string outcome, string why) => new()
        {
            Id = Id.New(Id.Event, now), Time = ms, Type = type, Outcome = outcome, Reason = why, Agent = by.Agent, Instance = id, Client = by.Client, Node = node,
        };
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(Event(AuditTypes.ReplayDetected, "refused", Names.Reasons.Replay));
                return false;
            }
        if (tx.Run(End.With(ms, id)) == 1)
        {
            tx.Run(RevokeGrants.With(id));
            Revocations.Deny(tx, SubjectKind.Instance, id, reason, ms);
            tx.Append(Event(AuditTypes.InstanceEnded, "success", reason));
        }
        else if (consume.Count > 0)
            tx.Append(Event(AuditTypes.InstanceEnded, "refused", Names.Reasons.InstanceEnded));
        return true;
    }
}
