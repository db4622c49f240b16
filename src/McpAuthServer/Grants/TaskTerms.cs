using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;

namespace McpAuthServer.Grants;

/// <summary>The task a token will belong to: a running one, or one that the same commit creates.</summary>
/// <param name="Held">Whether it is of one instance at a time, which may be another by now than the one that asks.</param>
internal sealed record TaskTerms(string Id, Authority Authority, DateTimeOffset Expires, bool HasParent, IReadOnlyList<string> Ancestors, NewTask? New, bool Held = false)
{
    public const string NotOwn = "The task does not exist or is not this agent's own.";

    /// <summary>An autonomous agent's own task: <paramref name="asked"/> names a running one by id or a new one by purpose.</summary>
    public static async Task<Result<TaskTerms>> ForAgentAsync(
        TaskRequest? asked, Authority requested, AgentRecord agent, RegistrySnapshot registry, TaskStore tasks, DateTimeOffset now, CancellationToken cancel)
    {
        if (asked is null)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "authorization_details must carry the task: its id, or the purpose of a new one.");
        return asked.Id is { } id ? await RunningAsync(id, agent, tasks, cancel) : NewFor(asked, requested, agent, registry, now);
    }

    /// <summary>The agent's own running task. Another's, and a hand-off's child, are not told apart from none: their authority lives in their tokens.</summary>
    public static async Task<Result<TaskTerms>> RunningAsync(string id, AgentRecord agent, TaskStore tasks, CancellationToken cancel)
    {
        if (await tasks.FindTerms(id, cancel) is not { Origin: TaskOrigin.Own } task || task.AgentId != agent.Id)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, NotOwn);
        var ancestors = task.ParentId is null ? [] : (await tasks.Lineage(id, cancel)).Skip(1).Select(t => t.Id).ToList();
        return new TaskTerms(task.Id, task.Authority, task.Expires, task.ParentId is not null, ancestors, null, task.Resumable);
    }

    private static Result<TaskTerms> NewFor(TaskRequest asked, Authority requested, AgentRecord agent, RegistrySnapshot registry, DateTimeOffset now)
    {
        if (Narrowing.ForTask(requested, agent, registry) is { } fault)
            return fault;
        if (!TaskDeadline.Resolve(asked.ExpiresAt, agent.MaxTask, now).TryGet(out var expires, out fault))
            return fault;
        var id = McpAuth.Protocol.Id.New(McpAuth.Protocol.Id.Task, now);
        return new TaskTerms(id, requested, expires, false, [], new NewTask(id, null, TaskOrigin.Own, asked.Purpose!, requested, expires, asked.Resumable));
    }

    /// <summary>The plan of a token under this task.</summary>
    public Issuance Issue(TokenRequest request, Principals who, ToolServerRecord target, Authority authority, string grantType, TimeSpan lifetime) => new()
    {
        Who = who, Target = target, Authority = authority, Scope = authority.ToScope(target.Resource), TaskId = Id, TaskExpires = Expires, TaskHasParent = HasParent,
        NewTask = New, ForHolder = Held, Lineage = Ancestors, GrantId = McpAuth.Protocol.Id.New(McpAuth.Protocol.Id.Grant, request.Now), Thumbprint = request.Proof?.Thumbprint,
        Jti = McpAuth.Protocol.Id.New(McpAuth.Protocol.Id.AccessToken, request.Now), IssuedAt = request.Now,
        Expires = Issuance.Earliest(request.Now + lifetime, Expires), RegistryVersion = request.Registry.Version, GrantType = grantType, Consume = request.Consume,
    };
}
