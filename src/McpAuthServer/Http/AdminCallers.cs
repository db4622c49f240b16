using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Http;

/// <summary>A client that administers, calling; its proof is consumed.</summary>
internal sealed record AdminCaller(string Client)
{
    public Initiator Initiator => new(null, null, null, Rank.Administrator) { Administrator = Client };
}

/// <summary>Authenticates clients that administer: by a token for this API alone, bound to a key. Every refusal is recorded.</summary>
internal sealed class AdminCallers(
    TokenPresenter presenter, RequestCertificate certificates, RequestLimits limits, RegistryCache registry, AuditTrail audit, Issuer issuer)
{
    /// <summary>The proof is consumed here: whatever a caller asks for can be asked for again.</summary>
    public async Task<(AdminCaller? Caller, Problem? Refusal)> AuthenticateAsync(HttpContext context, string path)
    {
        // 1. The token, ours, for this audience, with its key.
        var (presented, error) = await presenter.AuthenticateAsync(context, path, issuer.AdminAudience);
        if (presented is null)
            return (null, await FailAsync(context, error!, null));
        var token = presented.Token;
        var client = token.ClientId;

        // 2. The certificate it is bound to, if it is (RFC 8705 §3).
        if (token.CertificateThumbprint is { } thumbprint && (!certificates.Of(context).TryGet(out var certificate, out _) || certificate?.Thumbprint != thumbprint))
            return (null, await FailAsync(context, TokenPresenter.Refuse("The token is bound to another certificate.", "wrong_certificate"), client));

        // 3. The client, as it is registered at this moment: what another node changed counts from its commit on, since whoever holds a token here can do anything.
        if (token.Subject != client || await RefusesAsync(client, context.RequestAborted) is not null)
            return (null, await FailAsync(context, Inactive, client));
        context.Features.Set(new CallerLives(() => RefusesAsync(client, context.RequestAborted)));
        if (await limits.AuthenticatedAsync(context, client) is { } tooMany)
            return (null, Problem.Of(tooMany));
        var caller = new AdminCaller(client);
        if (!await audit.ConsumeAsync(presented.Proof, audit.Refusal(AuditTypes.ReplayDetected, Names.Reasons.Replay) with { Client = client }))
            return (null, Problem.Of(OAuthError.UsedProof));

        // 4. What it may do (RFC 6750 §3.1).
        return HasScope(token)
            ? (caller, null)
            : (null, await RefuseAsync(caller, new Problem(StatusCodes.Status403Forbidden, Names.Errors.InsufficientScope, "The token does not carry the scope.")
            {
                Challenge = $"DPoP error=\"{Names.Errors.InsufficientScope}\", scope=\"{Names.Scopes.Admin}\"",
            }));
    }

    /// <summary>A refusal of what the caller asked for, recorded.</summary>
    public async Task<Problem> RefuseAsync(AdminCaller caller, Problem problem)
    {
        await audit.RefuseAsync(audit.Refusal(AuditTypes.AdminRefused, problem.Reason ?? problem.Code) with { Client = caller.Client }, []);
        return problem;
    }

    private static OAuthError Inactive => TokenPresenter.Refuse("The client does not administer, or is not active.", Names.Reasons.Revoked);

    private async Task<OAuthError?> RefusesAsync(string client, CancellationToken cancel) =>
        (await registry.AsOfNow(cancel)).Clients.GetValueOrDefault(client) is { Active: true, Administers: true } ? null : Inactive;

    private static bool HasScope(OwnToken token) => token.Scope?.Split(' ').Contains(Names.Scopes.Admin, StringComparer.Ordinal) == true;

    private async Task<Problem> FailAsync(HttpContext context, OAuthError error, string? client)
    {
        RequestLimits.Failed(context, error);
        await audit.RefuseAsync(audit.Refusal(AuditTypes.AdminRefused, error.Reason ?? error.Code) with { Client = client }, []);
        return Problem.Of(error);
    }
}
