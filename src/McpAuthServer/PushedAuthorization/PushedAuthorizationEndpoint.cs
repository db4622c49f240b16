using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;

namespace McpAuthServer.PushedAuthorization;

/// <summary>
/// Pushed authorization requests (RFC 9126): the client leaves its request here, authenticated, and sends the browser with a reference to it. The
/// request is checked now, as the authorization endpoint would, and again when the browser comes.
/// </summary>
internal static class PushedAuthorizationEndpoint
{
    public static IEndpointConventionBuilder MapPushedAuthorization(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.PushedRequests, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, ClientRequests clients, AuthorizationRequests requests, PushedRequests pushed, AuditTrail audit, TimeProvider time)
    {
        // 1. Who asks, authenticated as at the token endpoint (§2), and by which key.
        var (request, error) = await clients.ReadAsync(context, Names.Paths.PushedRequests, AuditTypes.AuthorizationRefused);
        if (request is null)
            return error!;
        var (form, client, proof) = (request.Form, request.Client, request.Proof);
        if (client.Client is not { } software)
            return await RefuseAsync(new(Names.Errors.UnauthorizedClient, "A guard asks nobody for anything."));

        // 2. The key that the code will be bound to: by a proof or by its thumbprint, and when by both, then by one (RFC 9449 §10.1).
        if (proof is not null && form[Names.Dpop.Thumbprint] is { } named && named != proof.Thumbprint)
            return await RefuseAsync(OAuthError.InvalidProof(new Fault("wrong_key", "dpop_jkt is not the proof's key.")));

        // 3. The request itself. §2: it names its client, as one in an address would, whatever authenticated it; §2.1: not by another reference.
        if (form[Names.OAuth.ClientId] is null)
            return await RefuseAsync(OAuthError.InvalidRequest("client_id is missing.", "client_id"));
        if (form[Names.Authorization.RequestUri] is not null)
            return await RefuseAsync(OAuthError.InvalidRequest("request_uri cannot be pushed.", "request_uri"));
        switch (await requests.ReadAsync(form, software, wasPushed: true, request.Registry, time.GetUtcNow(), context.RequestAborted))
        {
            case ReadRequest.Unanswerable no:
                return await RefuseAsync(OAuthError.InvalidRequest("redirect_uri is not one of the client's.", no.Reason));
            // §2.3: what depends on who is signed in is nothing to be told here; it is found out again, and told, when the browser comes.
            case ReadRequest.Refused { Error: not Names.Errors.LoginRequired } no:
                return await RefuseAsync(new(no.Error, no.Description));
        }

        // 4. One commit.
        var e = audit.Success(AuditTypes.RequestPushed) with { Client = client.Id, Agent = software.AgentId, Resource = form[Names.Resources.Resource] };
        var (reference, replayed) = await pushed.PushAsync(client.Id, AuthorizationRequests.Kept(form, client.Id, proof?.Thumbprint), request.Consume, e);
        if (reference is null)
            return OAuthError.Replay(replayed!);
        return Results.Json(new PushedResponse(reference, (int)PushedRequests.Life.TotalSeconds), ProtocolJson.Default.PushedResponse, statusCode: StatusCodes.Status201Created);

        async Task<IResult> RefuseAsync(OAuthError e) => await clients.RefuseAsync(request, e, AuditTypes.AuthorizationRefused);
    }
}
