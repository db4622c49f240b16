using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Attestation;
using McpAuthServer.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Agents;

/// <summary>
/// <c>/agents/instances</c>: attests a running copy of an agent, renews it (the same call with the same key), ends it. The evidence is what the platform says
/// of the program (<c>assertion</c>), or the agent's own client assertion; the instance's key is proved by DPoP.
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
        HttpContext context, RegistryCache registry, EvidenceReader reader, AccessTokens tokens, ProofReader proofs, ICommitLog log, AuditTrail audit, ServerOptions options,
        TimeProvider time)
    {
        var (form, error) = await StrictBody.FormAsync(context.Request);
        if (form is null)
            return await Refuse(new(error!));
        for (var attempt = 1; attempt <= MaxPlans; attempt++)
        {
            var snapshot = await registry.Current(context.RequestAborted);

            // 1. The evidence: which agent this is (before any token).
            var (evidence, refusal) = await reader.ReadAsync(context, form, snapshot);
            if (evidence is null)
                return await Refuse(refusal!);
            if (!snapshot.Agents[evidence.Agent].Active)
                return await Refuse(EvidenceRefusal.Of(evidence, new(Names.Errors.UnauthorizedClient, "The agent is not active.", Reason: Names.Reasons.AgentSuspended)));

            // 2. The instance's key.
            if (!proofs.Read(context, Names.Paths.Instances).TryGet(out var proof, out var fault))
                return await Refuse(EvidenceRefusal.Of(evidence, OAuthError.InvalidProof(fault)));

            if (evidence.Key is { } vouched && vouched != proof.Thumbprint)
                return await Refuse(EvidenceRefusal.Of(evidence, new(Names.ClientAttestation.Invalid, "The proof is by another key than the attestation vouches for.", Reason: Attesting.OtherKey)));

            // 3. One commit: the evidence and the proof are consumed, the instance is recorded.
            var now = time.GetUtcNow();
            IReadOnlyList<Once> consume = evidence.Once is { } once ? [once, Once.Proof(proof)] : [Once.Proof(proof)];
            var unit = new AttestInstance(new Attesting(evidence, proof.Thumbprint, proof.Jwk, now), snapshot.Version, consume, now, options.Node);
            var attested = await log.Commit(unit);
            switch (attested.Outcome)
            {
                case IssueOutcome.Stale:
                    registry.Invalidate(snapshot.Version);
                    continue;
                case IssueOutcome.Replayed:
                    return OAuthError.Replay(attested.Reason!);
                case IssueOutcome.Ended:
                    return OAuthError.InvalidRequest("The key belongs to another instance, or the evidence to another key: attest with a new key and new evidence.", attested.Reason);
            }
            var instance = attested.Instance!;
            var expires = Issuance.Earliest(instance.Expires);
            var token = tokens.SignInstance(evidence.Agent, evidence.Client, instance, unit.Jti, now, expires);
            return Results.Json(
                new InstanceResponse(instance.Id, evidence.Agent, token, Names.Dpop.Scheme, (int)(expires - now).TotalSeconds, evidence.Client), ProtocolJson.Default.InstanceResponse,
                statusCode: attested.Renewed ? StatusCodes.Status200OK : StatusCodes.Status201Created);
        }
        return new OAuthError(Names.Errors.TemporarilyUnavailable, "The registry is changing; try again.", StatusCodes.Status503ServiceUnavailable);

        Task<IResult> Refuse(EvidenceRefusal refusal) => refusal.AnswerAsync(audit, AuditTypes.InstanceRefused);
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
