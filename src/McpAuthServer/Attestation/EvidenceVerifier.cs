using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
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
        if (!(await keys.FindAsync(by, jwt.KeyId, cancel)).TryGet(out var set, out fault))
            return fault;
        if (!set.Any(key => (jwt.KeyId is null || key.KeyId is null || jwt.KeyId == key.KeyId) && key.Verify(jwt)))
            return new Fault(Names.Reasons.BadSignature, "The evidence's signature is wrong, or its key is none of its issuer's.");

        // 3. For this server alone: what is for others too, others have.
        if (jwt.Audiences is not [var audience] || audience != (by.Audience ?? issuer.Value))
            return new Fault(WrongAudience, "The evidence must be for this server, alone.");

        // 4. In time.
        var now = time.GetUtcNow();
        if (jwt.Time(Names.Claims.Exp) is not { } expires || expires + Limits.ClockSkew <= now)
            return new Fault(Names.Reasons.Expired, "The evidence has no exp, or is over.");
        if (expires > now + by.Longest + Limits.ClockSkew)
            return new Fault(TooLong, "The evidence is good for longer than its issuer's record allows.");
        foreach (var claim in new[] { Names.Claims.Nbf, Names.Claims.Iat })
            if (jwt.Payload.TryGetProperty(claim, out _) && !(jwt.Time(claim) <= now + Limits.ClockSkew))
                return new Fault(NotYet, $"The evidence's {claim} lies in the future.");

        // 5. Of one agent.
        if (!kind.Read(jwt).TryGet(out var facts, out fault))
            return fault;
        var bindings = registry.Bindings.Where(b => b.Admits(by.Id, facts)).ToList();
        if (bindings is not [var binding])
            return bindings.Count == 0
                ? new Fault(NoBinding, "The evidence is of no agent.")
                : new Fault(Ambiguous, "The evidence is of more than one binding.");
        return new Evidence(binding.Agent, binding.Client, by.Kind, jwt.Text(WorkloadKind.Subject), Evidence.Platform)
        {
            Digest = new(Base64Url.Encode(System.Security.Cryptography.SHA256.HashData(jwt.SigningInput.Span)), (expires + Limits.ClockSkew).ToUnixTimeMilliseconds()),
        };
    }

    private static WorkloadIssuerRecord? IssuerOf(StrictJwt jwt, RegistrySnapshot registry)
    {
        var domain = jwt.Text(WorkloadKind.Subject) is { } subject ? SpiffeId.TrustDomainOf(subject) : null;
        // A SPIFFE id is its trust domain's, whatever iss says.
        return (domain ?? jwt.Text(Names.Claims.Iss)) is { } name && registry.WorkloadIssuers.GetValueOrDefault(name) is { } known
            && WorkloadKinds.All[known.Kind].ByIssuer == (domain is null) ? known : null;
    }
}
