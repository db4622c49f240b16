using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;
using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Forms;
using McpAuthServer.Attestation;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Federation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Http;

/// <summary>Why no instance is attested, and of whom that is to be recorded.</summary>
/// <param name="Once">What of the request is used up all the same.</param>
/// <param name="Reason">For the record, where it is more exact than what the caller is told.</param>
internal sealed record EvidenceRefusal(OAuthError Error, string? Agent = null, string? Client = null, Once? Once = null, string? Reason = null)
{
    public static EvidenceRefusal Of(Evidence evidence, OAuthError error) => new(error, evidence.Agent, evidence.Client, evidence.Once);

    /// <summary>The answer to whoever calls too often; there is nothing to record.</summary>
    public IResult? Limited { get; init; }

    /// <summary>Records the refusal as an event of that type, together with what is used up, and gives the answer.</summary>
    public async Task<IResult> AnswerAsync(AuditTrail audit, string type)
    {
        if (Limited is not null)
            return Limited;
        var refused = audit.Refusal(type, Reason ?? Error.Reason ?? Error.Code) with { Client = Client, Agent = Agent };
        return await audit.RefuseAsync(refused, Once is { } once && !Error.AsksForNonce ? [once] : []) is { } replayed ? OAuthError.Replay(replayed) : Error;
    }
}

/// <summary>Reads from a request which agent's instance this is: by what its platform says, in a token or a certificate, or by the agent's own client assertion. Exactly one of them.</summary>
internal sealed class EvidenceReader(ClientCallers clients, RequestCertificate certificates, EvidenceVerifier verifier, RequestLimits limits)
{
    private static readonly string[] OfClients = [Names.OAuth.ClientSecret, Names.ClientAssertion.Parameter, Names.ClientAssertion.TypeParameter];

    public Task<(Evidence? Evidence, EvidenceRefusal? Refusal)> ReadAsync(HttpContext context, StrictForm form, RegistrySnapshot registry) =>
        context.Request.Headers.ContainsKey(Names.ClientAttestation.Header) ? OfAttesterAsync(context, form, registry)
            : form[Names.Assertions.Parameter] is not null ? OfPlatformAsync(context, form, registry)
            : !HasCredential(context, form) && SvidOf(context) is { } svid ? OfCertificateAsync(context, form, svid, registry)
            : OfClientAsync(context, form, registry);

    /// <summary>Whether an assertion grant is a client's, about a person: it comes with the client's credential, or calls itself so. Evidence of a workload does neither.</summary>
    public static bool IsOfAClient(HttpContext context, StrictForm form) =>
        HasCredential(context, form) || (form[Names.Assertions.Parameter] is { } assertion && IdJag.Is(assertion));

    /// <summary>By what its platform says, and nothing else.</summary>
    public async Task<(Evidence? Evidence, EvidenceRefusal? Refusal)> OfPlatformAsync(HttpContext context, StrictForm form, RegistrySnapshot registry)
    {
        if (form[Names.Assertions.Parameter] is not { } assertion)
            return (null, new(OAuthError.InvalidRequest("assertion is missing.")));
        if (HasCredential(context, form) || context.Request.Headers.ContainsKey(Names.ClientAttestation.Header))
            return (null, new(OAuthError.InvalidRequest("What a platform says comes alone, without a client's credential.", "two_methods")));
        return await VerifiedAsync(context, form, await verifier.VerifyAsync(assertion, registry, context.RequestAborted), registry);
    }

