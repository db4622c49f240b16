using System.Data.Common;
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
}

internal readonly record struct IssueResult(IssueOutcome Outcome, string? Reason = null);

/// <summary>
/// The one commit of an issuance: reads again, inside the transaction, every state it depends on; consumes what is single-use; records grant
/// and event. A revocation that committed before is seen here; one that commits later finds the grant and its task (invariant 3).
/// </summary>
internal sealed class IssueUnit(Issuance plan, string node) : Unit<IssueResult>
{
    private const string GrantColumns =
        "id, parent_id, task_id, agent_id, instance_id, user_id, client_id, tool_server, authority, chain, lineage, depth, state, created_at, expires_at, token_exp";

    private const string GrantValues =
        "@id, @parent, @task, @agent, @instance, @user, @client, @server, @authority, @chain, @lineage, @depth, 'active', @created, @expires, @token_exp";

    private const string TaskLives = "exists (select 1 from tasks t where t.id = @task and t.state = 'active' and t.expires_at > @created)";
    private const string InstanceLives = "exists (select 1 from instances i where i.id = @instance and i.state = 'active' and i.expires_at > @created)";
    private const string ParentLives = "exists (select 1 from grants g where g.id = @parent and g.state = 'active')";

    private static readonly Sql
        InsertPlain = new($"insert into grants ({GrantColumns}) select {GrantValues} where {TaskLives}"),
        InsertWithInstance = new($"insert into grants ({GrantColumns}) select {GrantValues} where {TaskLives} and {InstanceLives}"),
        InsertWithParent = new($"insert into grants ({GrantColumns}) select {GrantValues} where {TaskLives} and {ParentLives}"),
        InsertWithBoth = new($"insert into grants ({GrantColumns}) select {GrantValues} where {TaskLives} and {ParentLives} and {InstanceLives}");

    private static readonly Sql ExtendPlain = new(
        $"update grants set token_exp = case when token_exp < @token_exp then @token_exp else token_exp end where id = @id and state = 'active' and {TaskLives}");

    private static readonly Sql ExtendWithInstance = new(ExtendPlain.Text + " and " + InstanceLives);

    private static readonly Sql Ancestors = new(
        """
        with recursive up (id, parent_id, state, expires_at) as (
          select id, parent_id, state, expires_at from tasks where id = @id
          union all select t.id, t.parent_id, t.state, t.expires_at from tasks t join up on t.id = up.parent_id)
        select state, expires_at from up
        """);

    private static readonly Sql InstanceState = new("select state, expires_at from instances where id = @id");

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

    public override IssueResult Apply(WriteTx tx)
    {
        // 1. The plan was made on this registry: agents active, tools approved, ceilings, clients.
        if (!RegistryVersion.IsCurrent(tx, plan.RegistryVersion))
            return new(IssueOutcome.Stale);

        // 2. Consumed before anything is minted: a crash costs a retry, never a replay.
        foreach (var once in plan.Consume)
            if (!once.Consume(tx))
            {
                tx.Append(Event(AuditTypes.ReplayDetected, "refused", Names.Reasons.Replay) with { Data = new() { ["space"] = once.Space } });
                return new(IssueOutcome.Replayed, once.Space);
            }

        // 3. The task, the grant, all their ancestors and the instances live. The insert itself asks for the nearest of them; where there are
        // more, or rows are added before the grant, that is asked first: a refusal must leave nothing behind but its event.
        if ((plan.NewTask is not null || plan.TaskHasParent) && WhatEnded(tx) is { } ended)
            return Refuse(tx, ended);
        if (plan.NewTask is { } task)
            TaskUnits.Insert(tx, task, plan.Who, plan.IssuedAt.ToUnixTimeMilliseconds());
        if (!Record(tx))
            return Refuse(tx, WhatEnded(tx) ?? Names.Reasons.Revoked);

        // 4. What happened, last.
        if (plan.NewTask is { } created)
            tx.Append(TaskUnits.CreatedEvent(created, plan.Who, plan.IssuedAt, node));
        tx.Append(Event(AuditTypes.TokenIssued, "success", null) with { Data = new() { ["grant_type"] = plan.GrantType, ["scope"] = plan.Scope, ["exp"] = plan.Expires.ToUnixTimeSeconds() } });
        return new(IssueOutcome.Issued);
    }

    private bool Record(WriteTx tx)
    {
        var now = plan.IssuedAt.ToUnixTimeMilliseconds();
        var tokenExp = plan.Expires.ToUnixTimeMilliseconds();
        if (!plan.NewGrant)
            return tx.Run(plan.Who.Instance is null
                ? ExtendPlain.With(tokenExp, plan.GrantId, plan.TaskId, now)
                : ExtendWithInstance.With(tokenExp, plan.GrantId, plan.TaskId, now, plan.Who.Instance)) == 1;
        var insert = (plan.ParentGrant, plan.Who.Instance) switch
        {
            (null, null) => InsertPlain,
            (null, _) => InsertWithInstance,
            (_, null) => InsertWithParent,
            _ => InsertWithBoth,
        };
        return tx.Run(insert.With(
            plan.GrantId, plan.ParentGrant, plan.TaskId, plan.Who.Agent, plan.Who.Instance, plan.Who.User, plan.Who.Client, plan.Target.Id,
            plan.AuthorityJson, string.Join(' ', plan.Who.Chain), string.Join(' ', plan.Lineage), plan.Who.Chain.Count,
            now, plan.TaskExpires.ToUnixTimeMilliseconds(), tokenExp)) == 1;
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
        if (plan.Who.Instance is { } instance && tx.First(InstanceState.With(instance), ReadState) is var i && (i.State != "active" || i.Expires <= now))
            return Names.Reasons.InstanceEnded;
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
        Grant = plan.GrantId, Jti = type == AuditTypes.TokenIssued ? plan.Jti : null, Resource = plan.Target.Resource, Cause = plan.Cause, Node = node,
    };
}
