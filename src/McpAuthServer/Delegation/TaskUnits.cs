using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>Creating tasks.</summary>
internal static class TaskUnits
{
    private static readonly Sql InsertTask = new(
        """
        insert into tasks (id, parent_id, user_id, agent_id, client_id, origin, purpose, authority, state, suspended_by, created_at, expires_at, instance_id, resumable)
        values (@id, @parent, @user, @agent, @client, @origin, @purpose, @authority, 'active', 0, @created, @expires, @instance, @resumable)
        """);

    public static void Insert(WriteTx tx, NewTask task, Principals who, long now) =>
        tx.Run(InsertTask.With(
            task.Id, task.ParentId, who.User, who.Agent, who.Client, task.Origin, task.Purpose, task.Authority.ToJson(), now, task.Expires.ToUnixTimeMilliseconds(),
            who.Instance, task.Resumable ? 1L : 0L));

    public static AuditEvent CreatedEvent(NewTask task, Principals who, DateTimeOffset now, string node)
    {
        var told = new JsonObject
        {
            ["purpose"] = task.Purpose, ["origin"] = task.Origin, ["expires_at"] = task.Expires.ToUnixTimeMilliseconds(),
            ["authorization_details"] = JsonNode.Parse(task.Authority.ToJson()),
        };
        if (task.Resumable)
            told["resumable"] = true;
        return new()
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.TaskCreated, Outcome = "success", User = who.User, Agent = who.Agent,
            Instance = who.Instance, Client = who.Client, Chain = who.Chain.Count == 0 ? null : who.Chain, Task = task.Id, ParentTask = task.ParentId, Node = node, Data = told,
        };
    }
}

/// <summary>Creates a task by itself (<c>POST /tasks</c>, or a client's session task).</summary>
internal sealed class CreateTask(NewTask task, Principals who, long registryVersion, Once? proof, DateTimeOffset now, string node) : Unit<IssueResult>
{
    private static readonly Sql ParentState = new("select state, expires_at from tasks where id = @id");
    private static readonly Sql StateOfInstance = new("select state, expires_at from instances where id = @id");
    private static readonly Sql HasSession = new("select count(*) from tasks where client_id = @client and origin = 'session' and user_id is null and state = 'active'");

    // A session task must be the only one of its client; two that open it at once take turns.
    public override StateLock Lock => task.Origin == TaskOrigin.Session ? StateLock.Exclusive : StateLock.Shared;

    public override IssueResult Apply(WriteTx tx)
    {
        if (!RegistryVersion.IsCurrent(tx, registryVersion))
            return new(IssueOutcome.Stale);
        if (proof is { } once && !once.Consume(tx))
        {
            tx.Append(Refused(AuditTypes.ReplayDetected, Names.Reasons.Replay));
            return new(IssueOutcome.Replayed, once.Space);
        }
        if (task.Origin == TaskOrigin.Session && tx.First(HasSession.With(who.Client), r => r.GetInt64(0)) > 0)
            return new(IssueOutcome.Stale);
        if (Ended(tx) is { } reason)
        {
            tx.Append(Refused(AuditTypes.TaskRefused, reason));
            return new(IssueOutcome.Ended, reason);
        }
        TaskUnits.Insert(tx, task, who, now.ToUnixTimeMilliseconds());
        tx.Append(TaskUnits.CreatedEvent(task, who, now, node));
        return new(IssueOutcome.Issued);
    }

    private string? Ended(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        if (who.Instance is not null && !Lives(tx, StateOfInstance.With(who.Instance), ms))
            return Names.Reasons.InstanceEnded;
        if (task.ParentId is not { } parent)
            return null;
        if (!Lives(tx, ParentState.With(parent), ms))
            return Names.Reasons.TaskEnded;
        return TaskHolding.Find(tx, parent) is { Resumable: true } held && held.InstanceId != who.Instance ? Names.Reasons.HeldByAnother : null;
    }

    private static bool Lives(WriteTx tx, Statement statement, long now) =>
        tx.First(statement, r => r.GetString(0) == "active" && r.GetInt64(1) > now);

    private AuditEvent Refused(string type, string reason) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = "refused", Reason = reason,
        Agent = who.Agent, Instance = who.Instance, Client = who.Client, ParentTask = task.ParentId, Node = node,
    };
}
