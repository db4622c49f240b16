using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.CallApprovals;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <summary>Shows calls that wait for a person, and refuses them. Nobody approves here: a client that administers is not a person, and says nothing in the name of one.</summary>
internal sealed class ApprovalsDesk(AdminCallers callers, ApprovalStore approvals, RegistryCache registry, ICommitLog log, ServerOptions options, TimeProvider time)
{
    /// <summary>Newest first; never the arguments.</summary>
    public async Task<IResult> ListAsync(AdminCall call)
    {
        var (page, filters, invalid) = PageOf.Read(call.Context.Request, "state", "task", "user");
        if (invalid is null && filters[0].Length > 0 && !ApprovalState.All.Contains(filters[0], StringComparer.Ordinal))
            invalid = Problem.Invalid($"state is one of {string.Join(", ", ApprovalState.All)}.");
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        var snapshot = await registry.Current(call.Cancel);
        var found = await approvals.PageAsync(filters[0], filters[1], filters[2], page.After, page.Limit + 1L, call.Cancel);
        return AdminAnswer.List([.. found.Select(approval => Told(approval, snapshot))], page.Limit);
    }

    public async Task<IResult> RefuseAsync(AdminCall call)
    {
        var (body, unread) = await StrictBody.JsonAsync(call.Context.Request, RequestJson.Default.TaskTransitionRequest, Limits.TokenBody);
        var invalid = body is null ? Problem.Of(unread!) : RevocationDesk.WrongReason(body.Reason) is { } wrong ? Problem.Invalid(wrong) : null;
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        if (await approvals.FindAsync(call.Id, call.Cancel) is not { } approval)
            return await callers.RefuseAsync(call.Caller, Problem.NotFound("There is no such approval."));
        var outcome = await log.Commit(new AnswerApproval(approval, yes: false, null, call.Caller.Client, body!.Reason, 0, time.GetUtcNow(), options.Node));
        var now = (await approvals.FindAsync(call.Id, call.Cancel))!;
        return outcome == AnswerOutcome.Done
            ? AdminAnswer.One(Told(now, await registry.Current(call.Cancel)))
            : await callers.RefuseAsync(call.Caller, new Problem(StatusCodes.Status409Conflict, Problem.ConflictCode, $"The approval is {now.State}, or its time is over."));
    }

    private static JsonObject Told(CallApproval approval, RegistrySnapshot registry)
    {
        var call = approval.Call;
        var told = new JsonObject
        {
            ["id"] = approval.Id, ["state"] = approval.State, ["task"] = call.Task, ["client"] = approval.Client, ["tool_server"] = call.ToolServer,
            ["resource"] = registry.ToolServers.GetValueOrDefault(call.ToolServer)?.Resource, ["tool"] = call.Tool, ["def_digest"] = call.DefDigest, ["args_digest"] = call.ArgsDigest,
            ["policy_hash"] = call.PolicyHash, ["decision"] = approval.SealedFor, ["asked_at"] = approval.Asked, ["expires_at"] = approval.Expires,
        };
        foreach (var (name, value) in new[]
                 {
                     ("user", call.User), ("agent", call.Agent), ("instance", call.Instance), ("answered_by", approval.AnsweredBy), ("used_by", approval.UsedBy),
                 })
            if (value is not null)
                told[name] = value;
        if (approval.Answered is { } answered)
            told["answered_at"] = answered;
        return told;
    }
}
