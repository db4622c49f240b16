using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.PushedAuthorization;

/// <summary>
/// Pushed authorization requests (RFC 9126): the client leaves its request here, authenticated, and sends the browser with a reference to it. The
/// request is checked now, as the authorization endpoint would, and again when the browser comes.
/// </summary>
internal static class PushedAuthorizationEndpoint
{
    private static readonly HashSet<string> Repeatable = [Names.Resources.Resource];

    public static IEndpointConventionBuilder MapPushedAuthorization(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.PushedRequests, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, RegistryCache registry, ClientCallers clients, AuthorizationRequests requests, PushedRequests pushed, ProofReader proofs, AuditTrail audit, TimeProvider time)
    {
        // 1. Parse once, and authenticate as at the token endpoint (§2).
        var (form, error) = await StrictBody.FormAsync(context.Request, Repeatable, maxFields: 64);
        if (form is null)
            return await RefuseAsync(error!, null, []);
        var snapshot = await registry.Current(context.RequestAborted);
        (var client, error) = await clients.AuthenticateAsync(context, form, snapshot, anew: true);
        if (client is null)
            return error!;
        List<Once> consume = client.Assertion is { } once ? [once] : [];
        if (client.Client is not { } software)
            return await RefuseAsync(new(Names.Errors.UnauthorizedClient, "A guard asks nobody for anything."), client.Id, consume);

        // 2. The key that the code will be bound to: by a proof or by its thumbprint, and when by both, then by one (RFC 9449 §10.1).
        (var proof, error) = proofs.ReadOffered(context, Names.Paths.PushedRequests);
        if (error is not null)
            return await RefuseAsync(error, client.Id, error.AsksForNonce ? [] : consume);
        if (proof is not null)
            consume.Add(Once.Proof(proof));
        if (proof is not null && form[Names.Dpop.Thumbprint] is { } named && named != proof.Thumbprint)
            return await RefuseAsync(OAuthError.InvalidProof(new Fault("wrong_key", "dpop_jkt is not the proof's key.")), client.Id, consume);

        // 3. The request itself. §2.1: not by another reference.
        if (form[Names.Authorization.RequestUri] is not null)
            return await RefuseAsync(OAuthError.InvalidRequest("request_uri cannot be pushed.", "request_uri"), client.Id, consume);
        switch (await requests.ReadAsync(form, software, wasPushed: true, snapshot, time.GetUtcNow(), context.RequestAborted))
        {
            case ReadRequest.Unanswerable no:
                return await RefuseAsync(OAuthError.InvalidRequest("redirect_uri is not one of the client's.", no.Reason), client.Id, consume);
            case ReadRequest.Refused no:
                return await RefuseAsync(new(no.Error, no.Description), client.Id, consume);
        }

        // 4. One commit.
        var e = audit.Success(AuditTypes.RequestPushed) with { Client = client.Id, Agent = software.AgentId, Resource = form[Names.Resources.Resource] };
        var (reference, replayed) = await pushed.PushAsync(client.Id, AuthorizationRequests.Kept(form, client.Id, proof?.Thumbprint), consume, e);
        if (reference is null)
            return OAuthError.Replay(replayed!);
        return Results.Json(new PushedResponse(reference, (int)PushedRequests.Life.TotalSeconds), ProtocolJson.Default.PushedResponse, statusCode: StatusCodes.Status201Created);

        async Task<IResult> RefuseAsync(OAuthError e, string? by, IReadOnlyList<Once> consumed) =>
            await audit.RefuseAsync(audit.Refusal(AuditTypes.AuthorizationRefused, e.Reason ?? e.Code) with { Client = by }, consumed) is { } space ? OAuthError.Replay(space) : e;
    }
}
