using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.Tasks;

/// <summary>Finds a task for a caller who may know of it, and moves it.</summary>
internal sealed class TaskDesk(AgentCallers callers, TaskStore tasks, ICommitLog log, ServerOptions options, TimeProvider time)
{
    private const int MaxReason = 500;

    public static readonly IReadOnlyList<string> Verbs = ["complete", "fail", "suspend", "resume", "revoke"];

    /// <summary>Another's task is not told apart from none.</summary>
    public static OAuthError NotFound => new("not_found", "There is no such task.", StatusCodes.Status404NotFound);

    /// <summary>A task of the caller's agent, or one below a task of it; null otherwise.</summary>
    public async Task<(TaskRecord Task, bool Own, bool Below)?> FindAsync(string id, AgentCaller caller, CancellationToken cancel)
    {
        if (await tasks.Find(id, cancel) is not { } task)
            return null;
        var own = task.AgentId == caller.Agent.Id;
        var below = task.ParentId is not null && (await tasks.Lineage(id, cancel)).Skip(1).Any(above => above.Agent == caller.Agent.Id);
        return own || below ? (task, own, below) : null;
    }

    public async Task<IResult> MoveAsync(string id, string verb, HttpContext context)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, $"{Names.Paths.Tasks}/{id}/{verb}");
        if (caller is null)
            return error!;
        string? reason = null;
        // A body that is sent in chunks has no length.
        if (context.Request.ContentLength is > 0 || context.Request.ContentType is not null)
        {
            var (body, invalid) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.TaskTransitionRequest, Limits.TokenBody);
            if (body is null || body.Reason is { Length: > MaxReason })
                return await RefuseAsync(caller, invalid ?? OAuthError.InvalidRequest($"reason has at most {MaxReason} characters."));
            reason = body.Reason;
        }
        if (await FindAsync(id, caller, context.RequestAborted) is not { } found)
            return await RefuseAsync(caller, NotFound);
        // Its own work an agent completes or fails; `revoke` is for who stands above it.
        if (verb == "revoke" ? !found.Below : !found.Own)
            return await RefuseAsync(
                caller, new OAuthError(Names.Errors.InvalidRequest, $"This agent may not {verb} the task.", StatusCodes.Status403Forbidden, Names.Reasons.ActorUnauthorized), id);

        var now = time.GetUtcNow();
        Unit<Transition> unit = verb switch
        {
            "complete" => new EndTask(id, TaskState.Completed, reason, caller.Initiator, caller.Proof, now, options.Node),
            "fail" => new EndTask(id, TaskState.Failed, reason, caller.Initiator, caller.Proof, now, options.Node),
            "revoke" => new EndTask(id, TaskState.Revoked, reason, caller.Initiator, caller.Proof, now, options.Node),
            _ => new SuspendOrResumeTask(id, verb == "suspend", reason, caller.Initiator, caller.Proof, now, options.Node),
        };
        var moved = await log.Commit(unit);
        if (moved.Replayed)
            return OAuthError.UsedProof;
        if (!moved.Applied)
            return new OAuthError(
                Names.Errors.InvalidRequest, moved.Reason == Names.Reasons.HeldByAnother ? "Another instance of the agent holds the task." : $"The task is {moved.State}.",
                StatusCodes.Status409Conflict, moved.Reason);
        return Results.Json((await tasks.Find(id, context.RequestAborted))!.ToView(), ProtocolJson.Default.TaskView);
    }

    public Task<OAuthError> RefuseAsync(AgentCaller caller, OAuthError error, string? task = null) => callers.RefuseAsync(caller, error, AuditTypes.TaskRefused, task);
}
