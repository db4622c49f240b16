using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Forms;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Registry;

namespace McpAuthServer.Http;

/// <summary>Authenticates clients where they call without a token; a refusal is recorded.</summary>
internal sealed class ClientCallers(ClientAuthenticator authenticator, ClientDirectory directory, RequestLimits limits, AuditTrail audit)
{
    /// <param name="anew">Whether something begins here that is judged by what the client says of itself now.</param>
    public async Task<(AuthenticatedClient? Client, OAuthError? Error)> AuthenticateAsync(HttpContext context, StrictForm form, RegistrySnapshot registry, bool anew = false)
    {
        var cancel = context.RequestAborted;
        var (client, refusal) = await authenticator.AuthenticateAsync(form, context.Request.Headers.Authorization, registry, cancel, anew);
        if (client is not null)
            return await limits.AuthenticatedAsync(context, client) is { } tooMany ? (null, tooMany) : (client, null);
        RequestLimits.Failed(context);
        // What an unauthenticated caller says of itself is recorded only when it names somebody known.
        var known = refusal!.ClientId is { } id && await directory.KnownAsync(id, registry, cancel) is not null ? id : null;
        await audit.RefuseAsync(audit.Refusal(AuditTypes.ClientRefused, refusal.Reason) with { Client = known }, []);
        return (null, OAuthError.InvalidClient(refusal.Message, refusal.UsedBasic));
    }
}
