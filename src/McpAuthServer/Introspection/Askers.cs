using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Forms;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using McpAuthServer.Registry;

namespace McpAuthServer.Introspection;

/// <summary>Who asks about a token, for which tool server.</summary>
/// <param name="Id">The guard's or the client's.</param>
internal sealed record Asker(string Id, ToolServerRecord Server, RegistrySnapshot Registry);

/// <summary>
/// Authenticates those who may ask: a guard by its own token, or the client that a tool server without a guard is registered as (RFC 7662 §2.1).
/// Every refusal is recorded.
/// </summary>
internal sealed class Askers(GuardCallers guards, ClientCallers clients, RegistryCache registry, AuditTrail audit)
{
    /// <summary>What is single-use in the request is consumed here: asking changes nothing else.</summary>
    public async Task<(Asker? Asker, StrictForm? Form, OAuthError? Error)> AuthenticateAsync(HttpContext context)
    {
        // 1. A guard, or whoever else comes with a token or a proof.
        if (PresentsToken(context.Request.Headers))
        {
            var (guard, refused) = await guards.AuthenticateAsync(context, Names.Paths.Introspect);
            if (guard is null)
                return (null, null, refused);
            var (asked, bad) = await StrictBody.FormAsync(context.Request);
            var asker = new Asker(guard.Guard.Id, guard.Server, guard.Registry);
            return asked is null ? (null, null, await RefuseAsync(asker, bad!)) : (asker, asked, null);
        }

        // 2. A client, by its method.
        var (form, invalid) = await StrictBody.FormAsync(context.Request);
        if (form is null)
            return (null, null, await RefuseAsync(invalid!, null, null));
        var snapshot = await registry.Current(context.RequestAborted);
        var (client, error) = await clients.AuthenticateAsync(context, form, snapshot);
        if (client is null)
            return (null, null, error! with { Challenge = error.Challenge ?? "DPoP algs=\"ES256 RS256\", Basic realm=\"introspection\"" });
        if (client.Assertion is { } once && !await audit.ConsumeAsync(once, audit.Refusal(AuditTypes.ReplayDetected, Names.Reasons.Replay) with { Client = client.Id }))
            return (null, null, OAuthError.Replay(once.Space));

        // 3. One that is a tool server's. A public client is nobody in particular; its record cannot name one.
        return client.Client is { Public: false, Introspects: { } id } && snapshot.ToolServers.GetValueOrDefault(id) is { Active: true } server
            ? (new Asker(client.Id, server, snapshot), form, null)
            : (null, null, await RefuseAsync(
                new OAuthError(Names.Errors.UnauthorizedClient, "The client is not registered as a tool server's to ask about tokens.", StatusCodes.Status403Forbidden), client.Id, null));
    }

    /// <summary>A refusal of what an authenticated asker sent, recorded.</summary>
    public Task<OAuthError> RefuseAsync(Asker asker, OAuthError error) => RefuseAsync(error, asker.Id, asker.Server.Resource);

    /// <summary>Records that somebody asked about what is none of their business.</summary>
    public Task RecordAsync(Asker asker, string reason) => audit.RefuseAsync(Event(reason, asker.Id, asker.Server.Resource), []);

    private static bool PresentsToken(IHeaderDictionary headers) =>
        headers.ContainsKey(Names.Dpop.Header) || headers.Authorization.Any(value => value?.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase) == false);

    private async Task<OAuthError> RefuseAsync(OAuthError error, string? by, string? resource)
    {
        await audit.RefuseAsync(Event(error.Reason ?? error.Code, by, resource), []);
        return error;
    }

    private AuditEvent Event(string reason, string? by, string? resource) => audit.Refusal(AuditTypes.IntrospectionRefused, reason) with { Client = by, Resource = resource };
}