    private async Task<(Evidence?, EvidenceRefusal?)> OfAttesterAsync(HttpContext context, StrictForm form, RegistrySnapshot registry)
    {
        // §7.1, §7.3: one attestation, and DPoP alone as its proof.
        var headers = context.Request.Headers;
        if (HasCredential(context, form) || form[Names.Assertions.Parameter] is not null
            || headers[Names.ClientAttestation.Header] is not [{ Length: > 0 } attestation] || headers.ContainsKey(Names.ClientAttestation.ProofHeader))
            return (null, new(new(Names.ClientAttestation.Invalid, "One attestation comes alone, with a DPoP proof by the key it vouches for.", Reason: "two_methods")));
        var verified = await verifier.VerifyAttestationAsync(attestation, registry, context.RequestAborted);
        var (evidence, refusal) = await VerifiedAsync(context, form, verified, registry);
        return refusal is { Limited: null, Error: { Code: Names.Errors.InvalidGrant } told }
            ? (null, refusal with { Error = told with { Code = told.Reason == Names.Reasons.Expired ? Names.ClientAttestation.UseFresh : Names.ClientAttestation.Invalid } })
            : (evidence, refusal);
    }

    private async Task<(Evidence?, EvidenceRefusal?)> OfCertificateAsync(HttpContext context, StrictForm form, ClientCertificate svid, RegistrySnapshot registry) =>
        await VerifiedAsync(context, form, await verifier.VerifyAsync(svid, registry, context.RequestAborted), registry);

    private async Task<(Evidence?, EvidenceRefusal?)> VerifiedAsync(HttpContext context, StrictForm form, Result<Evidence> verified, RegistrySnapshot registry)
    {
        if (!verified.TryGet(out var evidence, out var fault))
        {
            RequestLimits.Failed(context);
            return (null, new(OAuthError.InvalidGrant(fault.Message, fault.Code)));
        }
        if (registry.Clients.GetValueOrDefault(evidence.Client) is not { Active: true } client || (form[Names.OAuth.ClientId] is { } named && named != client.Id))
            return (null, EvidenceRefusal.Of(evidence, OAuthError.InvalidGrant("The agent's client is another, or not active.", Names.Reasons.Revoked)));
        return await limits.AuthenticatedAsync(context, new AuthenticatedClient(client.Id, evidence.Kind, null) { Client = client }) is { } tooMany
            ? (null, new(OAuthError.InvalidRequest("Too many.")) { Limited = tooMany })
            : (evidence, null);
    }

    private static bool HasCredential(HttpContext context, StrictForm form) =>
        context.Request.Headers.Authorization.Count > 0 || Array.Exists(OfClients, name => form[name] is not null);

    /// <summary>The certificate that the request came with, if it is of a workload; one that is not to be believed is refused with the client.</summary>
    private ClientCertificate? SvidOf(HttpContext context)
    {
        if (!certificates.Of(context).TryGet(out var certificate, out _) || certificate is null)
            return null;
        using var x509 = X509CertificateLoader.LoadCertificate(certificate.Der.Span);
        return CertificateSubject.OnlyUri(x509)?.StartsWith(SpiffeId.Scheme, StringComparison.Ordinal) == true ? certificate : null;
    }

    private async Task<(Evidence?, EvidenceRefusal?)> OfClientAsync(HttpContext context, StrictForm form, RegistrySnapshot registry)
    {
        var (client, refusal) = await clients.IdentifyAsync(context, form, registry);
        if (client is null)
        {
            RequestLimits.Failed(context);
            return (null, new(OAuthError.InvalidClient(refusal!.Message, refusal.UsedBasic), Reason: refusal.Reason));
        }
        if (await limits.AuthenticatedAsync(context, client) is { } tooMany)
            return (null, new(OAuthError.InvalidRequest("Too many.")) { Limited = tooMany });
        // An instance's own key says that it was attested once, not that it still is what it was.
        if (client.Client?.AgentId is { } agent && client.Method == Names.ClientAssertion.PrivateKeyJwt)
            return (new Evidence(agent, client.Id, Names.ClientAssertion.PrivateKeyJwt, null, Evidence.RegisteredKey) { Once = client.Assertion }, null);
        return (null, new(
            new(Names.Errors.UnauthorizedClient, "An agent attests with its own client's private_key_jwt, or with what its platform says of it."),
            client.Client?.AgentId, client.Id, client.Assertion));
    }
}
