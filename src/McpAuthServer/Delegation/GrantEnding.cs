using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>Revokes a node in the tree of authority: the grant and all below it, and so whatever was handed off from there: such a task lives by its grants alone.</summary>
internal sealed class RevokeGrant(string id, string? jti, string reason, Initiator by, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<string?>
{
    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>The <see cref="Once.Space"/> of something presented that was used before; nothing else was done then. Else null.</summary>
    public override string? Apply(WriteTx tx)
    {
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(new AuditEvent
                {
                    Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.ReplayDetected, Outcome = "refused", Reason = Names.Reasons.Replay,
                    Client = by.Client, Grant = id, Node = node,
                });
                return once.Space;
            }
        GrantTree.Revoke(tx, id, jti, reason, cause: null, now, node).ForEach(tx.Append);
        return null;
    }
}

/// <summary>The tree below a grant; only for units under <see cref="StateLock.Exclusive"/>.</summary>
internal static class GrantTree
{
    private static readonly Sql
        Subtree = new(
            """
            with recursive down (id, task_id, state, user_id, agent_id, client_id) as (
              select id, task_id, state, user_id, agent_id, client_id from grants where id = @id
              union all select g.id, g.task_id, g.state, g.user_id, g.agent_id, g.client_id from grants g join down on g.parent_id = down.id)
            select id, task_id, state, user_id, agent_id, client_id from down
            """),
        RevokeOne = new("update grants set state = 'revoked' where id = @id"),
        EndFamilies = new("update refresh_families set state = 'revoked' where grant_id = @grant and state = 'active'"),
        RootsOfConsent = new("select id from grants where consent_id = @consent and parent_id is null and state = 'active'");

    /// <returns>The events, for the caller to append when everything else is written.</returns>
    public static List<AuditEvent> Revoke(WriteTx tx, string id, string? jti, string reason, string? cause, DateTimeOffset now, string? node)
    {
        var ms = now.ToUnixTimeMilliseconds();
        var subtree = tx.All(Subtree.With(id), r => (
            Id: r.GetString(0), Task: r.IsDBNull(1) ? null : r.GetString(1), State: r.GetString(2), User: r.IsDBNull(3) ? null : r.GetString(3),
            Agent: r.IsDBNull(4) ? null : r.GetString(4), Client: r.GetString(5)));
        var first = Id.New(Id.Event, now);
        var events = new List<AuditEvent>(subtree.Count);
        foreach (var grant in subtree)
        {
            var isRoot = grant.Id == id;
            if (grant.State != "active" && !isRoot)
                continue;
            tx.Run(EndFamilies.With(grant.Id));
            if (grant.State == "active")
            {
                tx.Run(RevokeOne.With(grant.Id));
                // Descendants name the root in their lineage; one entry is enough for every guard.
                if (isRoot)
                    Revocations.Deny(tx, SubjectKind.Grant, grant.Id, reason, ms);
            }
            events.Add(new AuditEvent
            {
                Id = isRoot ? first : Id.New(Id.Event, now), Time = ms, Type = isRoot && jti is not null ? AuditTypes.TokenRevoked : AuditTypes.GrantRevoked, Outcome = "success",
                Reason = isRoot ? reason : "parent_revoked", User = grant.User, Agent = grant.Agent, Client = grant.Client, Task = grant.Task, Grant = grant.Id,
                Jti = isRoot ? jti : null, Cause = isRoot ? cause : first, Node = node,
            });
        }
        return events;
    }

    /// <summary>Every root that a consent bore, with all below.</summary>
    public static List<AuditEvent> RevokeOfConsent(WriteTx tx, string consent, string reason, string? cause, DateTimeOffset now, string? node) =>
        [.. tx.All(RootsOfConsent.With(consent), r => r.GetString(0)).SelectMany(id => Revoke(tx, id, null, reason, cause, now, node))];
}
