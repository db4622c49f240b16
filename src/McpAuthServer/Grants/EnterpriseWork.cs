using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Federation;
using McpAuthServer.Http;
using McpAuthServer.Registry;

namespace McpAuthServer.Grants;

/// <summary>An agent's task for a person whom an enterprise lets it work for: one that begins with the assertion, or one that began with an earlier one.</summary>
internal sealed class EnterpriseWork(EnterpriseConsents consents, GrantStore grants, TaskStore tasks, InstanceStore instances, ServerOptions options)
{
    public async Task<GrantResult> PlanAsync(
        TokenRequest request, IdJag said, FederatedPerson person, AgentRecord agent, ToolServerRecord target, List<string> words, CancellationToken cancel)
    {
        if (!agent.Active)
            return new OAuthError(Names.Errors.UnauthorizedClient, "The agent is not active.", Reason: Names.Reasons.AgentSuspended);

        // 1. Which copy of it: the attested one whose key is proven. Without one only where the agent's record lets it work so.
        var instance = request.Proof is { } proof && await instances.FindByKey(agent.Id, proof.Thumbprint, request.Now, cancel) is { } id
            ? await instances.FindContext(id, request.Now, cancel) : null;
        if (instance is null && request.Proof is null && (agent.RequireDpop || !agent.ClientCredentials))
            return OAuthError.InvalidProof(new Fault("missing", "An agent's work for a person is bound to its instance's key: prove possession of it."));
        if (instance is null && !agent.ClientCredentials)
            return new OAuthError(Names.Errors.UnauthorizedClient, "The proof's key is of no instance of the agent: attest first.", Reason: Names.Reasons.InstanceEnded);

        // 2. What the provider allows: its details, within its words where it says both (RFC 9396 §3.1).
        var allowed = said.Details is not { } details ? ScopeWords.ToAuthority(words, target)
            : said.Scope is null ? details.OnlyAt(target.Resource)
            : details.OnlyAt(target.Resource).Keeping(
                (_, tool) => ScopeWords.Covers(words, Names.Scopes.ToolPrefix + tool, target), _ => words.Contains(Names.Scopes.ResourcesRead), (_, _) => words.Contains(Names.Scopes.PromptsRead));
        if (allowed.At(target.Resource) is not { } at || at.Tools.Count + at.Resources.Count + at.Prompts.Count == 0)
            return OAuthError.InvalidGrant("The assertion allows nothing at this resource.", IdentityAssertionGrant.OtherScope);

        // 3. What is asked for, for which task.
        if (request.Details() is not { } given)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "An agent asks with authorization_details.");
        if (!given.TryGet(out var asked, out var fault))
            return fault;
        if (asked.Task is not { } task)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "authorization_details must carry the task: its id, or the purpose of a new one.");
        var planned = await consents.PlanAsync(said, person.Person.Id, request.Client.Client!, agent.Id, target, null, allowed, request.Now, cancel);
        if (!planned.TryGet(out var consent, out fault))
            return OAuthError.InvalidGrant(fault.Message, fault.Code);
        TaskRecord? running = null;
        if (task.Id is { } known)
        {
            // Another's is not told apart from none. What a person handed over by themselves is opened by that alone.
            if (await tasks.FindTerms(known, cancel) is not { Origin: TaskOrigin.Delegated } found || found.UserId != person.Person.Id || found.AgentId != agent.Id
                || found.ClientId != request.Client.Id || !await grants.BeganWith(known, consent.Id, cancel))
                return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "The task does not exist or did not begin with such an assertion.");
            running = found;
        }
        if (!Narrowing.Explicit(
                asked.Authority, request.Form[Names.OAuth.Scope], running?.Authority ?? allowed, target, (allowed, "the identity provider"), (agent.Ceiling, "the agent's ceiling")).TryGet(out var authority, out fault))
            return fault;
        NewTask? begun = null;
        if (running is null)
        {
            if (!TaskDeadline.Resolve(task.ExpiresAt, agent.MaxTask, request.Now).TryGet(out var until, out fault))
                return fault;
            begun = new NewTask(Id.New(Id.Task, request.Now), null, TaskOrigin.Delegated, task.Purpose!, authority, until);
        }

        var (user, ends) = (person.Person.Id, begun?.Expires ?? running!.Expires);
        var plan = new Issuance
        {
            Who = new Principals(user, Names.Claims.ProfileUser, user, agent.Id, instance?.Id, request.Client.Id, [agent.Id]), Target = target, Authority = authority,
            Scope = authority.ToScope(target.Resource), TaskId = begun?.Id ?? running!.Id, TaskExpires = ends, NewTask = begun, GrantId = Id.New(Id.Grant, request.Now),
            Consent = consent.Id, Thumbprint = request.Proof?.Thumbprint, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, ends), RegistryVersion = request.Registry.Version, GrantType = Names.Assertions.JwtBearer,
            Consume = [.. request.Consume, said.Once], Federates = new Federating(said, person, consent, request.Now), Presence = new Presence(said.AuthTime, null, person.Person),
        };
        return instance is null ? plan : plan.BoundTo(instance);
    }
}
