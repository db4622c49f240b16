using System.Collections.Frozen;
using System.Security.Claims;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using Claims = McpAuth.Protocol.Names.Claims;

namespace McpGuard.Sdk.Tokens;

/// <summary>Reads an access token strictly (RFC 9068 §4) for one issuer and one resource.</summary>
internal sealed class TokenReader(string issuer, string resource, IssuerKeys keys, TimeProvider time)
{
    private static readonly JwtRules Rules = new("access token", [Names.Types.AccessToken], TypeRequired: true, ["ES256", "RS256"]);

    /// <summary>Codes: those of <see cref="StrictJwt"/>, <c>unknown_key</c>, <c>key_revoked</c>, <see cref="IssuerKeys.Unavailable"/>, <c>bad_signature</c>,
    /// <c>foreign_issuer</c>, <c>wrong_audience</c>, <c>expired</c>, <c>not_yet_valid</c>, <c>invalid_claims</c>.</summary>
    public async ValueTask<Result<ValidatedToken>> Read(string compact, CancellationToken cancellationToken)
    {
        // RFC 9068 §4, RFC 8725 §3: type and algorithm before anything is verified with them.
        if (!StrictJwt.Read(compact, Rules).TryGet(out StrictJwt? jwt, out Fault? fault)) return fault;
        if (jwt.KeyId is not { } kid) return new Fault("unknown_key", "The token names no key.");
        if (!(await keys.Find(kid, cancellationToken)).TryGet(out VerificationKey? key, out fault)) return fault;
        if (!key.Verify(jwt)) return new Fault(Names.Reasons.BadSignature, "The signature is not the issuer's.");

        // Compared as strings, never as URLs: a trailing slash is another issuer, another audience.
        if (!string.Equals(jwt.Text(Claims.Iss), issuer, StringComparison.Ordinal)) return new Fault(Names.Reasons.Foreign, "Another issuer's token.");
        if (jwt.Audiences is not [var audience] || !string.Equals(audience, resource, StringComparison.Ordinal))
            return new Fault("wrong_audience", "The token is not for this tool server alone.");
        return Checked(jwt, kid);
    }

    private Result<ValidatedToken> Checked(StrictJwt jwt, string kid)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (jwt.Time(Claims.Exp) is not { } expires || jwt.Time(Claims.Iat) is not { } issued) return Invalid("exp and iat are required");
        if (expires + Limits.ClockSkew <= now) return new Fault(Names.Reasons.Expired, "The token has expired.");
        if (issued - Limits.ClockSkew > now) return new Fault("not_yet_valid", "The token was issued in the future.");
        if (jwt.Payload.TryGetProperty(Claims.Nbf, out _) && (jwt.Time(Claims.Nbf) is not { } notBefore || notBefore - Limits.ClockSkew > now))
            return new Fault("not_yet_valid", "The token is not valid yet.");
        // The deny table forgets a subject once no token of it can live: a longer-lived token would escape it.
        if (expires - issued > Limits.AccessToken + Limits.ClockSkew) return Invalid("it lives longer than a token may");

        if (Text(jwt.Payload, Claims.Jti) is not { } jti || Text(jwt.Payload, Claims.Sub) is not { } subject || Text(jwt.Payload, Claims.ClientId) is not { } client)
            return Invalid("jti, sub and client_id are required");
        if (!Chain(jwt.Payload).TryGet(out string[]? chain, out Fault? fault)) return fault;
        if (!Confirmation(jwt.Payload).TryGet(out (string? Jkt, string? Certificate) bound, out fault)) return fault;

        LocationAuthority? authority = null;
        bool explicitly = jwt.Payload.TryGetProperty(Claims.AuthorizationDetails, out JsonElement details);
        if (explicitly)
        {
            // What cannot be read in full grants nothing at all (RFC 9396 §5).
            if (!Authority.Parse(details, allowTask: true).TryGet(out Authority? all, out fault)) return fault;
            authority = all.At(resource);
        }

