using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation.Levels;

/// <summary>
/// Ends a subject with all that stands on it, and keeps count. Each is false when there is no such subject. Tasks go before consents and single
/// grants: a task ends any number of grants in one statement.
/// </summary>
/// <param name="cause">The event of the operation.</param>
internal sealed class LevelEnding(WriteTx tx, ApplyChanges changes, Initiator by, string cause, DateTimeOffset now, string node)
{
    /// <summary>What guards and the events of the effects are told; the administrator's own words stand in the cause.</summary>
    public const string Reason = "revoked_by_administrator";

    private static readonly Sql
        GrantState = new("select state from grants where id = @id"),
        FamilyOf = new("select grant_id from refresh_families where id = @id"),
        EndFamily = new("update refresh_families set state = 'revoked' where id = @id and state = 'active'"),
        StateOfInstance = new("select state from instances where id = @id"),
        ConsentState = new("select state from consents where id = @id"),
        Resource = new("select resource from tool_servers where id = @id");

    private static readonly Sql
        TasksOfAgent = new("select id from tasks where agent_id = @id and state in ('active', 'suspended') order by id"),
        TasksOfClient = new("select id from tasks where client_id = @id and state in ('active', 'suspended') order by id"),
        TasksOfUser = new("select id from tasks where user_id = @id and state in ('active', 'suspended') order by id"),
        InstancesOfAgent = new("select id from instances where agent_id = @id and state = 'active' order by id"),
        InstancesOfClient = new("select id from instances where client_id = @id and state = 'active' order by id"),
        ConsentsToAgent = new("select id from consents where agent_id = @id and state = 'active' order by id"),
        ConsentsToClient = new("select id from consents where client_id = @id and state = 'active' order by id"),
        ConsentsOfUser = new("select id from consents where user_id = @id and state = 'active' order by id"),
        GrantsOfAgent = new("select id from grants where agent_id = @id and state = 'active' order by id"),
        GrantsOfClient = new("select id from grants where client_id = @id and state = 'active' order by id"),
        GrantsOfUser = new("select id from grants where user_id = @id and state = 'active' order by id");

    private const string Below =
        """
        with recursive down (id) as (
          select id from grants where tool_server = @server and state = 'active'
          union select g.id from grants g join down on g.parent_id = down.id)
        """;

    private static readonly Sql
        // What is for other tool servers and hangs below: their guards know nothing of this one.
        Elsewhere = new(
            """
            select g.id from grants g join grants p on p.id = g.parent_id
            where p.tool_server = @server and g.tool_server <> @server and p.state = 'active' and g.state = 'active' order by g.id
            """),
        EndFamiliesFor = new(Below + " update refresh_families set state = 'revoked' where state = 'active' and grant_id in (select id from down)"),
        RevokeFor = new(Below + " update grants set state = 'revoked' where state = 'active' and id in (select id from down)");

    private static readonly Sql
        AllGrants = new("update grants set state = 'revoked' where state = 'active'"),
        AllFamilies = new("update refresh_families set state = 'revoked' where state = 'active'"),
        AllInstances = new("update instances set state = 'ended', ended_at = @now where state = 'active'"),
        AllSessions = new("update sessions set ended_at = @now where ended_at is null"),
        AllConsents = new("update consents set state = 'withdrawn', remembered_until = 0, ended_at = @now where state = 'active'");

    private readonly long ms = now.ToUnixTimeMilliseconds();

    public List<AuditEvent> Events { get; } = [];

    public long Grants { get; private set; }

    /// <summary>False when the subject is a token that stands on nothing: a guard's own, or one that administers.</summary>
    public bool Revocable { get; private set; } = true;

    public bool Token(string jti)
    {
        if (tx.First(IssuedTokens.AnyByJti.With(jti), r => r.GetString(0)) is not { } body)
            return false;
        var issued = JsonSerializer.Deserialize(body, ProtocolJson.Default.AuditEvent)!;
        if (issued.Grant is { } grant)
            Grant(grant, jti);
        else if (issued.Instance is { } instance)
            Instance(instance);
        else
            Revocable = false;
        return true;
    }

    public bool Family(string id)
    {
        if (tx.First(FamilyOf.With(id), r => r.GetString(0)) is not { } grant)
            return false;
        if (tx.Run(EndFamily.With(id)) == 1)
            Grant(grant);
        return true;
    }

