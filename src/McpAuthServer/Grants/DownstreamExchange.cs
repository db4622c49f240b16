using McpAuth.Protocol;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>
/// A tool server that was called with a task's token gets one of its own for another tool server (invariant 9): for the same person, agent and task, as far as an
/// edge of the registry goes, bound to the guard's key. It gets no refresh token, and nobody exchanges it further.
/// </summary>
internal sealed class DownstreamExchange(TaskParents parents, ServerOptions options)
{
    public async Task<GrantResult> PlanAsync(TokenRequest request, GuardRecord guard, OwnToken subject, OwnToken? actor, CancellationToken cancel)
    {
        // 1. Who asks: the guard, with its enrolled key, of the tool server that the token was presented to.
        if (actor is not null)
            return OAuthError.InvalidRequest("A tool server acts for nobody but the subject.", Names.Reasons.WrongType);
        if (request.Proof is not { } proof)
            return OAuthError.InvalidProof(new Fault("missing", "A token exchange needs a DPoP proof by the presenter's key."));
        if (proof.Thumbprint != guard.Key.Thumbprint)
            return OAuthError.InvalidRequest("The request does not come from the guard's own key.", Names.Reasons.NotPresenter);
        if (request.Registry.ToolServers.GetValueOrDefault(guard.ToolServer) is not { Active: true } server || subject.Audience != server.Resource)
            return OAuthError.InvalidRequest("The subject token is not for this tool server.", Names.Reasons.NotPresenter);

        // 2. What the token stands on.
        var parent = await parents.FindAsync(request, subject, cancel);
        if (parent.Error is { } refusal)
            return refusal;
        var (grant, task) = parent.Value;
        if (grant.Lineage.Count + 2 > GrantStore.MaxLineage)
            return OAuthError.InvalidRequest("The token was narrowed too often; start again from the task.", Names.Reasons.Depth);

        // 3. The tool that runs must be held by the token, and have an edge to where it wants to go.
        if (request.Form[Names.Exchange.Tool] is not { } tool)
            return OAuthError.InvalidRequest($"{Names.Exchange.Tool} must name the tool that asks.");
        if (grant.Authority.At(server.Resource)?.Tools.ContainsKey(tool) != true || server.Tools.GetValueOrDefault(tool) is not { Approved: true })
            return OAuthError.InvalidRequest("The subject token is not for this tool.", Names.Reasons.ActorUnauthorized);
        var (target, error) = request.Target(null);
        if (error is not null)
            return error;
        if (request.Registry.Edges.FirstOrDefault(e => e.FromServer == server.Id && e.FromTool == tool && e.ToServer == target!.Id) is not { ToTools.Count: > 0 } edge)
            return new OAuthError(Names.Errors.InvalidTarget, "The tool may not call this resource.", Reason: Names.Reasons.NoEdge);

        // 4. Authority: what the task has there, through the edge, and as far as every agent of the chain may go.
        if (request.Details() is { Ok: false } bad)
            return bad.Fault;
        var asked = request.Details()?.Value;
        if (asked?.Task is { } named && named.Id != task.Id)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A tool server's token stays in the subject's task.");
        var reachable = task.Authority.OnlyAt(target!.Resource).OnlyTools(edge.ToTools.Contains);
        if (!Narrowing.Explicit(asked?.Authority, request.Form[Names.OAuth.Scope], reachable, target, TaskParents.Ceilings(request, subject, taker: null)).TryGet(out var authority, out var fault))
            return fault;

        // RFC 8693 §4.1: whose authority and which agent stay as they are; client and key are the tool server's.
        var who = new Principals(subject.Subject, TaskParents.Profile(subject.Subject), grant.UserId, subject.Agent, null, guard.Id, subject.Chain);
        List<string> lineage = [grant.Id, .. subject.Instance is { } instance ? [instance] : Array.Empty<string>(), .. grant.Lineage];
        var plan = TaskParents.Plan(request, who, target, authority, task, grant, options.AccessTokenLifetime);
        return plan with
        {
            ParentGrant = grant.Id, Lineage = [.. lineage.Distinct(StringComparer.Ordinal)], Thumbprint = proof.Thumbprint, Cause = subject.Jti,
            Downstream = new Downstream(guard.Id, server.Resource, tool), Presence = await parents.PresenceAsync(grant, subject, cancel),
            // What it was called with bounds it, too: the call is over by then.
            Expires = Issuance.Earliest(plan.Expires, subject.Expires),
        };
    }
}
