using McpAuth.Protocol;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;

namespace McpAuthServer.Grants;

/// <summary>An attested agent's work of its own, for no person: a task of its own, begun or continued.</summary>
internal sealed class OwnWork(TaskStore tasks, ServerOptions options)
{
    public async Task<GrantResult> PlanAsync(TokenRequest request, AgentRecord agent, InstanceContext instance, string grantType, CancellationToken cancel)
    {
        if (request.Details() is not { } details)
            return new OAuthError(Names.Errors.InvalidAuthorizationDetails, "authorization_details must carry the task: its id, or the purpose of a new one.");
        if (!details.TryGet(out var asked, out var fault))
            return fault;
        var (target, error) = request.Target(asked.Authority.Locations is [var only] ? only.Location : null);
        if (error is not null)
            return error;
        if (!(await TaskTerms.ForAgentAsync(asked.Task, asked.Authority, agent, request.Registry, tasks, request.Now, cancel)).TryGet(out var task, out fault))
            return fault;
        var requested = task.New is null ? asked.Authority : asked.Authority.OnlyAt(target!.Resource);
        if (!Narrowing.Explicit(requested, request.Form[Names.OAuth.Scope], task.Authority, target!, (agent.Ceiling, "the agent's ceiling")).TryGet(out var authority, out fault))
            return fault;
        var who = new Principals(agent.Id, Names.Claims.ProfileAgent, null, agent.Id, instance.Id, request.Client.Id, []);
        var plan = task.Issue(request, who, target!, authority, grantType, options.AccessTokenLifetime).BoundTo(instance);
        return plan with { Family = DelegatedWork.LineFor(request, plan) };
    }
}
