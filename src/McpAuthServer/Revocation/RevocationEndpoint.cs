using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Revocation;

/// <summary>
/// Revocation (RFC 7009). Revoking an access token revokes its grant and all below it; revoking an instance token ends the instance. Whatever
/// is not the client's own gets the same 200 and has no effect (§2.2).
/// </summary>
internal static class RevocationEndpoint
{
    public static IEndpointConventionBuilder MapRevocationEndpoint(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.Revoke, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, RegistryCache registry, ClientCallers clients, ServerKeys keys, Issuer issuer, RefreshFamilies families, ICommitLog log, AuditTrail audit,
        ServerOptions options, TimeProvider time)
    {
        // 1. Parse and authenticate as at the token endpoint (§2.1).
        var (form, error) = await StrictBody.FormAsync(context.Request);
        if (form is null)
            return await Refuse(error!, error!.Reason ?? error.Code, null);
        var (client, refusal) = await clients.IdentifyAsync(context, form, await registry.Current(context.RequestAborted));
        if (client is null)
            return await Refuse(OAuthError.InvalidClient(refusal!.Message, refusal.UsedBasic), refusal.Reason, null);
        if (form["token"] is not { } text)
            return await Refuse(OAuthError.InvalidRequest("token is missing."), Names.Errors.InvalidRequest, client);

        // 2. Its own, and a token that still means something: anything else is already as good as revoked.
        var now = time.GetUtcNow();
        IReadOnlyList<Once> consume = client.Assertion is { } once ? [once] : [];
        if (text.StartsWith(OpaqueToken.Refresh, StringComparison.Ordinal))
            return await RefreshTokenAsync(OpaqueToken.HashOf(text), client, consume);
        if (!OwnToken.Read(text, keys, issuer, now).TryGet(out var token, out var fault))
            return await Refuse(null, fault.Code, client);
        if (token.ClientId != client.Id)
            return await Refuse(null, Names.Reasons.NotPresenter, client);

        // 3. One commit.
        var by = new Initiator(token.Agent, token.Instance, client.Id, Rank.Agent);
        var done = (token.Grant, token.IsInstanceToken) switch
        {
            ({ } grant, _) => await log.Commit(new RevokeGrant(grant, token.Jti, "revoked_by_client", by, consume, now, options.Node)),
            (null, true) => await log.Commit(new EndInstance(token.Instance!, "revoked_by_client", by, consume, now, options.Node)),
            // A guard's token: it ends by itself within minutes; enrolment is what is revoked.
            _ => await audit.RefuseAsync(audit.Refusal(AuditTypes.TokenRevoked, Names.Reasons.WrongType) with { Client = client.Id }, consume) is null,
        };
        return done ? Results.Ok() : OAuthError.Replay(Once.AssertionSpace);

        // §2.1: with a refresh token go the access tokens of its grant.
        async Task<IResult> RefreshTokenAsync(string hash, AuthenticatedClient by, IReadOnlyList<Once> consumed)
        {
            if (await families.Find(hash, context.RequestAborted) is not { } line || line.ClientId != by.Id)
                return await Refuse(null, Names.Reasons.NotPresenter, by);
            var initiator = new Initiator(line.AgentId, line.Instance, by.Id, Rank.Agent);
            return await log.Commit(new RevokeGrant(line.GrantId, null, "revoked_by_client", initiator, consumed, now, options.Node)) ? Results.Ok() : OAuthError.Replay(Once.AssertionSpace);
        }

        async Task<IResult> Refuse(OAuthError? e, string reason, AuthenticatedClient? by)
        {
            var refused = audit.Refusal(AuditTypes.TokenRevoked, reason) with { Client = by?.Id };
            return await audit.RefuseAsync(refused, by?.Assertion is { } assertion ? [assertion] : []) is { } replayed ? OAuthError.Replay(replayed) : e ?? Results.Ok();
        }
    }
}