        string? task = Inner(jwt.Payload, Claims.Task, "id"), grant = Text(jwt.Payload, Claims.Grant);
        string? instance = Inner(jwt.Payload, Claims.AgentContext, "instance");
        if (!Strings(jwt.Payload, Claims.Lineage).TryGet(out string[]? lineage, out fault)) return fault;
        if (!Strings(jwt.Payload, Claims.Groups).TryGet(out string[]? groups, out fault)) return fault;
        string[] scopes = (Text(jwt.Payload, Claims.Scope) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string? profile = Text(jwt.Payload, Claims.SubProfile);

        return new ValidatedToken
        {
            Jti = jti, Subject = subject, SubjectProfile = profile, ClientId = client, IssuedAt = issued.ToUnixTimeSeconds(), ExpiresAt = expires,
            Scopes = scopes.ToFrozenSet(StringComparer.Ordinal),
            StepUp = !explicitly && jwt.Payload.TryGetProperty(Claims.StepUp, out JsonElement stepUp) && stepUp.ValueKind == JsonValueKind.True,
            Jkt = bound.Jkt, Certificate = bound.Certificate, Explicit = explicitly, Authority = authority, Task = task, Grant = grant, Chain = chain, Instance = instance,
            Assurance = Inner(jwt.Payload, Claims.AgentContext, "assurance"), Groups = groups,
            Acr = Text(jwt.Payload, Claims.Acr), AuthTime = jwt.Time(Claims.AuthTime), TaskExpires = Moment(jwt.Payload, Claims.Task, "expires_at"),
            ParentTask = lineage.FirstOrDefault(l => l.StartsWith(Id.Task, StringComparison.Ordinal)), Workload = Inner(jwt.Payload, Claims.AgentContext, "workload"),
            AgentOwner = Inner(jwt.Payload, Claims.AgentContext, "owner"), AgentClass = Inner(jwt.Payload, Claims.AgentContext, "class"),
            AgentReview = Moment(jwt.Payload, Claims.AgentContext, "review_at"),
            Names = [.. new[] { jti, grant, task, instance, client, subject, Id.SigningKey + kid, Id.Audience + resource, Id.Everything }.OfType<string>().Concat(lineage).Concat(chain).Distinct(StringComparer.Ordinal)],
            Principal = Principal(subject, client, jti, chain, task, scopes),
        };
    }

    /// <summary>The <c>act</c> subjects, outermost first (RFC 8693 §4.1).</summary>
    private static Result<string[]> Chain(JsonElement payload)
    {
        if (!payload.TryGetProperty(Claims.Act, out JsonElement act)) return Array.Empty<string>();
        var chain = new List<string>();
        while (true)
        {
            if (Text(act, Claims.Sub) is not { } actor) return Invalid("act must be an object with a sub");
            chain.Add(actor);
            if (chain.Count > Limits.DelegationDepth + 1) return Invalid("act is nested too deep");
            if (!act.TryGetProperty(Claims.Act, out JsonElement inner)) return chain.ToArray();
            act = inner;
        }
    }

    /// <summary>
    /// A confirmation this guard cannot check is not ignored (RFC 7800 §3.1): known here are <c>jkt</c> (RFC 9449 §6.1) and <c>x5t#S256</c> (RFC 8705
    /// §3.1), one or both.
    /// </summary>
    private static Result<(string? Jkt, string? Certificate)> Confirmation(JsonElement payload)
    {
        (string? Jkt, string? Certificate) bound = default;
        if (!payload.TryGetProperty(Claims.Cnf, out JsonElement cnf)) return bound;
        bound = (Text(cnf, Claims.Jkt), Text(cnf, McpAuth.Protocol.Names.Mtls.Thumbprint));
        int known = (bound.Jkt is null ? 0 : 1) + (bound.Certificate is null ? 0 : 1);
        return known > 0 && cnf.EnumerateObject().Count() == known ? bound : Invalid("cnf holds something other than jkt and x5t#S256");
    }

    private static ClaimsPrincipal Principal(string subject, string client, string jti, string[] chain, string? task, string[] scopes)
    {
        var identity = new ClaimsIdentity("McpGuard", Claims.Sub, Claims.Groups);
        identity.AddClaim(new Claim(Claims.Sub, subject));
        identity.AddClaim(new Claim(Claims.ClientId, client));
        identity.AddClaim(new Claim(Claims.Jti, jti));
        if (chain.Length > 0) identity.AddClaim(new Claim(Claims.Act, chain[0]));
        if (task is not null) identity.AddClaim(new Claim(Claims.Task, task));
        foreach (string scope in scopes) identity.AddClaim(new Claim(Claims.Scope, scope));
        return new ClaimsPrincipal(identity);
    }

    private static string? Text(JsonElement from, string member) =>
        from.ValueKind == JsonValueKind.Object && from.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String
        && value.GetString() is { Length: > 0 } text ? text : null;

    private static string? Inner(JsonElement payload, string member, string inner) =>
        payload.TryGetProperty(member, out JsonElement value) ? Text(value, inner) : null;

    private static DateTimeOffset? Moment(JsonElement payload, string member, string inner) =>
        payload.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.Object && value.TryGetProperty(inner, out JsonElement seconds)
        && seconds.ValueKind == JsonValueKind.Number && seconds.TryGetInt64(out long at) && at is >= 0 and < 253402300800 ? DateTimeOffset.FromUnixTimeSeconds(at) : null;

    private static Result<string[]> Strings(JsonElement payload, string member)
    {
        if (!payload.TryGetProperty(member, out JsonElement array)) return Array.Empty<string>();
        if (array.ValueKind != JsonValueKind.Array || array.EnumerateArray().Any(e => e.ValueKind != JsonValueKind.String))
            return Invalid($"{member} must be an array of strings");
        return array.EnumerateArray().Select(e => e.GetString()!).ToArray();
    }

    private static Fault Invalid(string what) => new("invalid_claims", $"The token's claims are not acceptable: {what}.");
}
