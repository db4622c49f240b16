using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>
/// Token exchange (RFC 8693). Five forms: an instance token alone opens its agent's own task; what a person handed over, with the agent's instance
/// token, begins or continues work for that person; a task's token with another agent's instance token hands the work off; a task's token alone
/// continues it; and a tool server that was called with one gets its own for what a tool does elsewhere. Impersonation is not offered.
/// </summary>
internal sealed class TokenExchangeGrant(
    SigningKeyRing keys, Issuer issuer, TaskStore tasks, InstanceStore instances, OwnWork ownWork, DelegatedWork work, TaskParents parents,
    DownstreamExchange downstream, ServerOptions options) : IGrant
{
    public string Type => Names.Exchange.GrantType;

    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        // 1. Only access tokens go in and come out (RFC 8693 §2.1).
        var form = request.Form;
        if (form[Names.Exchange.SubjectToken] is not { } subjectText || form[Names.Exchange.SubjectTokenType] != Names.Exchange.AccessTokenType)
            return OAuthError.InvalidRequest("subject_token must be an access token of this server, with its type.", Names.Reasons.WrongType);
        var actorText = form[Names.Exchange.ActorToken];
        if ((actorText is null) != (form[Names.Exchange.ActorTokenType] is null) || (actorText is not null && form[Names.Exchange.ActorTokenType] != Names.Exchange.AccessTokenType))
            return OAuthError.InvalidRequest("actor_token and actor_token_type go together, and the type is access_token.", Names.Reasons.WrongType);
        if (form[Names.Exchange.RequestedTokenType] is { } wanted && wanted != Names.Exchange.AccessTokenType)
            return OAuthError.InvalidRequest("Only access tokens are issued.", Names.Reasons.WrongType);

        // 2. Both tokens are ours and unexpired (§2.2.2: a bad one is invalid_request).
        if (!(await OwnToken.ReadAsync(subjectText, keys, issuer, request.Now, cancel)).TryGet(out var subject, out var fault))
            return OAuthError.InvalidRequest($"The subject token was refused: {fault.Message}", fault.Code);
        OwnToken? actor = null;
        if (actorText is not null && !(await OwnToken.ReadAsync(actorText, keys, issuer, request.Now, cancel)).TryGet(out actor, out fault))
            return OAuthError.InvalidRequest($"The actor token was refused: {fault.Message}", fault.Code);

        // Whatever a tool server gets ends there: who it is for has its own way to more.
        if (subject.IsDownstream)
            return OAuthError.InvalidRequest("A tool server's token cannot be exchanged further.", Names.Reasons.ActorUnauthorized);
        if (request.Client.Guard is { } guard)
            return await downstream.PlanAsync(request, guard, subject, actor, cancel);

        // 3. The presenter: the key of the actor, or of the subject when it stands alone, and that agent's own client.
        var presenter = actor ?? subject;
        if (actor is not null && !actor.IsInstanceToken)
            return OAuthError.InvalidRequest("The actor token must be an instance token.", Names.Reasons.WrongType);
        if (request.Proof is not { } proof)
            return OAuthError.InvalidProof(new Fault("missing", "A token exchange needs a DPoP proof by the presenter's key."));
        if (presenter.Thumbprint != proof.Thumbprint || presenter.ClientId != request.Client.Id || IsOfOtherCertificate(request, presenter))
            return OAuthError.InvalidRequest("The request does not come from the token's presenter.", Names.Reasons.NotPresenter);
        if (presenter.Agent is not { } agentId || request.Registry.Agents.GetValueOrDefault(agentId) is not { } agent || request.Client.Client?.AgentId != agentId)
            return OAuthError.InvalidRequest("The presenter is not this client's agent.", Names.Reasons.ActorUnauthorized);
        if (!agent.Active)
            return OAuthError.InvalidRequest("The agent is not active.", Names.Reasons.AgentSuspended);
        if (presenter.Instance is not { } instanceId || await instances.FindContext(instanceId, request.Now, cancel) is not { } instance)
            return OAuthError.InvalidRequest("The presenter's instance is unknown.", Names.Reasons.InstanceEnded);

        var details = request.Details();
        if (details is { Ok: false } bad)
            return bad.Fault;
        var asked = details?.Value;
        if (subject.IsDelegation)
            return actor is null || subject.ClientId != request.Client.Id || (subject.Thumbprint is { } bound && bound != proof.Thumbprint) || IsOfOtherCertificate(request, subject)
                ? OAuthError.InvalidRequest("What a person handed over is presented by whom it was given to, with the agent's instance token as actor.", Names.Reasons.NotPresenter)
                : await work.ExchangeAsync(request, subject, agent, instance, asked, cancel);
        return (subject.IsInstanceToken, actor) switch
        {
            (true, null) when asked?.Task?.Id is { } id && await tasks.Find(id, cancel) is { Origin: TaskOrigin.Delegated } task =>
                await work.TakeUpAsync(request, task, agent, instance, asked.Value.Authority, cancel),
            (true, null) => await ownWork.PlanAsync(request, agent, instance, Type, cancel),
            (true, _) => OAuthError.InvalidRequest("An instance token as subject stands alone.", Names.Reasons.WrongType),
            (false, null) => await ContinueAsync(request, subject, agent, instance, asked, cancel),
            _ => await HandOffAsync(request, subject, agent, instance, asked, cancel),
        };
    }

    private async Task<GrantResult> ContinueAsync(
        TokenRequest request, OwnToken subject, AgentRecord agent, InstanceContext instance, (Authority Authority, TaskRequest? Task)? asked, CancellationToken cancel)
    {
        var parent = await parents.FindAsync(request, subject, cancel);
        if (parent.Error is { } refusal)
            return refusal;
        var (grant, task) = parent.Value;
        var (target, elsewhere) = TargetOf(request, subject);
        if (elsewhere is not null)
            return elsewhere;
        if (asked?.Task is { } named && named.Id != task.Id)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A continued token stays in its task.");
        if (!Narrowing.Explicit(asked?.Authority, request.Form[Names.OAuth.Scope], grant.Authority, target!, TaskParents.Ceilings(request, subject, agent)).TryGet(out var authority, out var fault))
            return fault;

        // The same authority is a further leaf of the same grant; less is a grant below it.
        var same = grant.Authority.Exceeds(authority) is null;
        if (!same && grant.Lineage.Count >= GrantStore.MaxLineage)
            return OAuthError.InvalidRequest("The token was narrowed too often; start again from the task.", Names.Reasons.Depth);
        var who = new Principals(subject.Subject, TaskParents.Profile(subject.Subject), grant.UserId, agent.Id, instance.Id, request.Client.Id, subject.Chain);
        return (Plan(request, who, target!, authority, task, grant) with
        {
            GrantId = same ? grant.Id : Id.New(Id.Grant, request.Now), NewGrant = !same, ParentGrant = same ? null : grant.Id,
            Lineage = same ? grant.Lineage : [grant.Id, .. grant.Lineage], Cause = subject.Jti, Presence = await parents.PresenceAsync(grant, subject, cancel),
        }).BoundTo(instance);
    }

    private async Task<GrantResult> HandOffAsync(
        TokenRequest request, OwnToken subject, AgentRecord agent, InstanceContext instance, (Authority Authority, TaskRequest? Task)? asked, CancellationToken cancel)
    {
        var parent = await parents.FindAsync(request, subject, cancel);
        if (parent.Error is { } refusal)
            return refusal;
        var (grant, task) = parent.Value;
        var (target, elsewhere) = TargetOf(request, subject);
        if (elsewhere is not null)
            return elsewhere;
        // Who gives must be allowed to give to whom.
        if (subject.Agent is not { } giver || !request.Registry.Agents[giver].HandOffTo.Contains(agent.Id))
            return OAuthError.InvalidRequest("The subject's agent may not hand off to this agent.", Names.Reasons.ActorUnauthorized);
        if (subject.Chain.Count + 1 > Limits.DelegationDepth)
            return OAuthError.InvalidRequest($"A chain has at most {Limits.DelegationDepth} actors.", Names.Reasons.Depth);
        if (asked?.Task is { Id: not null })
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A hand-off begins a child task: give its purpose, not an id.");
        // What another instance would take up is the giver's to give: the chain is in the tokens.
        if (asked?.Task is { Resumable: true })
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A hand-off's task is not resumable: it is handed off again.");
        if (!Narrowing.Explicit(asked?.Authority, request.Form[Names.OAuth.Scope], grant.Authority, target!, TaskParents.Ceilings(request, subject, agent)).TryGet(out var authority, out var fault))
            return fault;
        // Unless it is asked for less: as long as the parent, and as the taker may.
        var until = asked?.Task?.ExpiresAt ?? Issuance.Earliest(task.Expires, request.Now + agent.MaxTask);
        if (!TaskDeadline.Resolve(until, agent.MaxTask, request.Now).TryGet(out var deadline, out fault))
            return fault;
        if (deadline > task.Expires)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A child task ends with its parent at the latest.");

        var child = new NewTask(Id.New(Id.Task, request.Now), task.Id, TaskOrigin.HandOff, asked?.Task?.Purpose ?? task.Purpose, authority, deadline);
        // RFC 8693 §4.1: the subject's chain is kept verbatim inside the new actor.
        var who = new Principals(subject.Subject, TaskParents.Profile(subject.Subject), grant.UserId, agent.Id, instance.Id, request.Client.Id, [agent.Id, .. subject.Chain]);
        List<string> lineage = [grant.Id, task.Id, .. subject.Instance is { } giverInstance ? [giverInstance] : Array.Empty<string>(), .. grant.Lineage];
        var plan = Plan(request, who, target!, authority, task, grant);
        return WithLine(request, (plan with
        {
            TaskId = child.Id, TaskExpires = child.Expires, NewTask = child, ParentGrant = grant.Id, Lineage = [.. lineage.Distinct(StringComparer.Ordinal)],
            Cause = subject.Jti, Expires = Issuance.Earliest(plan.Expires, child.Expires), Presence = await parents.PresenceAsync(grant, subject, cancel),
        }).BoundTo(instance));
    }

    // RFC 8705 §3.
    private static bool IsOfOtherCertificate(TokenRequest request, OwnToken token) =>
        token.CertificateThumbprint is { } bound && bound != request.Client.Certificate?.Thumbprint;

    private static Issuance WithLine(TokenRequest request, Issuance plan) => plan with { Family = DelegatedWork.LineFor(request, plan) };

    /// <summary>Where an agent's token is of use, its successors are: another tool server is asked for where the work began.</summary>
    private static (ToolServerRecord? Target, OAuthError? Error) TargetOf(TokenRequest request, OwnToken subject)
    {
        var (target, error) = request.Target(subject.Audience);
        return error is null && target!.Resource != subject.Audience ? (null, new(Names.Errors.InvalidTarget, "The resource is not the subject token's.")) : (target, error);
    }

    private Issuance Plan(TokenRequest request, Principals who, ToolServerRecord target, Authority authority, TaskRecord task, GrantRecord grant) =>
        TaskParents.Plan(request, who, target, authority, task, grant, options.AccessTokenLifetime);
}
