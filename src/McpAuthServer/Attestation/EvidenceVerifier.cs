using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Jose;
using McpAuthServer.Clients;
using McpAuthServer.Registry;

namespace McpAuthServer.Attestation;

/// <summary>
/// Verifies the tokens that platforms give their programs: issued by somebody in the registry, for this server alone, signed, in time, and of exactly one
/// agent. What they say of themselves decides nothing before their signature is verified.
/// </summary>
internal sealed class EvidenceVerifier(IssuerKeys keys, Issuer issuer, TimeProvider time)
{
    public const string NoBinding = "no_binding", Ambiguous = "ambiguous_binding", UnknownIssuer = "unknown_issuer", WrongAudience = "wrong_audience",
        TooLong = "exp_too_far", NotYet = "not_yet_valid";

    /// <summary>JWT-SVID §2.3: <c>JWT</c>, <c>JOSE</c> or nothing. Whatever has a type of its own (access tokens, ID-JAG, proofs) is no evidence.</summary>
    private static readonly JwtRules Rules = new("evidence", [Names.Types.Jwt, "JOSE"], TypeRequired: false, ["RS256", "ES256", "ES384", "PS256"]);

    private static readonly JwtRules AttestationRules = new("attestation", [Names.ClientAttestation.Type], TypeRequired: true, ["RS256", "ES256", "ES384", "PS256"]);

    /// <returns>The evidence, or a fault whose code is a reason and whose text quotes nothing of the token.</returns>
    public async Task<Result<Evidence>> VerifyAsync(string token, RegistrySnapshot registry, CancellationToken cancel)
    {
        // 1. Whose it claims to be. The issuer's record says how its tokens are read; nothing is fetched for one that is not in the registry.
        if (!StrictJwt.Read(token, Rules).TryGet(out var jwt, out var fault))
            return fault;
        if (IssuerOf(jwt, registry) is not { Active: true } by)
            return new Fault(UnknownIssuer, "The evidence is of nobody whom this server believes.");
        var kind = WorkloadKinds.All[by.Kind];

        // 2. Signed.
        if (!(await keys.FindAsync(by.Source, jwt.KeyId, cancel)).TryGet(out var set, out fault))
            return fault;
        if (!IssuerKeys.Signed(jwt, set))
            return new Fault(Names.Reasons.BadSignature, "The evidence's signature is wrong, or its key is none of its issuer's.");

        // 3. For this server alone: what is for others too, others have.
        if (jwt.Audiences is not [var audience] || audience != (by.Audience ?? issuer.Value))
            return new Fault(WrongAudience, "The evidence must be for this server, alone.");

        // 4. In time.
        if (InTime(jwt, by) is { } late)
            return late;

        // 5. Of one agent.
        if (!kind.Read(jwt).TryGet(out var facts, out fault))
            return fault;
        if (!Bound(registry, by, facts).TryGet(out var binding, out fault))
            return fault;
        return EvidenceOf(jwt, by, binding);
    }

    /// <summary>
    /// A client attestation with DPoP as its proof (draft-ietf-oauth-attestation-based-client-auth §5.2, §7.1): by an attester whom a binding of that very client
    /// names. It is for nobody in particular; what keeps it from others is the key it vouches for.
    /// </summary>
    public async Task<Result<Evidence>> VerifyAttestationAsync(string token, RegistrySnapshot registry, CancellationToken cancel)
    {
        if (!StrictJwt.Read(token, AttestationRules).TryGet(out var jwt, out var fault))
            return fault;
        var kind = WorkloadKinds.All[AttesterWorkload.KindName];
        if (!kind.Read(jwt).TryGet(out var facts, out fault))
            return fault;
        var attesters = registry.WorkloadIssuers.Values.Where(i => i is { Active: true, Kind: AttesterWorkload.KindName }
            && registry.Bindings.Any(b => b.Issuer == i.Id && b.Client == facts[WorkloadKind.Subject]) && jwt.Text(Names.Claims.Iss) is var named && (named is null || named == i.Issuer)).ToList();
        if (attesters.Count == 0)
            return new Fault(UnknownIssuer, "Nobody whom this server believes attests this client.");
        WorkloadIssuerRecord? by = null;
        foreach (var attester in attesters)
            if ((await keys.FindAsync(attester.Source, jwt.KeyId, cancel)).TryGet(out var set, out fault) && IssuerKeys.Signed(jwt, set))
                by = attester;
        if (by is null)
            return fault ?? new Fault(Names.Reasons.BadSignature, "The attestation's signature is wrong, or its key is none of its attester's.");
        if (!jwt.Payload.TryGetProperty(Names.Claims.Iat, out _))
            return new Fault(Names.Reasons.Malformed, "The attestation does not say when it was made.");
        if (InTime(jwt, by) is { } late)
            return late;
        if (!jwt.Payload.TryGetProperty(Names.Claims.Cnf, out var confirmation) || confirmation.ValueKind != JsonValueKind.Object || !confirmation.TryGetProperty("jwk", out var jwk)
            || !VerificationKey.FromJwk(jwk).TryGet(out var key, out _))
            return new Fault(Names.Reasons.Malformed, "The attestation vouches for no key.");
        return Bound(registry, by, facts).TryGet(out var binding, out fault) ? EvidenceOf(jwt, by, binding) with { Key = key.Thumbprint } : fault;
    }

