using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <summary>Shows tasks, and moves them with the rank of an administrator: what is suspended here no agent and no user resumes (invariant 12).</summary>
internal sealed class WorkDesk(AdminCallers callers, TaskStore tasks, TaskStories stories, IReadStore store, ICommitLog log, ServerOptions options, TimeProvider time)
{
    public const string Suspend = "suspend", Resume = "resume", Revoke = "revoke";

    public static readonly IReadOnlyList<string> Verbs = [Suspend, Resume, Revoke];

    private static readonly string[] States = [TaskState.Active, TaskState.Suspended, TaskState.Completed, TaskState.Failed, TaskState.Expired, TaskState.Revoked];

    private static readonly Sql Page = new(
        $"""
        select {TaskStore.Columns} from tasks where (@agent = '' or agent_id = @agent) and (@user = '' or user_id = @user) and (@state = '' or state = @state)
          and (@after = '' or id < @after) order by id desc limit @limit
        """);

    /// <summary>Newest first.</summary>
    public async Task<IResult> ListAsync(AdminCall call)
    {
        var (page, filters, invalid) = PageOf.Read(call.Context.Request, "agent", "user", "state");
        if (invalid is null && filters[2].Length > 0 && !States.Contains(filters[2], StringComparer.Ordinal))
            invalid = Problem.Invalid($"state is one of {string.Join(", ", States)}.");
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        var found = await store.All(Page.With(filters[0], filters[1], filters[2], page.After, page.Limit + 1L), TaskStore.Read, call.Cancel);
        return AdminAnswer.List([.. found.OfType<TaskRecord>().Select(View)], page.Limit);
    }

    /// <summary>The task with its whole story.</summary>
    public async Task<IResult> ShowAsync(AdminCall call) => await tasks.Find(call.Id, call.Cancel) is { } task
        ? Results.Json(new TaskStory(task.ToView(), await stories.OfAsync(call.Id, call.Cancel)), ProtocolJson.Default.TaskStory)
        : await callers.RefuseAsync(call.Caller, NotFound);

    public async Task<IResult> MoveAsync(string verb, AdminCall call)
    {
        var (body, unread) = await StrictBody.JsonAsync(call.Context.Request, RequestJson.Default.TaskTransitionRequest, Limits.TokenBody);
        var invalid = body is null ? Problem.Of(unread!) : RevocationDesk.WrongReason(body.Reason) is { } wrong ? Problem.Invalid(wrong) : null;
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        var (by, now) = (call.Caller.Initiator, time.GetUtcNow());
        Unit<Transition> unit = verb == Revoke
            ? new EndTask(call.Id, TaskState.Revoked, body!.Reason, by, null, now, options.Node)
            : new SuspendOrResumeTask(call.Id, verb == Suspend, body!.Reason, by, null, now, options.Node);
        var moved = await log.Commit(unit);
        if (moved.Applied)
            return AdminAnswer.One(View((await tasks.Find(call.Id, call.Cancel))!));
        return await callers.RefuseAsync(
            call.Caller, moved.State is null ? NotFound : new Problem(StatusCodes.Status409Conflict, Problem.ConflictCode, $"The task is {moved.State}.") { Reason = moved.Reason });
    }

    private static Problem NotFound => Problem.NotFound("There is no such task.");

    private static JsonObject View(TaskRecord task) => JsonSerializer.SerializeToNode(task.ToView(), ProtocolJson.Default.TaskView)!.AsObject();
}
