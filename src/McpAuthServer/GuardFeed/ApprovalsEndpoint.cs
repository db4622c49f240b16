using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.CallApprovals;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary>
/// <c>POST /guard/approvals</c>: a call that needs a person's yes. It uses one up, or waits for one. Nothing that a guard says of the caller is taken: that comes from what was
/// issued.
/// </summary>
internal static class ApprovalsEndpoint
{
    /// <summary>The arguments, encrypted and in base64url, with the rest.</summary>
    private const int Body = 2 * Limits.ApprovalArguments;

    private const int LongestDigest = 128;

    public static void MapApprovalsEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.GuardApprovals, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, GuardCallers callers, IssuedTokens issued, ApprovalStore approvals, Approvers approvers, ICommitLog log, ServerOptions options, Issuer issuer, TimeProvider time)
    {
        var cancel = context.RequestAborted;
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardApprovals);
        if (caller is null)
            return error!;
        var (body, invalid) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.ApprovalRequest, Body);
        if (body is null)
            return invalid!;
        if (!body.Decision.StartsWith(Id.Decision, StringComparison.Ordinal) || body.Decision.Length > 64 || body.DefDigest.Length > LongestDigest || body.PolicyHash.Length > LongestDigest)
            return OAuthError.InvalidRequest("decision is a decision's id, def_digest and policy_hash are digests.");

        // 1. Whose call it is; of a token for another tool server this guard has nothing to say.
        if (await issued.FindAsync(body.Jti, cancel) is not { Task: { } task, Grant: not null, Client: not null } token || token.Resource != caller.Server.Resource)
            return Refused(Names.Reasons.Foreign);

        // 2. The tool as it was approved.
        if (caller.Server.Tools.GetValueOrDefault(body.Tool) is not { Approved: true } tool || tool.Digest != body.DefDigest)
            return Refused(Names.Denials.ToolDrifted);

        // 3. The arguments themselves: what a person will see is what has the digest, and is what the handler gets.
        if (await approvals.OpenAsync(caller.Server.Id, body.Decision, body.Arguments, body.ArgsDigest, cancel) is not { } arguments || !IsCanonical(arguments))
            return await callers.RefuseAsync(caller, OAuthError.InvalidRequest("The arguments do not open, are not in canonical form, or have another digest.", "wrong_arguments"));

        // 4. One commit uses a yes up; another asks for one.
        var now = time.GetUtcNow();
        var bound = new BoundCall(task, token.User, token.Agent, token.Instance, caller.Server.Id, body.Tool, body.DefDigest, body.ArgsDigest, body.PolicyHash);
        var held = new HeldCall(bound, body.Decision, body.Arguments, token);
        var claim = await log.Commit(new ClaimApproval(held, caller.Server.Resource, now, options.Node));
        if (!claim.Found)
            claim = await log.Commit(new AskApproval(
                held, caller.Server.Resource, options.RateLimits.Asking.WaitingInAll, [.. options.Approvals.Webhooks.Select(w => w.Name)], now, options.Node));
        return claim switch
        {
            { Approval: { } yes, Used: true } => Answer(new(ApprovalStates.Used, yes.Id, By: yes.AnsweredBy, At: yes.Answered?.ToUnixTimeMilliseconds())),
            { Approval: { } waiting } => Answer(new(
                ApprovalStates.Waiting, waiting.Id, issuer.Uri($"{Names.Paths.Approvals}/{waiting.Id}").AbsoluteUri, Math.Max(0, (long)(waiting.Expires - now).TotalSeconds),
                await approvers.OwnMayAsync(waiting, caller.Registry, now, cancel))),
            _ => Refused(claim.Reason!),
        };
    }

    private static bool IsCanonical(byte[] arguments) =>
        StrictJson.Parse(arguments, new JsonLimits(Limits.ApprovalArguments)).TryGet(out var json, out _) && json.ValueKind == System.Text.Json.JsonValueKind.Object
        && CanonicalJson.ToBytes(json).AsSpan().SequenceEqual(arguments);

    private static IResult Refused(string reason) => Answer(new(ApprovalStates.Refused, Reason: reason));

    private static IResult Answer(ApprovalResponse answer) => Results.Json(answer, ProtocolJson.Default.ApprovalResponse);
}