    private static Evidence EvidenceOf(StrictJwt jwt, WorkloadIssuerRecord by, TrustBinding binding) =>
        new(binding.Agent, binding.Client, by.Kind, jwt.Text(WorkloadKind.Subject), Evidence.Platform)
        {
            Digest = new(Base64Url.Encode(SHA256.HashData(jwt.SigningInput.Span)), (jwt.Time(Names.Claims.Exp)!.Value + Limits.ClockSkew).ToUnixTimeMilliseconds()),
        };

    /// <summary>Null, or why it is not good now.</summary>
    private Fault? InTime(StrictJwt jwt, WorkloadIssuerRecord by)
    {
        var now = time.GetUtcNow();
        if (jwt.Time(Names.Claims.Exp) is not { } expires || expires + Limits.ClockSkew <= now)
            return new Fault(Names.Reasons.Expired, "The evidence has no exp, or is over.");
        if (expires > now + by.Longest + Limits.ClockSkew)
            return new Fault(TooLong, "The evidence is good for longer than its issuer's record allows.");
        foreach (var claim in new[] { Names.Claims.Nbf, Names.Claims.Iat })
            if (jwt.Payload.TryGetProperty(claim, out _) && !(jwt.Time(claim) <= now + Limits.ClockSkew))
                return new Fault(NotYet, $"The evidence's {claim} lies in the future.");
        return null;
    }

    /// <summary>An X.509-SVID: a certificate of exactly one SPIFFE id, which an authority of that trust domain issued. That the program holds its key, the handshake has shown.</summary>
    /// <param name="certificate">In force.</param>
    public async Task<Result<Evidence>> VerifyAsync(ClientCertificate certificate, RegistrySnapshot registry, CancellationToken cancel)
    {
        using var x509 = X509CertificateLoader.LoadCertificate(certificate.Der.Span);
        if (CertificateSubject.OnlyUri(x509) is not { } id || SpiffeId.TrustDomainOf(id) is not { } domain)
            return new Fault(Names.Reasons.Malformed, "The certificate is not of exactly one SPIFFE id.");
        if (registry.WorkloadIssuers.GetValueOrDefault(domain) is not { Active: true, Kind: SpiffeWorkload.KindName } by)
            return new Fault(UnknownIssuer, "The certificate is of no trust domain that this server believes.");
        // X.509-SVID §4.2, §4.3: a leaf, for signing, and for nothing that an authority does.
        var usage = x509.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault()?.KeyUsages ?? X509KeyUsageFlags.None;
        if (!usage.HasFlag(X509KeyUsageFlags.DigitalSignature) || (usage & (X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign)) != 0)
            return new Fault("certificate_usage", "The certificate is not one that a program is told by.");
        if (!(await keys.FindAuthoritiesAsync(by, cancel)).TryGet(out var authorities, out var fault))
            return fault;
        var now = time.GetUtcNow();
        if (CertificateChain.Refuse(authorities, [], certificate, x509, now) is { } reason)
            return new Fault(reason, "No authority of the trust domain vouches for the certificate.");
        if (certificate.NotAfter > now + by.Longest + Limits.ClockSkew)
            return new Fault(TooLong, "The certificate is good for longer than its issuer's record allows.");
        var found = Bound(registry, by, new Dictionary<string, string>(StringComparer.Ordinal) { [SpiffeWorkload.Id] = id });
        return found.TryGet(out var binding, out fault)
            ? new Evidence(binding.Agent, binding.Client, by.Kind, id, Evidence.Platform)
            {
                Digest = new(certificate.Thumbprint, (certificate.NotAfter + Limits.ClockSkew).ToUnixTimeMilliseconds()),
            }
            : fault;
    }

    private static Result<TrustBinding> Bound(RegistrySnapshot registry, WorkloadIssuerRecord by, IReadOnlyDictionary<string, string> facts)
    {
        var bindings = registry.Bindings.Where(b => b.Admits(by.Id, facts)).ToList();
        if (bindings is [var binding])
            return binding;
        return bindings.Count == 0 ? new Fault(NoBinding, "The evidence is of no agent.") : new Fault(Ambiguous, "The evidence is of more than one binding.");
    }

    private static WorkloadIssuerRecord? IssuerOf(StrictJwt jwt, RegistrySnapshot registry)
    {
        var domain = jwt.Text(WorkloadKind.Subject) is { } subject ? SpiffeId.TrustDomainOf(subject) : null;
        // A SPIFFE id is its trust domain's, whatever iss says.
        return (domain ?? jwt.Text(Names.Claims.Iss)) is { } name && registry.WorkloadIssuers.GetValueOrDefault(name) is { } known
            && WorkloadKinds.All[known.Kind].Told == (domain is null ? Told.ByIssuer : Told.ByTrustDomain) ? known : null;
    }
}
