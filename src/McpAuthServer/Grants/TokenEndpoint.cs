using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Attestation;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;

namespace McpAuthServer.Grants;

/// <summary>Token endpoint (RFC 6749 §3.2): the one pipeline every grant goes through.</summary>
internal static class TokenEndpoint
{
    /// <summary>Plans are made again when the registry changed under them; more often than this means that it never stands still.</summary>
    private const int MaxPlans = 8;

    public static IEndpointConventionBuilder MapTokenEndpoint(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.Token, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, RegistryCache registry, ClientCallers clients, EvidenceReader reader, Grantor grantor, ProofReader proofs, AuditTrail audit, TimeProvider time)
    {
        var cancel = context.RequestAborted;

        // 1. Parse once; a repeated parameter is an error (RFC 6749 §3.2).
        var (form, error) = await StrictBody.FormAsync(context.Request);
        if (form is null)
            return await Refuse(error!);

        for (var attempt = 1; ; attempt++)
        {
            var snapshot = await registry.Current(cancel);

            // 2. Authenticate the client (§3.2.1). Its assertion is consumed with whatever comes of the request. Evidence of a workload stands for it (RFC 7521 §4.1);
            // what is said of a person never does.
            Evidence? evidence = null;
            AuthenticatedClient? client;
            if (form[Names.OAuth.GrantType] == Names.Assertions.JwtBearer && !EvidenceReader.IsOfAClient(context, form))
            {
                (evidence, var refusal) = await reader.OfPlatformAsync(context, form, snapshot);
                if (evidence is null)
                    return await refusal!.AnswerAsync(audit, AuditTypes.TokenRefused);
                client = new AuthenticatedClient(evidence.Client, evidence.Kind, evidence.Once) { Client = snapshot.Clients[evidence.Client] };
            }
            else
            {
                (client, error) = await clients.AuthenticateAsync(context, form, snapshot);
                if (client is null)
                    return error!;
            }

            // 3. The proof of possession, if one is offered (RFC 9449 §5).
            var (proof, unproven) = proofs.ReadOffered(context, Names.Paths.Token);
            if (unproven is not null)
                return await Refuse(unproven, client);

            // RFC 9449 §5.2.
            if (client.Client is { RequiresDpop: true } && proof is null)
                return await Refuse(OAuthError.InvalidProof(new Fault("missing", "The client is registered for tokens that are bound to a key.")), client);

            // RFC 8705 §3.4: an unbound token instead would be less than what was registered.
            if (client.Client is { BindsToCertificate: true } && client.Certificate is null)
                return await Refuse(OAuthError.InvalidRequest("The client is registered for tokens that are bound to its certificate.", "no_certificate"), client);

            // 4. The grant decides; the one commit records.
            var request = new TokenRequest(form, client, proof, snapshot, time.GetUtcNow()) { Evidence = evidence };
            try
            {
                if (await grantor.GrantAsync(request, cancel) is { } result)
                    return result;
            }
            catch (StaleRegistryException)
            {
            }
            if (attempt == MaxPlans)
                return new OAuthError(Names.Errors.TemporarilyUnavailable, "The registry is changing; try again.", StatusCodes.Status503ServiceUnavailable);
            registry.Invalidate(snapshot.Version);
        }

        async Task<IResult> Refuse(OAuthError e, AuthenticatedClient? by = null)
        {
            var refused = audit.Refusal(AuditTypes.TokenRefused, e.Reason ?? e.Code) with { Client = by?.Id };
            return await audit.RefuseAsync(refused, by?.Assertion is { } once && !e.AsksForNonce ? [once] : []) is { } replayed ? OAuthError.Replay(replayed) : e;
        }
    }
}
