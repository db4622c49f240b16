using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>
/// An agent's work that stands on more than its instance token: what a person handed over, begun by an exchange, and any task that is continued by
/// its refresh token.
/// </summary>
internal sealed class DelegatedWork(GrantStore grants, TaskStore tasks, InstanceStore instances, PersonAt people, ServerOptions options)
{
    /// <summary>A delegation and the agent's instance token: the first time its one task begins, afterwards that task goes on, at any of its tool servers.</summary>
    public async Task<GrantResult> ExchangeAsync(
        TokenRequest request, OwnToken delegation, AgentRecord agent, InstanceContext instance, (Authority Authority, TaskRequest? Task)? asked, CancellationToken cancel)
    {
        // RFC 8693 §4.4: only who may act.
        if (delegation.MayAct != agent.Id)
            return OAuthError.InvalidRequest("The person did not hand this to the actor.", Names.Reasons.ActorUnauthorized);
        if (delegation.Grant is not { } id || await grants.Find(id, cancel) is not { UserId: { } user } root)
            return OAuthError.InvalidRequest("The delegation's grant is unknown.", Names.Reasons.Revoked);
        if (await people.FindAsync(user, delegation.AuthTime, delegation.Acr, cancel) is not { } presence)
            return OAuthError.InvalidRequest("The person's account is disabled.", Names.Reasons.UserDisabled);
        var (target, error) = request.Target(root.Authority.Locations is [var only] ? only.Location : asked?.Authority.Locations is [var one] ? one.Location : null);
        if (error is not null)
            return error;

        TaskRecord? running = null;
        NewTask? begun = null;
        if (asked?.Task is { Id: { } taskId })
        {
            if (await tasks.FindTerms(taskId, cancel) is not { Origin: TaskOrigin.Delegated } found || !await grants.IsBelow(root.Id, taskId, cancel))
                return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "The task does not exist or did not begin with this delegation.");
            running = found;
        }
        else
        {
            var purpose = await grants.PurposeOf(root.Consent!, cancel);
            if (asked?.Task?.Purpose is { } other && other != purpose)
                return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "The person was asked for another purpose.");
            var until = asked?.Task?.ExpiresAt is { } sooner && sooner < root.Expires ? sooner : root.Expires;
            if (until <= request.Now)
                return OAuthError.InvalidRequest("The task's deadline has passed.", Names.Reasons.TaskEnded);
            begun = new NewTask(Id.New(Id.Task, request.Now), null, TaskOrigin.Delegated, purpose, root.Authority, DateTimeOffset.FromUnixTimeSeconds(until.ToUnixTimeSeconds()),
                asked?.Task?.Resumable ?? false);
        }
        if (!Narrowing.Explicit(Less(asked?.Authority, root, target!), request.Form[Names.OAuth.Scope], root.Authority, target!, (agent.Ceiling, "the agent's ceiling")).TryGet(out var authority, out var fault))
            return fault;
        var plan = Below(request, root, user, agent, instance, target!, authority, begun?.Id ?? running!.Id, begun?.Expires ?? running!.Expires, presence) with
        {
            NewTask = begun, ForHolder = running is { Resumable: true }, Credential = begun is null ? null : new BeginDelegatedTask(root.Id, root.Expires), Cause = delegation.Jti, GrantType = Names.Exchange.GrantType,
        };
        return plan with { Family = LineFor(request, plan) };
    }

    /// <summary>
    /// A resumable task for a person, taken up by another instance of the agent than began it: the person handed the work to the agent, and what they handed over
    /// still bounds it.
    /// </summary>
    public async Task<GrantResult> TakeUpAsync(
        TokenRequest request, TaskRecord task, AgentRecord agent, InstanceContext instance, Authority asked, CancellationToken cancel)
    {
        // Resuming made it this instance's; another's is not told apart from none.
        if (task is not { Resumable: true, UserId: { } user } || task.AgentId != agent.Id || task.InstanceId != instance.Id
            || await grants.FindRoot(task.Id, cancel) is not { Id: { } rootId } begun || await grants.Find(rootId, cancel) is not { } root)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, TaskTerms.NotOwn);
        if (await people.FindAsync(user, begun.AuthTime, begun.Acr, cancel) is not { } presence)
            return OAuthError.InvalidRequest("The person's account is disabled.", Names.Reasons.UserDisabled);
        var (target, error) = request.Target(asked.Locations is [var only] ? only.Location : null);
        if (error is not null)
            return error;
        if (!Narrowing.Explicit(Less(asked, root, target!), request.Form[Names.OAuth.Scope], root.Authority, target!, (agent.Ceiling, "the agent's ceiling")).TryGet(out var authority, out var fault))
            return fault;
        var plan = Below(request, root, user, agent, instance, target!, authority, task.Id, task.Expires, presence) with { ForHolder = true };
        return plan with { Family = LineFor(request, plan) };
    }

    /// <summary>An agent's refresh token: the same task, at the grant's tool server or, where a person handed over more, at another of the task's.</summary>
    public async Task<GrantResult> ContinueAsync(
        TokenRequest request, RefreshRecord record, GrantRecord grant, TaskRecord task, Presence? presence, Func<string, string, UseRefreshToken> use, CancellationToken cancel)
    {
        if (request.Registry.Agents.GetValueOrDefault(record.AgentId!) is not { Active: true } agent || request.Client.Client!.AgentId != agent.Id)
            return OAuthError.InvalidGrant("The agent is not active, or is no longer this client's.", Names.Reasons.AgentSuspended);
        foreach (var actor in grant.Chain.Append(grant.Subject).Where(id => id.StartsWith(Id.Agent, StringComparison.Ordinal)))
            if (request.Registry.Agents.GetValueOrDefault(actor) is not { Active: true })
                return OAuthError.InvalidGrant("An agent in the chain is not active.", Names.Reasons.AgentSuspended);
        if (await instances.FindContext(record.Instance!, request.Now, cancel) is not { } instance)
            return OAuthError.InvalidGrant("The instance is unknown.", Names.Reasons.InstanceEnded);
        if (TaskState.IsFinal(task.State) || task.Expires <= request.Now)
            return OAuthError.InvalidGrant("The task has ended.", Names.Reasons.TaskEnded);
        if (request.Registry.ToolServers.GetValueOrDefault(grant.ToolServer!) is not { Active: true } server)
            return new OAuthError(Names.Errors.InvalidTarget, "The tool server is no longer active.");
        var (target, error) = request.Target(server.Resource);
        if (error is not null)
            return error;
        if (request.Details() is { Ok: false } bad)
            return bad.Fault;
        var asked = request.Details()?.Value;
        if (asked?.Task is { } named && named.Id != task.Id)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "A refreshed token stays in its task.");

        // At another location the authority is what the person handed over, where this grant came from.
        var elsewhere = target!.Id != server.Id;
        var source = !elsewhere ? grant : grant.ParentId is { } parent && await grants.Find(parent, cancel) is { TaskId: null } root ? root : null;
        if (source is null)
            return new OAuthError(Names.Errors.InvalidTarget, "The resource is not the grant's.");
        if (!Narrowing.Explicit(asked?.Authority, request.Form[Names.OAuth.Scope], source.Authority, target, Ceilings(request, grant)).TryGet(out var authority, out var fault))
            return fault;
        if (elsewhere)
        {
            var moved = Below(request, source, grant.UserId!, agent, instance, target, authority, task.Id, task.Expires, presence) with { GrantType = Names.OAuth.RefreshToken };
            // The line stays with the tool server it began at; what it brings elsewhere is a leaf of its own.
            return moved with { Credential = use(grant.Id, task.Id) };
        }
        // Who asks for less gets a grant below: of that token comes no more than it holds. The line keeps all it has (RFC 6749 §6). A tool that is not approved now is
        // left out of a token of the grant itself, which still bounds whatever comes of it.
        var scope = request.Form[Names.OAuth.Scope];
        var same = (asked is null && scope is null) || grant.Authority.Exceeds(authority) is null;
        if (!same && grant.Lineage.Count >= GrantStore.MaxLineage)
            return new OAuthError(
                scope is null ? Names.Errors.InvalidAuthorizationDetails : Names.Errors.InvalidScope, "A token of this line cannot be narrowed further; ask for all of it.",
                Reason: Names.Reasons.Depth);
        var who = new Principals(grant.Subject, Profile(grant.Subject), grant.UserId, agent.Id, instance.Id, request.Client.Id, grant.Chain);
        return new Issuance
        {
            Who = who, Target = target, Authority = authority, Scope = authority.ToScope(target.Resource), TaskId = task.Id, TaskExpires = task.Expires,
            TaskHasParent = task.ParentId is not null, GrantId = same ? grant.Id : Id.New(Id.Grant, request.Now), NewGrant = !same, ParentGrant = same ? null : grant.Id,
            Lineage = same ? grant.Lineage : [grant.Id, .. grant.Lineage], Instance = instance, Consent = grant.Consent,
            Thumbprint = instance.Thumbprint, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, task.Expires, instance.Expires, grant.InstancesEnd ?? task.Expires),
            RegistryVersion = request.Registry.Version, GrantType = Names.OAuth.RefreshToken, Consume = request.Consume, Credential = use(grant.Id, task.Id), Presence = presence,
        };
    }

    /// <summary>The refresh tokens of an exchange, for an agent whose client may refresh: bound to instance, key and task, and ending with it.</summary>
    public static NewFamily? LineFor(TokenRequest request, Issuance plan) =>
        plan.Instance is not null && request.Client.Client!.GrantTypes.Contains(Names.OAuth.RefreshToken)
            ? new NewFamily(Id.New(Id.RefreshFamily, request.Now), OpaqueToken.New(OpaqueToken.Refresh), null, null, plan.TaskExpires)
            : null;

    private Issuance Below(
        TokenRequest request, GrantRecord root, string user, AgentRecord agent, InstanceContext instance, ToolServerRecord target, Authority authority, string task,
        DateTimeOffset taskExpires, Presence? presence) => new()
    {
        Who = new Principals(user, Names.Claims.ProfileUser, user, agent.Id, instance.Id, request.Client.Id, [agent.Id]), Target = target, Authority = authority,
        Scope = authority.ToScope(target.Resource), TaskId = task, TaskExpires = taskExpires, GrantId = Id.New(Id.Grant, request.Now), ParentGrant = root.Id, Consent = root.Consent,
        Lineage = [root.Id], Instance = instance, Thumbprint = instance.Thumbprint, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
        Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, taskExpires, instance.Expires), RegistryVersion = request.Registry.Version,
        GrantType = Names.Exchange.GrantType, Consume = request.Consume, Presence = presence,
    };

    /// <summary>
    /// What is asked for, where it is less than what the person handed over at the tool server. Who names all of it, as one must to say more of the task, is as who
    /// names nothing: what is not approved now is left out.
    /// </summary>
    private static Authority? Less(Authority? asked, GrantRecord root, ToolServerRecord target) =>
        asked is { Locations: [var only] } && only.Location == target.Resource && asked.Exceeds(root.Authority) is null && root.Authority.OnlyAt(target.Resource).Exceeds(asked) is null
            ? null
            : asked;

    private static (Authority, string)[] Ceilings(TokenRequest request, GrantRecord grant) =>
        [.. grant.Chain.Append(grant.Subject).Where(id => id.StartsWith(Id.Agent, StringComparison.Ordinal)).Select(id => (request.Registry.Agents[id].Ceiling, "an agent's ceiling"))];

    private static string Profile(string subject) =>
        subject.StartsWith(Id.User, StringComparison.Ordinal) ? Names.Claims.ProfileUser : Names.Claims.ProfileAgent;
}
