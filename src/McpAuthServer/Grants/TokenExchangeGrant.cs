using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>
/// Token exchange (RFC 8693). Four forms: an instance token alone opens its agent's own task; what a person handed over, with the agent's instance
/// token, begins or continues work for that person; a task's token with another agent's instance token hands the work off; a task's token alone
/// continues it. Impersonation is not offered.
/// </summary>
internal sealed class TokenExchangeGrant(
    SigningKeyRing keys, Issuer issuer, TaskStore tasks, GrantStore grants, InstanceStore instances, OwnWork ownWork, DelegatedWork work, PersonAt people, ServerOptions options) : IGrant
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
            (true, null) => await ownWork.PlanAsync(request, agent, instance, Type, cancel),
            (true, _) => OAuthError.InvalidRequest("An instance token as subject stands alone.", Names.Reasons.WrongType),
            (false, null) => await ContinueAsync(request, subject, agent, instance, asked, cancel),
            _ => await HandOffAsync(request, subject, agent, instance, asked, cancel),
        };
    }

    private async Task<GrantResult> ContinueAsync(
        TokenRequest request, OwnToken subject, AgentRecord agent, InstanceContext instance, (Authority Authority, TaskRequest? Task)? asked, CancellationToken cancel)
    {
        var parent = await ParentAsync(request, subject, cancel);
        if (parent.Error is { } refusal)
            return refusal;
        var (grant, task, target) = parent.Value;
        if (asked?.Task is { } named && named.Id != task.Id)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A continued token stays in its task.");
        if (!Narrowing.Explicit(asked?.Authority, request.Form[Names.OAuth.Scope], grant.Authority, target, Ceilings(request, agent, subject)).TryGet(out var authority, out var fault))
            return fault;

        // The same authority is a further leaf of the same grant; less is a grant below it.
        var same = grant.Authority.Exceeds(authority) is null;
        if (!same && grant.Lineage.Count >= GrantStore.MaxLineage)
            return OAuthError.InvalidRequest("The token was narrowed too often; start again from the task.", Names.Reasons.Depth);
        var who = new Principals(subject.Subject, Profile(subject.Subject), grant.UserId, agent.Id, instance.Id, request.Client.Id, subject.Chain);
        return (Plan(request, who, target, authority, task, grant) with
        {
            GrantId = same ? grant.Id : Id.New(Id.Grant, request.Now), NewGrant = !same, ParentGrant = same ? null : grant.Id,
            Lineage = same ? grant.Lineage : [grant.Id, .. grant.Lineage], Cause = subject.Jti, Presence = await PresenceAsync(grant, subject, cancel),
        }).BoundTo(instance);
    }

    private async Task<GrantResult> HandOffAsync(
        TokenRequest request, OwnToken subject, AgentRecord agent, InstanceContext instance, (Authority Authority, TaskRequest? Task)? asked, CancellationToken cancel)
    {
        var parent = await ParentAsync(request, subject, cancel);
        if (parent.Error is { } refusal)
            return refusal;
        var (grant, task, target) = parent.Value;
        // Who gives must be allowed to give to whom.
        if (subject.Agent is not { } giver || !request.Registry.Agents[giver].HandOffTo.Contains(agent.Id))
            return OAuthError.InvalidRequest("The subject's agent may not hand off to this agent.", Names.Reasons.ActorUnauthorized);
        if (subject.Chain.Count + 1 > Limits.DelegationDepth)
            return OAuthError.InvalidRequest($"A chain has at most {Limits.DelegationDepth} actors.", Names.Reasons.Depth);
        if (asked?.Task is { Id: not null })
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A hand-off begins a child task: give its purpose, not an id.");
        if (!Narrowing.Explicit(asked?.Authority, request.Form[Names.OAuth.Scope], grant.Authority, target, Ceilings(request, agent, subject)).TryGet(out var authority, out var fault))
            return fault;
        // Unless it is asked for less: as long as the parent, and as the taker may.
        var until = asked?.Task?.ExpiresAt ?? Issuance.Earliest(task.Expires, request.Now + agent.MaxTask);
        if (!TaskDeadline.Resolve(until, agent.MaxTask, request.Now).TryGet(out var deadline, out fault))
            return fault;
        if (deadline > task.Expires)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A child task ends with its parent at the latest.");

        var child = new NewTask(Id.New(Id.Task, request.Now), task.Id, TaskOrigin.HandOff, asked?.Task?.Purpose ?? task.Purpose, authority, deadline);
        // RFC 8693 §4.1: the subject's chain is kept verbatim inside the new actor.
        var who = new Principals(subject.Subject, Profile(subject.Subject), grant.UserId, agent.Id, instance.Id, request.Client.Id, [agent.Id, .. subject.Chain]);
        List<string> lineage = [grant.Id, task.Id, .. subject.Instance is { } giverInstance ? [giverInstance] : Array.Empty<string>(), .. grant.Lineage];
        var plan = Plan(request, who, target, authority, task, grant);
        return WithLine(request, (plan with
        {
            TaskId = child.Id, TaskExpires = child.Expires, NewTask = child, ParentGrant = grant.Id, Lineage = [.. lineage.Distinct(StringComparer.Ordinal)],
            Cause = subject.Jti, Expires = Issuance.Earliest(plan.Expires, child.Expires), Presence = await PresenceAsync(grant, subject, cancel),
        }).BoundTo(instance));
    }

    /// <summary>Of the person the work is for, if there is one; whether they are still enabled is asked again by the issuing unit.</summary>
    private async Task<Presence?> PresenceAsync(GrantRecord grant, OwnToken subject, CancellationToken cancel) =>
        grant.UserId is { } user ? await people.FindAsync(user, subject.AuthTime, subject.Acr, cancel) : null;

    // RFC 8705 §3.
    private static bool IsOfOtherCertificate(TokenRequest request, OwnToken token) =>
        token.CertificateThumbprint is { } bound && bound != request.Client.Certificate?.Thumbprint;

    private static Issuance WithLine(TokenRequest request, Issuance plan) => plan with { Family = DelegatedWork.LineFor(request, plan) };

    /// <summary>What a task's token stands on; whether all of it still lives is asked again by the issuing unit.</summary>
    private async Task<(OAuthError? Error, (GrantRecord Grant, TaskRecord Task, ToolServerRecord Target) Value)> ParentAsync(
        TokenRequest request, OwnToken subject, CancellationToken cancel)
    {
        if (subject.Grant is null || subject.Task is null || subject.Jwt.Payload.TryGetProperty(Names.Claims.StepUp, out _))
            return (OAuthError.InvalidRequest("The subject token carries no task authority that could be exchanged.", Names.Reasons.WrongType), default);
        var (target, error) = request.Target(subject.Audience);
        if (error is not null)
            return (error, default);
        if (target!.Resource != subject.Audience)
            return (new OAuthError(Names.Errors.InvalidTarget, "The resource is not the subject token's."), default);
        // Every agent in the chain, not only the outermost (invariant 3). The snapshot they are read from is checked in the unit.
        foreach (var agent in subject.Chain.Append(subject.Subject).Where(id => id.StartsWith(Id.Agent, StringComparison.Ordinal)))
            if (request.Registry.Agents.GetValueOrDefault(agent) is not { Active: true })
                return (OAuthError.InvalidRequest("An agent in the chain is not active.", Names.Reasons.AgentSuspended), default);
        if (await grants.Find(subject.Grant, cancel) is not { } grant || await tasks.FindTerms(subject.Task, cancel) is not { } task)
            return (OAuthError.InvalidRequest("The subject token's grant is unknown.", Names.Reasons.Revoked), default);
        return (null, (grant, task, target));
    }

    /// <summary>Those of the presenter and of every agent in the subject's chain, as they are now: a ceiling may have been lowered since.</summary>
    private static (Authority, string)[] Ceilings(TokenRequest request, AgentRecord agent, OwnToken subject) =>
    [
        (agent.Ceiling, "the agent's ceiling"),
        .. subject.Chain.Append(subject.Subject).Where(id => id != agent.Id && id.StartsWith(Id.Agent, StringComparison.Ordinal))
            .Select(id => (request.Registry.Agents[id].Ceiling, "the ceiling of an agent in the chain")),
    ];

    private Issuance Plan(TokenRequest request, Principals who, ToolServerRecord target, Authority authority, TaskRecord task, GrantRecord grant) => new()
    {
        Who = who, Target = target, Authority = authority, Scope = authority.ToScope(target.Resource), TaskId = task.Id, TaskExpires = task.Expires,
        TaskHasParent = task.ParentId is not null, GrantId = Id.New(Id.Grant, request.Now), Consent = grant.Consent, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
        Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, task.Expires, grant.InstancesEnd ?? task.Expires), RegistryVersion = request.Registry.Version,
        GrantType = Type, Consume = request.Consume,
    };

    private static string Profile(string subject) =>
        subject.StartsWith(Id.User, StringComparison.Ordinal) ? Names.Claims.ProfileUser
        : subject.StartsWith(Id.Agent, StringComparison.Ordinal) ? Names.Claims.ProfileAgent : Names.Claims.ProfileClient;
}
