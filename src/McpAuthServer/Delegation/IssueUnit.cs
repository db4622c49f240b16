using System.Data.Common;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>How a unit that issues ended.</summary>
internal enum IssueOutcome
{
    Issued,

    /// <summary>The registry changed since the plan was made: nothing was written, plan again.</summary>
    Stale,

    /// <summary>An assertion or proof was used before; the reason is its <see cref="Once.Space"/>.</summary>
    Replayed,

    /// <summary>Something the token stands on ended; the reason says what.</summary>
    Ended,

    /// <summary>A code or refresh token was used before: what came of its first use is to be revoked. Only assertion and proof were consumed.</summary>
    Reused,
}

/// <param name="Successor">See <see cref="CredentialUse"/>.</param>
internal readonly record struct IssueResult(IssueOutcome Outcome, string? Reason = null, byte[]? Successor = null, Reuse? Reuse = null);

/// <summary>
/// The one commit of an issuance: reads again, inside the transaction, every state it depends on; consumes what is single-use; records grant
/// and event. A revocation that committed before is seen here; one that commits later finds the grant and its task (invariant 3).
/// </summary>
internal sealed class IssueUnit(Issuance plan, string node) : Unit<IssueResult>
{
    private static readonly Sql Ancestors = new(
        """
        with recursive up (id, parent_id, state, expires_at) as (
          select id, parent_id, state, expires_at from tasks where id = @id
          union all select t.id, t.parent_id, t.state, t.expires_at from tasks t join up on t.id = up.parent_id)
        select state, expires_at from up
        """);

    private static readonly Sql StateOfInstance = new("select state, expires_at from instances where id = @id");

    private static readonly Sql StateOfGuard = new("select state from guards where id = @id");
    private static readonly Sql UserState = new("select enabled from users where id = @id");
    private static readonly Sql OtherSession = new("select count(*) from tasks where client_id = @client and user_id = @user and origin = 'session' and state = 'active'");
    private static readonly Sql SessionHolds = new("select authority from tasks where id = @id");
    private static readonly Sql WidenSession = new("update tasks set authority = @authority where id = @id and state = 'active'");

    /// <summary>The grant and its ancestors: how many are revoked, and how many of their instances no longer live.</summary>
    private static readonly Sql Dead = new(
        """
        with recursive up (parent_id, state, instance_id) as (
          select parent_id, state, instance_id from grants where id = @id
          union all select g.parent_id, g.state, g.instance_id from grants g join up on g.id = up.parent_id)
        select coalesce(sum(case when up.state <> 'active' then 1 else 0 end), 0),
          coalesce(sum(case when up.instance_id is not null and not exists (
            select 1 from instances i where i.id = up.instance_id and i.state = 'active' and i.expires_at > @now) then 1 else 0 end), 0)
        from up
        """);

    /// <summary>A key must not become two instances; a person's session task must be the only one with this client, and only its own kind widens it: such issuances take turns.</summary>
    public override StateLock Lock => plan.Attests is not null || plan.Federates is { Writes: true } || plan.SessionAdds is not null || plan.NewTask is { Origin: TaskOrigin.Session } ? StateLock.Exclusive : StateLock.Shared;

