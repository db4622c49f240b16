using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Http;

/// <summary>An enrolled guard calling its channels; it is believed about its own tool server only.</summary>
internal sealed record GuardCaller(GuardRecord Guard, ToolServerRecord Server, Once Proof, RegistrySnapshot Registry);

/// <summary>Authenticates guards; every refusal is recorded.</summary>
internal sealed class GuardCallers(TokenPresenter presenter, RequestLimits limits, GuardDirectory guards, RegistryCache registry, AuditTrail audit, Issuer issuer)
{
    /// <summary>The proof is consumed here: a guard's calls either change nothing or may be repeated safely.</summary>
    public async Task<(GuardCaller? Caller, OAuthError? Error)> AuthenticateAsync(HttpContext context, string path)
    {
        var (presented, error) = await presenter.AuthenticateAsync(context, path, issuer.GuardAudience);
        if (presented is null)
            return (null, await FailAsync(context, error!, null));
        var snapshot = await registry.Current(context.RequestAborted);
        var id = presented.Token.Subject;
        if (await guards.Find(id, context.RequestAborted) is not { Active: true } guard || snapshot.ToolServers.GetValueOrDefault(guard.ToolServer) is not { Active: true } server)
            return (null, await FailAsync(context, TokenPresenter.Refuse("The guard or its tool server is not active.", "guard_inactive"), id));
        if (await limits.AuthenticatedAsync(context, id) is { } tooMany)
            return (null, tooMany);
        return await audit.ConsumeAsync(presented.Proof, audit.Refusal(AuditTypes.ReplayDetected, Names.Reasons.Replay) with { Client = id })
            ? (new GuardCaller(guard, server, presented.Proof, snapshot), null)
            : (null, OAuthError.UsedProof);
    }

    /// <summary>A refusal of what an authenticated guard asked for, recorded.</summary>
    public Task<OAuthError> RefuseAsync(GuardCaller caller, OAuthError error) => RefuseAsync(error, caller.Guard.Id);

    private Task<OAuthError> FailAsync(HttpContext context, OAuthError error, string? guard)
    {
        RequestLimits.Failed(context, error);
        return RefuseAsync(error, guard);
    }

    private async Task<OAuthError> RefuseAsync(OAuthError error, string? guard)
    {
        await audit.RefuseAsync(audit.Refusal(AuditTypes.GuardRefused, error.Reason ?? error.Code) with { Client = guard }, []);
        return error;
    }
}