    public bool Task(string id)
    {
        if (TaskTree.Root(tx, id) is not { } task)
            return false;
        // One that was below another may have ended with it.
        if (!TaskState.IsFinal(task.State))
            Add(TaskTree.End(tx, id, TaskState.Revoked, Reason, by, cause, now, node));
        return true;
    }

    public bool Instance(string id)
    {
        if (tx.First(StateOfInstance.With(id), r => r.GetString(0)) is null)
            return false;
        Add(InstanceEnding.End(tx, id, Delegation.InstanceState.Ended, Reason, by, cause, now, node));
        return true;
    }

    /// <param name="named">Whether it is what the administrator named; else it ends with something else.</param>
    public bool Consent(string id, bool named)
    {
        if (tx.First(ConsentState.With(id), r => r.GetString(0)) is not { } state)
            return false;
        if (state == "active")
            Add(ConsentEnding.Withdraw(tx, id, Reason, by, cause, now, node, forGood: named));
        return true;
    }

    public bool Agent(string id) =>
        Suspending.Suspend(changes, SubjectKind.Agent, id) && Ended(id, TasksOfAgent, InstancesOfAgent, ConsentsToAgent, GrantsOfAgent);

    public bool Client(string id) =>
        Suspending.Suspend(changes, SubjectKind.Client, id) && Ended(id, TasksOfClient, InstancesOfClient, ConsentsToClient, GrantsOfClient);

    public bool User(string id)
    {
        // Counted before: with a session ends what lives by it.
        var living = tx.All(GrantsOfUser.With(id), r => r.GetString(0));
        // Tasks first, for the same reason: how long their tokens would have lived is told by grants that end with the sessions.
        Ended(id, TasksOfUser, null, ConsentsOfUser, GrantsOfUser);
        if (!Suspending.Disable(changes, id))
            return false;
        Grants = living.Count;
        return true;
    }

    public bool ToolServer(string id)
    {
        if (tx.First(Resource.With(id), r => r.GetString(0)) is not { } resource || !Suspending.Suspend(changes, SubjectKind.ToolServer, id))
            return false;
        var elsewhere = tx.All(Elsewhere.With(id), r => r.GetString(0));
        tx.Run(EndFamiliesFor.With(id));
        Grants += tx.Run(RevokeFor.With(id));
        // One word for all of its own, whatever their number. It ends at a moment: once it is active again, what is issued then is good.
        Revocations.Deny(tx, SubjectKind.ToolServer, Id.Audience + resource, Reason, ms, before: ms / 1000);
        foreach (var grant in elsewhere)
            Revocations.Deny(tx, SubjectKind.Grant, grant, Reason, ms);
        return true;
    }

    public bool Everything()
    {
        Events.AddRange(TaskTree.EndAll(tx, Reason, by, cause, now, node));
        Grants += tx.Run(AllGrants.With());
        tx.Run(AllFamilies.With());
        tx.Run(AllInstances.With(ms));
        tx.Run(AllSessions.With(ms));
        tx.Run(AllConsents.With(ms));
        Revocations.Deny(tx, SubjectKind.Everything, Id.Everything, Reason, ms, before: ms / 1000);
        return true;
    }

    private void Grant(string id, string? jti = null)
    {
        if (tx.First(GrantState.With(id), r => r.GetString(0)) == "active")
            Add(GrantTree.Revoke(tx, id, jti, Reason, cause, now, node));
    }

    private bool Ended(string id, Sql tasks, Sql? instances, Sql consents, Sql grants)
    {
        foreach (var task in Of(tasks))
            Task(task);
        foreach (var instance in instances is null ? [] : Of(instances))
            Instance(instance);
        foreach (var consent in Of(consents))
            Consent(consent, named: false);
        foreach (var grant in Of(grants))
            Grant(grant);
        return true;

        List<string> Of(Sql sql) => tx.All(sql.With(id), r => r.GetString(0));
    }

    private void Add(List<AuditEvent> ended)
    {
        Events.AddRange(ended);
        // A grant's end is an event, a task's or an instance's says how many ended with it.
        Grants += ended.Sum(e => e.Type is AuditTypes.GrantRevoked or AuditTypes.TokenRevoked ? 1 : (long?)e.Data?["grants"] ?? 0);
    }
}
