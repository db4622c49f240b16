using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Forms;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Registry;

namespace McpAuthServer.Http;

/// <summary>Authenticates clients where they call without a token.</summary>
internal sealed class ClientCallers(
    ClientAuthenticator authenticator, ClientDirectory directory, RequestCertificate certificates, RequestLimits limits, AuditTrail audit)
{
    /// <summary>A refusal is recorded.</summary>
    /// <param name="anew">Whether something begins here that is judged by what the client says of itself now.</param>
    public async Task<(AuthenticatedClient? Client, OAuthError? Error)> AuthenticateAsync(HttpContext context, StrictForm form, RegistrySnapshot registry, bool anew = false)
    {
        var (client, refusal) = await IdentifyAsync(context, form, registry, anew);
        if (client is not null)
            return await limits.AuthenticatedAsync(context, client) is { } tooMany ? (null, tooMany) : (client, null);
        RequestLimits.Failed(context);
        // What an unauthenticated caller says of itself is recorded only when it names somebody known.
        var known = refusal!.ClientId is { } id && await directory.KnownAsync(id, registry, context.RequestAborted) is not null ? id : null;
        await audit.RefuseAsync(audit.Refusal(AuditTypes.ClientRefused, refusal.Reason) with { Client = known }, []);
        return (null, OAuthError.InvalidClient(refusal.Message, refusal.UsedBasic));
    }

    /// <summary>The same for endpoints that record a refusal as their own.</summary>
    public async Task<(AuthenticatedClient? Client, ClientRefusal? Refusal)> IdentifyAsync(HttpContext context, StrictForm form, RegistrySnapshot registry, bool anew = false)
    {
        var authorization = context.Request.Headers.Authorization;
        // A certificate that is not to be believed is not the same as none, whatever the client authenticates by.
        return certificates.Of(context).TryGet(out var certificate, out var fault)
            ? await authenticator.AuthenticateAsync(form, authorization, certificate, registry, context.RequestAborted, anew)
            : (null, new ClientRefusal(null, fault.Message, authorization.Count > 0, fault.Code));
    }
}