    public override IssueResult Apply(WriteTx tx)
    {
        // 1. The plan was made on this registry: agents active, tools approved, ceilings, clients.
        if (!RegistryVersion.IsCurrent(tx, plan.RegistryVersion))
            return new(IssueOutcome.Stale);
        // The token names the instance, so it must still be the one the plan was made for.
        if (plan.Attests is { } planned && (planned.Renews(tx) ?? plan.Who.Instance) != plan.Who.Instance)
            return new(IssueOutcome.Stale);
        if (plan.NewTask is { Origin: TaskOrigin.Session } && plan.Who.User is { } person && tx.First(OtherSession.With(plan.Who.Client, person), r => r.GetInt64(0)) > 0)
            return new(IssueOutcome.Stale);
        if (plan.Federates?.IsCurrent(tx) == false)
            return new(IssueOutcome.Stale);

        // 2. Consumed before anything is minted: a crash costs a retry, never a replay.
        foreach (var once in plan.Consume)
            if (!once.Consume(tx))
            {
                tx.Append(Event(AuditTypes.ReplayDetected, "refused", Names.Reasons.Replay) with { Data = new() { ["space"] = once.Space } });
                return new(IssueOutcome.Replayed, once.Space);
            }

        // 3. The task, the grant, all their ancestors, the instances and the person live. The insert itself asks for the nearest of them; where
        // there are more, or something is written before the grant, that is asked first: a refusal must leave nothing behind but its event.
        if ((plan.NewTask is not null || plan.TaskHasParent || plan.Credential is not null || plan.Attests is not null || plan.Federates is not null
            || plan.Downstream is not null || plan.ForHolder) && WhatEnded(tx) is { } ended)
            return Refuse(tx, ended);
        if (plan.ForHolder && !TaskHolding.IsOf(tx, plan.TaskId, plan.Who.Instance))
            return Refuse(tx, Names.Reasons.HeldByAnother);
        if (plan.Attests is { } attests && attests.Run(tx, plan.Who.Instance!, plan.Jti, node).Refused is { } unattested)
            return new(IssueOutcome.Ended, unattested);
        var credential = plan.Credential?.Use(tx) ?? default;
        if (credential.Ended is { } gone)
            return Refuse(tx, gone);
        if (credential.Reuse is { } reuse)
            return new(IssueOutcome.Reused, Reuse: reuse);
        plan.Federates?.Run(tx, node);
        if (plan.NewTask is { } task)
            TaskUnits.Insert(tx, task, plan.Who, plan.IssuedAt.ToUnixTimeMilliseconds());
        if (!GrantRows.Record(tx, plan))
            return Refuse(tx, WhatEnded(tx) ?? Names.Reasons.Revoked);
        // Read here, under the lock: two step-ups at once must not undo each other.
        if (plan.SessionAdds is { } adds && tx.First(SessionHolds.With(plan.TaskId), r => r.GetString(0)) is { } held)
            tx.Run(WidenSession.With(TaskRecord.ReadAuthority(held).UnionOfTools(adds).ToJson(), plan.TaskId));
        if (plan.Family is { } family)
            RefreshFamilies.Begin(tx, family, plan);

        // 4. What happened, last.
        if (plan.NewTask is { } created)
            tx.Append(TaskUnits.CreatedEvent(created, plan.Who, plan.IssuedAt, node));
        var told = new JsonObject { ["grant_type"] = plan.GrantType, ["scope"] = plan.Scope, ["exp"] = plan.Expires.ToUnixTimeSeconds() };
        plan.Federates?.Tell(told);
        if (plan.Identity is { } identity)
            told["identity"] = identity.Scope;
        if (plan.Downstream is { } from)
            tx.Append(Event(AuditTypes.DownstreamExchanged, "success", null) with { Resource = from.Resource, Tool = from.Tool, Data = new() { ["to"] = plan.Target.Resource, ["jti"] = plan.Jti } });
        tx.Append(Event(AuditTypes.TokenIssued, "success", null) with { Data = told });
        return new(IssueOutcome.Issued, Successor: credential.Successor);
    }

    private IssueResult Refuse(WriteTx tx, string reason)
    {
        tx.Append(Event(AuditTypes.TokenRefused, "refused", reason));
        return new(IssueOutcome.Ended, reason);
    }

    /// <summary>The reason why something this stands on no longer lives; null when all of it does.</summary>
    private string? WhatEnded(WriteTx tx)
    {
        var now = plan.IssuedAt.ToUnixTimeMilliseconds();
        if (plan.Attests is null && plan.Who.Instance is { } instance && tx.First(StateOfInstance.With(instance), ReadState) is var i && (i.State != "active" || i.Expires <= now))
            return Names.Reasons.InstanceEnded;
        if (plan.Downstream is { Guard: var guard } && tx.First(StateOfGuard.With(guard), r => r.GetString(0)) != "active")
            return Names.Reasons.Revoked;
        if (plan.Federates is not { IsNewPerson: true } && plan.Who.User is { } user && tx.First(UserState.With(user), r => r.GetInt64(0)) != 1)
            return Names.Reasons.UserDisabled;
        var standsOn = plan.NewTask is null ? plan.TaskId : plan.NewTask.ParentId;
        foreach (var task in standsOn is null ? [] : tx.All(Ancestors.With(standsOn), ReadState))
            if (task.State == TaskState.Suspended)
                return Names.Reasons.TaskSuspended;
            else if (task.State != TaskState.Active || task.Expires <= now)
                return Names.Reasons.TaskEnded;
        var parent = plan.NewGrant ? plan.ParentGrant : plan.GrantId;
        if (parent is null)
            return null;
        // Not the nearest grant alone: what was handed on stands on the giver's instance too (invariant 3).
        var (revoked, without) = tx.First(Dead.With(parent, now), r => (r.GetInt64(0), r.GetInt64(1)));
        return without > 0 ? Names.Reasons.InstanceEnded : revoked > 0 ? Names.Reasons.Revoked : null;
    }

    private static (string? State, long Expires) ReadState(DbDataReader r) => (r.GetString(0), r.GetInt64(1));

    private AuditEvent Event(string type, string outcome, string? reason) => new()
    {
        Id = Id.New(Id.Event, plan.IssuedAt), Time = plan.IssuedAt.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Reason = reason,
        User = plan.Who.User, Agent = plan.Who.Agent, Instance = plan.Who.Instance, Client = plan.Who.Client,
        Chain = plan.Who.Chain.Count == 0 ? null : plan.Who.Chain, Task = plan.TaskId, ParentTask = plan.NewTask?.ParentId,
        Grant = plan.GrantId, Jti = type == AuditTypes.TokenIssued ? plan.Jti : null, Resource = plan.Target.Resource, PolicyHash = plan.PolicyHash, Cause = plan.Cause, Node = node,
    };
}
