using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Jose;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Http;

/// <summary>What a client leaves here for a person to answer later: who asks, and by which key.</summary>
/// <param name="Proof">Of the key that the answer will be bound to, where one was offered.</param>
/// <param name="Consume">What of it can be used once: it is, with whatever comes of the request.</param>
internal sealed record ClientRequest(StrictForm Form, AuthenticatedClient Client, DpopProof? Proof, RegistrySnapshot Registry, IReadOnlyList<Once> Consume);

/// <summary>Reads such requests up to where they differ by their kind, and refuses them.</summary>
internal sealed class ClientRequests(RegistryCache registry, ClientCallers clients, ProofReader proofs, AuditTrail audit)
{
    private static readonly HashSet<string> Repeatable = [Names.Resources.Resource];

    /// <param name="path">The endpoint's own, for the proof.</param>
    /// <param name="refused">What its refusals are recorded as.</param>
    public async Task<(ClientRequest? Request, OAuthError? Error)> ReadAsync(HttpContext context, string path, string refused)
    {
        // 1. Parse once (RFC 6749 §3.2).
        var (form, error) = await StrictBody.FormAsync(context.Request, Repeatable, maxFields: 64);
        if (form is null)
            return (null, await RefuseAsync(error!, audit.Refusal(refused, ReasonOf(error!)), []));

        // 2. Authenticate as at the token endpoint (RFC 9126 §2, RFC 8628 §3.1).
        var snapshot = await registry.Current(context.RequestAborted);
        (var client, error) = await clients.AuthenticateAsync(context, form, snapshot, anew: true);
        if (client is null)
            return (null, error);
        IReadOnlyList<Once> consume = client.Assertion is { } once ? [once] : [];

        // 3. The proof of possession, if one is offered (RFC 9449 §5, §10.1).
        (var proof, error) = proofs.ReadOffered(context, path);
        if (error is not null)
            return (null, await RefuseAsync(error, audit.Refusal(refused, ReasonOf(error)) with { Client = client.Id }, error.AsksForNonce ? [] : consume));
        return (new(form, client, proof, snapshot, proof is null ? consume : [.. consume, Once.Proof(proof)]), null);
    }

    /// <summary>The refusal, recorded; what the request used up may turn out to have been used before, and then that is the refusal.</summary>
    /// <param name="instance">Which of an agent's it came from, where that is known.</param>
    public Task<OAuthError> RefuseAsync(ClientRequest request, OAuthError error, string refused, string? instance = null) => RefuseAsync(
        error, audit.Refusal(refused, ReasonOf(error)) with { Client = request.Client.Id, Agent = request.Client.Client?.AgentId, Instance = instance }, request.Consume);

    private async Task<OAuthError> RefuseAsync(OAuthError error, AuditEvent refusal, IReadOnlyList<Once> consume) =>
        await audit.RefuseAsync(refusal, consume) is { } space ? OAuthError.Replay(space) : error;

    private static string ReasonOf(OAuthError error) => error.Reason ?? error.Code;
}
