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
/// is not the client's own gets the same 200 and has no effect (§2.2). A DPoP proof is not demanded (RFC 9449 §5 wants one where a token is
/// used, and who ends a stolen token does its owner a favour), but one that is offered has to be right.
/// </summary>
internal static class RevocationEndpoint
{
    public static IEndpointConventionBuilder MapRevocationEndpoint(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.Revoke, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, RegistryCache registry, ClientCallers clients, RequestLimits limits, ProofReader proofs, SigningKeyRing keys, Issuer issuer,
        RefreshFamilies families, ICommitLog log, AuditTrail audit, ServerOptions options, TimeProvider time)
    {
        // 1. Parse and authenticate as at the token endpoint (§2.1).
        var (form, error) = await StrictBody.FormAsync(context.Request);
        if (form is null)
            return await Refuse(error!, error!.Reason ?? error.Code, null, []);
        var (client, refusal) = await clients.IdentifyAsync(context, form, await registry.Current(context.RequestAborted));
        if (client is null)
        {
            RequestLimits.Failed(context);
            return await Refuse(OAuthError.InvalidClient(refusal!.Message, refusal.UsedBasic), refusal.Reason, null, []);
        }
        if (await limits.AuthenticatedAsync(context, client) is { } tooMany)
            return tooMany;
        List<Once> consume = client.Assertion is { } assertion ? [assertion] : [];
        var (proof, unproven) = proofs.ReadOffered(context, Names.Paths.Revoke);
        if (unproven is not null)
            return await Refuse(unproven, unproven.Reason!, client, unproven.AsksForNonce ? [] : consume);
        if (proof is not null)
            consume.Add(Once.Proof(proof));
        if (form["token"] is not { } text)
            return await Refuse(OAuthError.InvalidRequest("token is missing."), Names.Errors.InvalidRequest, client, consume);

        // 2. Its own, and a token that still means something: anything else is already as good as revoked.
        var now = time.GetUtcNow();
        if (text.StartsWith(OpaqueToken.Refresh, StringComparison.Ordinal))
            return await RefreshTokenAsync(OpaqueToken.HashOf(text), client);
        if (!(await OwnToken.ReadAsync(text, keys, issuer, now, context.RequestAborted)).TryGet(out var token, out var fault))
            return await Refuse(null, fault.Code, client, consume);
        if (token.ClientId != client.Id)
            return await Refuse(null, Names.Reasons.NotPresenter, client, consume);
        if (IsOfAnotherKey(token.Thumbprint))
            return await Refuse(WrongKey, WrongKey.Reason!, client, consume);

        // 3. One commit.
        var by = new Initiator(token.Agent, token.Instance, client.Id, Rank.Agent);
        return (token.Grant, token.IsInstanceToken) switch
        {
            ({ } grant, _) => Answer(await log.Commit(new RevokeGrant(grant, token.Jti, "revoked_by_client", by, consume, now, options.Node)), null),
            (null, true) => Answer(await log.Commit(new EndInstance(token.Instance!, "revoked_by_client", by, consume, now, options.Node)), null),
            // §2.2.1: a guard's token ends by itself within minutes, and 200 would say that it had ended; its enrolment is what is revoked.
            _ => await Refuse(NotRevocable, Names.Reasons.WrongType, client, consume),
        };

        // §2.1: with a refresh token go the access tokens of its grant.
        async Task<IResult> RefreshTokenAsync(string hash, AuthenticatedClient by)
        {
            if (await families.Find(hash, context.RequestAborted) is not { } line || line.ClientId != by.Id)
                return await Refuse(null, Names.Reasons.NotPresenter, by, consume);
            if (IsOfAnotherKey(line.Thumbprint))
                return await Refuse(WrongKey, WrongKey.Reason!, by, consume);
            var initiator = new Initiator(line.AgentId, line.Instance, by.Id, Rank.Agent);
            return Answer(await log.Commit(new RevokeGrant(line.GrantId, null, "revoked_by_client", initiator, consume, now, options.Node)), null);
        }

        bool IsOfAnotherKey(string? thumbprint) => proof is not null && thumbprint is not null && proof.Thumbprint != thumbprint;

        async Task<IResult> Refuse(OAuthError? e, string reason, AuthenticatedClient? by, IReadOnlyList<Once> consumed) =>
            Answer(await audit.RefuseAsync(audit.Refusal(AuditTypes.TokenRevoked, reason) with { Client = by?.Id }, consumed), e);
    }

    private static OAuthError NotRevocable { get; } = new(Names.Errors.UnsupportedTokenType, "A guard's own token ends by itself.");

    private static OAuthError WrongKey { get; } = OAuthError.InvalidProof(new Fault("wrong_key", "The token is bound to another key."));

    /// <param name="replayed">The space of something single-use that came again.</param>
    private static IResult Answer(string? replayed, OAuthError? error) => replayed is not null ? OAuthError.Replay(replayed) : error ?? Results.Ok();
}
