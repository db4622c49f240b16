using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using GrantedAuthority = McpAuth.Protocol.ToolCalls.Authority;

namespace McpAuthServer.Tasks;

/// <summary><c>/tasks</c>: an attested agent begins its own tasks, or children of them, and moves them through their states.</summary>
internal static class TasksEndpoint
{
    private const int MaxPurpose = 500;

    public static void MapTasksEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.MapPost(Names.Paths.Tasks, CreateAsync);
        routes.MapGet(Names.Paths.Tasks + "/{id}", ShowAsync);
        routes.MapGet(Names.Paths.Tasks + "/{id}/story", StoryAsync);
        foreach (var verb in TaskDesk.Verbs)
            routes.MapPost($"{Names.Paths.Tasks}/{{id}}/{verb}", (string id, HttpContext context, TaskDesk desk) => desk.MoveAsync(id, verb, context));
    }

    private static async Task<IResult> CreateAsync(
        HttpContext context, AgentCallers callers, RegistryCache registry, TaskStore tasks, ICommitLog log, AuditTrail audit, ServerOptions options, TimeProvider time)
    {
        // 1. Who asks.
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.Tasks);
        if (caller is null)
            return error!;

        // 2. What for.
        var (body, invalid) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.CreateTaskRequest, Limits.TokenBody);
        if (body is null)
            return await Refuse(invalid!);
        if (string.IsNullOrWhiteSpace(body.Purpose) || body.Purpose.Length > MaxPurpose)
            return await Refuse(OAuthError.InvalidRequest($"purpose must say in 1 to {MaxPurpose} characters what the task is for."));
        if (!GrantedAuthority.Parse(body.AuthorizationDetails).TryGet(out var authority, out var fault) || (fault = Narrowing.ForTask(authority, caller.Agent, caller.Registry)) is not null)
            return await Refuse(OAuthError.From(fault));
        var now = time.GetUtcNow();
        if (!TaskDeadline.Resolve(body.ExpiresAt, caller.Agent.MaxTask, now).TryGet(out var expires, out fault))
            return await Refuse(OAuthError.InvalidRequest(fault.Message));

        // 3. A child is narrower than its parent and ends with it.
        if (body.ParentTask is { } parentId)
        {
            if (await tasks.Find(parentId, context.RequestAborted) is not { Origin: TaskOrigin.Own } parent || parent.AgentId != caller.Agent.Id)
                return await Refuse(OAuthError.InvalidRequest("The parent task does not exist or is not this agent's own."));
            // Every ancestor stands in a token's lineage, and tokens stay small.
            if ((await tasks.Lineage(parentId, context.RequestAborted)).Count >= GrantStore.MaxLineage)
                return await Refuse(OAuthError.InvalidRequest($"Tasks nest {GrantStore.MaxLineage} deep at most.", Names.Reasons.Depth));
            if (authority.Exceeds(parent.Authority) is { } beyond)
                return await Refuse(OAuthError.From(beyond with { Code = Names.Errors.InvalidAuthorizationDetails, Message = $"More than the parent task holds: {beyond.Message}" }));
            if (body.ExpiresAt is null && parent.Expires < expires)
                expires = parent.Expires;
            if (expires > parent.Expires)
                return await Refuse(OAuthError.InvalidRequest("A child task ends with its parent at the latest."));
        }

        // 4. One commit.
        var task = new NewTask(Id.New(Id.Task, now), body.ParentTask, TaskOrigin.Own, body.Purpose, authority, expires, body.Resumable);
        var created = await log.Commit(new CreateTask(task, caller.Principals, caller.Registry.Version, caller.Proof, now, options.Node));
        switch (created.Outcome)
        {
            case IssueOutcome.Stale:
                registry.Invalidate(caller.Registry.Version);
                return new OAuthError(Names.Errors.TemporarilyUnavailable, "The registry changed; try again.", StatusCodes.Status503ServiceUnavailable);
            case IssueOutcome.Replayed:
                return OAuthError.UsedProof;
            case IssueOutcome.Ended when created.Reason == Names.Reasons.HeldByAnother:
                return new OAuthError(Names.Errors.InvalidRequest, "Another instance of the agent holds the parent task.", StatusCodes.Status409Conflict, created.Reason);
            case IssueOutcome.Ended:
                return OAuthError.InvalidRequest("What the task would stand on has ended.", created.Reason);
        }
        context.Response.Headers.Location = $"{Names.Paths.Tasks}/{task.Id}";
        var view = (await tasks.Find(task.Id, context.RequestAborted))!.ToView();
        return Results.Json(view, ProtocolJson.Default.TaskView, statusCode: StatusCodes.Status201Created);

        async Task<IResult> Refuse(OAuthError e)
        {
            var refused = audit.Refusal(AuditTypes.TaskRefused, e.Reason ?? e.Code) with { Agent = caller.Agent.Id, Instance = caller.Instance.Id, Client = caller.Client };
            return await audit.RefuseAsync(refused, [caller.Proof]) is null ? e : OAuthError.UsedProof;
        }
    }

    private static async Task<IResult> ShowAsync(string id, HttpContext context, AgentCallers callers, TaskDesk desk)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, $"{Names.Paths.Tasks}/{id}");
        if (caller is null)
            return error!;
        if (await desk.FindAsync(id, caller, context.RequestAborted) is not { } found)
            return await desk.RefuseAsync(caller, TaskDesk.NotFound);
        return await callers.ConsumeAsync(caller) as IResult ?? Results.Json(found.Task.ToView(), ProtocolJson.Default.TaskView);
    }

    private static async Task<IResult> StoryAsync(string id, HttpContext context, AgentCallers callers, TaskDesk desk, TaskStories stories)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, $"{Names.Paths.Tasks}/{id}/story");
        if (caller is null)
            return error!;
        if (await desk.FindAsync(id, caller, context.RequestAborted) is not { } found)
            return await desk.RefuseAsync(caller, TaskDesk.NotFound);
        return await callers.ConsumeAsync(caller) as IResult ?? Results.Json(new TaskStory(found.Task.ToView(), await stories.OfAsync(id, context.RequestAborted)), ProtocolJson.Default.TaskStory);
    }
}
