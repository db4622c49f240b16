using McpAuth.Protocol;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;

namespace McpAuthServer.Grants;

/// <summary>
/// RFC 6749 §4.4 and MCP's extension of it. A guard gets the token of its channels; an agent, where its record allows it, a task's token
/// without an instance; a client that administers a token for that, and any other client a token by scope of its own.
/// </summary>
internal sealed class ClientCredentialsGrant(Issuer issuer, TaskStore tasks, SessionTasks sessions, ServerOptions options) : IGrant
{
    public string Type => Names.OAuth.ClientCredentials;

    public Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel) => request.Client switch
    {
        { Guard: { } guard } => Task.FromResult(ForGuard(request, guard)),
        { Client.AgentId: { } agent } => ForAgentAsync(request, request.Registry.Agents[agent], cancel),
        { Client: { Administers: true } client } => Task.FromResult(ForAdministrator(request, client)),
        // RFC 6749 §4.4: confidential clients only.
        { Method: Names.ClientAssertion.None } => Task.FromResult<GrantResult>(
            new OAuthError(Names.Errors.UnauthorizedClient, "A public client cannot act for itself.")),
        _ => ForClientAsync(request, request.Client.Client!, cancel),
    };

    private GrantResult ForGuard(TokenRequest request, Clients.GuardRecord guard)
    {
        if (request.Form.Values(Names.Resources.Resource) is not [var resource] || resource != issuer.GuardAudience)
            return new OAuthError(Names.Errors.InvalidTarget, $"A guard's token is for {issuer.GuardAudience}.");
        if (request.Proof is not { } proof || proof.Thumbprint != guard.Key.Thumbprint)
            return new OAuthError(Names.Errors.InvalidDpopProof, "A guard proves possession of its enrolled key.");
        return new GrantResult.IssueToGuard(guard);
    }

    private GrantResult ForAdministrator(TokenRequest request, ClientRecord client)
    {
        if (request.DetailsRefused is { } refused)
            return refused;
        if (request.Form.Values(Names.Resources.Resource) is not [var resource] || resource != issuer.AdminAudience)
            return new OAuthError(Names.Errors.InvalidTarget, $"A token of a client that administers is for {issuer.AdminAudience}.");
        if (request.Form[Names.OAuth.Scope] is not (null or Names.Scopes.Admin))
            return new OAuthError(Names.Errors.InvalidScope, $"The one scope there is {Names.Scopes.Admin}.");
        if (request.Proof is null)
            return OAuthError.InvalidProof(new Fault("missing", "A token that administers is bound to a key: prove possession of one."));
        return new GrantResult.IssueToAdministrator(client, request.Proof.Thumbprint);
    }

    private async Task<GrantResult> ForAgentAsync(TokenRequest request, AgentRecord agent, CancellationToken cancel)
    {
        if (!agent.ClientCredentials)
            return new OAuthError(Names.Errors.UnauthorizedClient, "This agent attests an instance; its record does not allow client_credentials.");
        if (!agent.Active)
            return new OAuthError(Names.Errors.UnauthorizedClient, "The agent is not active.", Reason: Names.Reasons.AgentSuspended);
        if (agent.RequireDpop && request.Proof is null)
            return new OAuthError(Names.Errors.InvalidDpopProof, "The agent's record requires a DPoP proof.");
        if (request.Details() is not { } details)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "An agent asks with authorization_details.");
        if (!details.TryGet(out var asked, out var fault))
            return fault;
        if (asked.Task is { Resumable: true })
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "Without an instance there is none to outlive: the task cannot be resumable.");
        var (target, error) = request.Target(asked.Authority.Locations is [var only] ? only.Location : null);
        if (error is not null)
            return error;

        var terms = await TaskTerms.ForAgentAsync(asked.Task, asked.Authority, agent, request.Registry, tasks, request.Now, cancel);
        if (!terms.TryGet(out var task, out fault))
            return fault;
        if (!Narrowing.Explicit(asked.Authority.OnlyAt(target!.Resource), request.Form[Names.OAuth.Scope], task.Authority, target, (agent.Ceiling, "the agent's ceiling")).TryGet(out var authority, out fault))
            return fault;
        var who = new Principals(agent.Id, Names.Claims.ProfileAgent, null, agent.Id, null, request.Client.Id, []);
        return task.Issue(request, who, target, authority, Type, options.AccessTokenLifetime);
    }

    private async Task<GrantResult> ForClientAsync(TokenRequest request, ClientRecord client, CancellationToken cancel)
    {
        if (request.DetailsRefused is { } refused)
            return refused;
        var (target, error) = request.Target(client.Authority.Locations is [var only] ? only.Location : null);
        if (error is not null)
            return error;
        if (!Narrowing.ByScope(request.Form[Names.OAuth.Scope], client.Authority, target!).TryGet(out var granted, out var fault))
            return fault;
        var task = await sessions.CurrentAsync(client, request.Registry.Version, request.Now, cancel);
        return new Issuance
        {
            Who = new Principals(client.Id, Names.Claims.ProfileClient, null, null, null, client.Id, []),
            Target = target!, Authority = granted.Authority, Scope = granted.Scope, ByScope = true, TaskId = task.Id, TaskExpires = task.Expires,
            GrantId = Id.New(Id.Grant, request.Now), Thumbprint = request.Proof?.Thumbprint, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, task.Expires),
            RegistryVersion = request.Registry.Version, GrantType = Type, Consume = request.Consume,
        };
    }
}
