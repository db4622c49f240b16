using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Agents;

/// <summary>
/// <c>/agents/instances</c>: attests a running copy of an agent, renews it (the same call with the same key), ends it. The evidence is the
/// agent's client assertion; the instance's own key is proved by DPoP.
/// </summary>
internal static class InstancesEndpoint
{
    private const int MaxPlans = 8;

    public static void MapInstancesEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.Map(Names.Paths.Instances, AttestAsync);
        routes.MapDelete(Names.Paths.Instances + "/{id}", EndAsync);
    }

    private static async Task<IResult> AttestAsync(
        HttpContext context, RegistryCache registry, ClientCallers clients, RequestLimits limits, AccessTokens tokens, ProofReader proofs, ICommitLog log,
        AuditTrail audit, ServerOptions options, TimeProvider time)
    {
        var cancel = context.RequestAborted;
        var (form, error) = await StrictBody.FormAsync(context.Request);
        if (form is null)
            return await Refuse(error!);
        for (var attempt = 1; attempt <= MaxPlans; attempt++)
        {
            var snapshot = await registry.Current(cancel);

            // 1. The evidence: which agent this is (before any token).
            var (client, refusal) = await clients.IdentifyAsync(context, form, snapshot);
            if (client is null)
            {
                RequestLimits.Failed(context);
                return await Refuse(OAuthError.InvalidClient(refusal!.Message, refusal.UsedBasic), refusal.Reason);
            }
            if (await limits.AuthenticatedAsync(context, client) is { } tooMany)
                return tooMany;
            if (client.Client?.AgentId is not { } agentId || client.Method != Names.ClientAssertion.PrivateKeyJwt)
                return await Refuse(new(Names.Errors.UnauthorizedClient, "Only an agent's own client attests, with private_key_jwt."), by: client);
            if (!snapshot.Agents[agentId].Active)
                return await Refuse(new(Names.Errors.UnauthorizedClient, "The agent is not active.", Reason: Names.Reasons.AgentSuspended), by: client);

            // 2. The instance's key.
            if (!proofs.Read(context, Names.Paths.Instances).TryGet(out var proof, out var fault))
                return await Refuse(OAuthError.InvalidProof(fault), by: client);

            // 3. One commit: the assertion and proof are consumed, the instance is recorded.
            var now = time.GetUtcNow();
            var unit = new AttestInstance(agentId, client.Id, proof.Thumbprint, snapshot.Version, [client.Assertion!.Value, Once.Proof(proof)], now, options.Node);
            var attested = await log.Commit(unit);
            switch (attested.Outcome)
            {
                case IssueOutcome.Stale:
                    registry.Invalidate(snapshot.Version);
                    continue;
                case IssueOutcome.Replayed:
                    return OAuthError.Replay(attested.Reason!);
                case IssueOutcome.Ended:
                    return OAuthError.InvalidRequest("The key belongs to an instance that was ended, or to another agent: attest with a new key.", attested.Reason);
            }
            var instance = attested.Instance!;
            var expires = Issuance.Earliest(instance.Expires);
            var token = tokens.SignInstance(agentId, client.Id, instance, unit.Jti, now, expires);
            return Results.Json(
                new InstanceResponse(instance.Id, agentId, token, Names.Dpop.Scheme, (int)(expires - now).TotalSeconds), ProtocolJson.Default.InstanceResponse,
                statusCode: attested.Renewed ? StatusCodes.Status200OK : StatusCodes.Status201Created);
        }
        return new OAuthError(Names.Errors.TemporarilyUnavailable, "The registry is changing; try again.", StatusCodes.Status503ServiceUnavailable);

        async Task<IResult> Refuse(OAuthError e, string? reason = null, AuthenticatedClient? by = null)
        {
            var refused = audit.Refusal(AuditTypes.InstanceRefused, reason ?? e.Reason ?? e.Code) with { Client = by?.Id, Agent = by?.Client?.AgentId };
            return await audit.RefuseAsync(refused, by?.Assertion is { } once && !e.AsksForNonce ? [once] : []) is { } replayed ? OAuthError.Replay(replayed) : e;
        }
    }

    private static async Task<IResult> EndAsync(string id, HttpContext context, AgentCallers callers, ICommitLog log, ServerOptions options, TimeProvider time)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, $"{Names.Paths.Instances}/{id}");
        if (caller is null)
            return error!;
        // An instance ends itself. Another's is not told apart from none.
        if (caller.Instance.Id != id)
            return await callers.RefuseAsync(caller, new OAuthError("not_found", "There is no such instance.", StatusCodes.Status404NotFound), AuditTypes.InstanceRefused);
        return await log.Commit(new EndInstance(id, "ended_by_agent", caller.Initiator, [caller.Proof], time.GetUtcNow(), options.Node)) is null
            ? Results.NoContent()
            : OAuthError.UsedProof;
    }
}
