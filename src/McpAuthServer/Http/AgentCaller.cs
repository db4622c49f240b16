using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Http;

/// <summary>An attested agent instance calling the server.</summary>
internal sealed record AgentCaller(AgentRecord Agent, InstanceContext Instance, string Client, Once Proof, RegistrySnapshot Registry)
{
    public Principals Principals => new(Agent.Id, Names.Claims.ProfileAgent, null, Agent.Id, Instance.Id, Client, []);

    public Initiator Initiator => new(Agent.Id, Instance.Id, Client, Rank.Agent);
}

/// <summary>Authenticates by instance token; every refusal is recorded.</summary>
internal sealed class AgentCallers(
    TokenPresenter presenter, RequestLimits limits, RegistryCache registry, ClientDirectory clients, InstanceStore instances, AuditTrail audit, Issuer issuer, TimeProvider time)
{
    public async Task<(AgentCaller? Caller, OAuthError? Error)> AuthenticateAsync(HttpContext context, string path)
    {
        var cancel = context.RequestAborted;
        var (presented, error) = await presenter.AuthenticateAsync(context, path, issuer.TokenEndpoint);
        if (presented is null)
            return (null, await RefuseAsync(context, error!, null));
        var token = presented.Token;
        if (!token.IsInstanceToken || token.Agent is not { } id || token.Instance is not { } instanceId)
            return (null, await RefuseAsync(context, TokenPresenter.Refuse("An instance token is needed.", Names.Reasons.WrongType), token.Agent));
        var snapshot = await registry.Current(cancel);
        if (snapshot.Agents.GetValueOrDefault(id) is not { Active: true } agent)
            return (null, await RefuseAsync(context, TokenPresenter.Refuse("The agent is not active.", Names.Reasons.AgentSuspended), id));
        if (await clients.KnownAsync(token.ClientId, snapshot, cancel) is not { Active: true })
            return (null, await RefuseAsync(context, TokenPresenter.Refuse("The agent's client is not active.", Names.Reasons.Revoked), id));
        if (await instances.Find(instanceId, cancel) is not { Active: true } instance || instance.Expires <= time.GetUtcNow())
            return (null, await RefuseAsync(context, TokenPresenter.Refuse("The instance has ended.", Names.Reasons.InstanceEnded), id));
        return await limits.AuthenticatedAsync(context, instance.Id) is { } tooMany
            ? (null, tooMany)
            : (new AgentCaller(agent, instance, token.ClientId, presented.Proof, snapshot), null);
    }

    /// <summary>For a call that changes nothing: the proof is consumed by itself. Null, or the refusal of a replay.</summary>
    public async Task<OAuthError?> ConsumeAsync(AgentCaller caller) =>
        await audit.ConsumeAsync(caller.Proof, audit.Refusal(AuditTypes.ReplayDetected, Names.Reasons.Replay) with { Agent = caller.Agent.Id, Instance = caller.Instance.Id })
            ? null
            : OAuthError.UsedProof;

    /// <summary>A refusal of what the caller asked for: recorded, and its proof consumed with it. The task only where the caller may know of it.</summary>
    public async Task<OAuthError> RefuseAsync(AgentCaller caller, OAuthError error, string type, string? task = null)
    {
        var refused = audit.Refusal(type, error.Reason ?? error.Code) with { Agent = caller.Agent.Id, Instance = caller.Instance.Id, Client = caller.Client, Task = task };
        return await audit.RefuseAsync(refused, [caller.Proof]) is null ? error : OAuthError.UsedProof;
    }

    private async Task<OAuthError> RefuseAsync(HttpContext context, OAuthError error, string? agent)
    {
        RequestLimits.Failed(context, error);
        await audit.RefuseAsync(audit.Refusal(AuditTypes.TokenRefused, error.Reason!) with { Agent = agent }, []);
        return error;
    }
}
