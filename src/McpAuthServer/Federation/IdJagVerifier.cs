using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Attestation;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Federation;

/// <summary>
/// Verifies what identity providers say of people (draft-ietf-oauth-identity-assertion-authz-grant, RFC 7521 §5.2, RFC 7523 §3). Faults carry the reason;
/// their texts quote nothing of the assertion.
/// </summary>
internal sealed class IdJagVerifier(IssuerKeys keys, Issuer issuer, TimeProvider time)
{
    public const string OtherClient = "client_mismatch", UnknownProvider = EvidenceVerifier.UnknownIssuer, WrongAudience = EvidenceVerifier.WrongAudience,
        TooLong = EvidenceVerifier.TooLong, NotYet = EvidenceVerifier.NotYet;

    private const int LongestJti = 512;

    // RFC 8725 §3.1, §3.11: its own type, and nothing symmetric or unsigned.
    private static readonly JwtRules Rules = new("assertion", [Names.IdJag.Type], TypeRequired: true, ["RS256", "ES256", "ES384", "PS256"]);

    /// <param name="client">Who sent it, authenticated.</param>
    public async Task<Result<IdJag>> VerifyAsync(string token, string client, RegistrySnapshot registry, CancellationToken cancel)
    {
        // 1. Its type, and whose it claims to be. Issuers of workloads are another store: none of them speaks for people.
        if (!StrictJwt.Read(token, Rules).TryGet(out var jwt, out var fault))
            return fault;
        if (jwt.Text(Names.Claims.Iss) is not { } named || registry.IdentityProviders.GetValueOrDefault(named) is not { Active: true } by)
            return new Fault(UnknownProvider, "The assertion is of nobody whom this server believes.");

        // 2. Signed.
        if (!(await keys.FindAsync(by.Source, jwt.KeyId, cancel)).TryGet(out var set, out fault))
            return fault;
        if (!IssuerKeys.Signed(jwt, set))
            return new Fault(Names.Reasons.BadSignature, "The assertion's signature is wrong, or its key is none of its issuer's.");

        // 3. For this server, alone: what is for others too, others have.
        if (jwt.Audiences is not [var audience] || audience != issuer.Value)
            return new Fault(WrongAudience, "The assertion must be for this server, alone.");

        // 4. In time.
        if (InTime(jwt) is { } late)
            return late;

        // 5. To the client that sent it, and one of those that the provider may speak to.
        if (jwt.Text(Names.Claims.ClientId) != client || !by.Clients.Contains(client))
            return new Fault(OtherClient, "The assertion is for another client, or its issuer may not speak to this one.");
        return Read(jwt, by);
    }

    /// <summary>Null, or why it is not good now.</summary>
    private Fault? InTime(StrictJwt jwt)
    {
        var now = time.GetUtcNow();
        if (jwt.Time(Names.Claims.Exp) is not { } expires || expires + Limits.ClockSkew <= now)
            return new Fault(Names.Reasons.Expired, "The assertion has no exp, or is over.");
        if (expires > now + Limits.IdJag + Limits.ClockSkew)
            return new Fault(TooLong, "The assertion's exp is more than 5 minutes ahead.");
        if (jwt.Time(Names.Claims.Iat) is not { } issued || issued > now + Limits.ClockSkew)
            return new Fault(NotYet, "The assertion has no iat, or one in the future.");
        return jwt.Payload.TryGetProperty(Names.Claims.Nbf, out _) && !(jwt.Time(Names.Claims.Nbf) <= now + Limits.ClockSkew)
            ? new Fault(NotYet, "The assertion's nbf lies in the future.")
            : null;
    }

    private Result<IdJag> Read(StrictJwt jwt, IdentityProviderRecord by)
    {
        if (jwt.Text(Names.Claims.Sub) is not { } subject || !ApplyGrammar.IsLine(subject, ApplyGrammar.SubjectLength))
            return Malformed("sub");
        if (jwt.Text(Names.Claims.Jti) is not { Length: > 0 and <= LongestJti } jti)
            return Malformed(Names.Claims.Jti);
        // MCP Enterprise-Managed Authorization §4.3: required there. One or several.
        if (Texts(jwt, Names.Resources.Resource) is not { Count: > 0 } resources)
            return Malformed(Names.Resources.Resource);
        if (jwt.Payload.TryGetProperty(Names.OAuth.Scope, out var scope) && scope.ValueKind != JsonValueKind.String)
            return Malformed(Names.OAuth.Scope);
        Authority? details = null;
        if (jwt.Payload.TryGetProperty(Names.Claims.AuthorizationDetails, out var rich) && !Authority.Parse(rich).TryGet(out details, out _))
            return Malformed(Names.Claims.AuthorizationDetails);
        string? key = null;
        if (jwt.Payload.TryGetProperty(Names.Claims.Cnf, out var confirmation) && (key = KeyOf(confirmation)) is null)
            return Malformed(Names.Claims.Cnf);
        var now = time.GetUtcNow();
        return new IdJag(
            by, subject, jti, Once.IdJag(by.Issuer, jti, jwt.Time(Names.Claims.Exp)!.Value), resources, jwt.Text(Names.OAuth.Scope), details, key,
            jwt.Time(Names.Claims.AuthTime) is { } signedIn && signedIn <= now + Limits.ClockSkew ? signedIn : null,
            VerifiedEmail(jwt), jwt.Text(Names.Claims.Name) is { } name && ApplyGrammar.IsLine(name, ApplyGrammar.NameLength) ? name : null, Texts(jwt, Names.Claims.Groups) ?? []);
    }

    private static Fault Malformed(string claim) => new(Names.Reasons.Malformed, $"The assertion's {claim} is missing, or is not what it must be.");

    /// <summary>RFC 9449 §6.1, RFC 7800 §3.2. What is bound in a way that is not known here is refused, not taken for unbound.</summary>
    private static string? KeyOf(JsonElement confirmation)
    {
        if (confirmation.ValueKind != JsonValueKind.Object || confirmation.EnumerateObject().Count() != 1)
            return null;
        if (confirmation.TryGetProperty(Names.Claims.Jkt, out var thumbprint))
            return thumbprint.ValueKind == JsonValueKind.String ? thumbprint.GetString() : null;
        return confirmation.TryGetProperty("jwk", out var jwk) && VerificationKey.FromJwk(jwk).TryGet(out var key, out _) ? key.Thumbprint : null;
    }

    /// <summary>An address that nobody has verified is anybody's.</summary>
    private static string? VerifiedEmail(StrictJwt jwt) =>
        jwt.Payload.TryGetProperty(Names.Claims.EmailVerified, out var verified) && verified.ValueKind == JsonValueKind.True
        && jwt.Text(Names.Claims.Email) is { } email && ApplyGrammar.IsEmail(email) ? email : null;

    /// <summary>One text or a list of them; null when it is neither.</summary>
    private static List<string>? Texts(StrictJwt jwt, string claim) => !jwt.Payload.TryGetProperty(claim, out var value) ? null : value.ValueKind switch
    {
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Array when value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(v => v.GetString()!)],
        _ => null,
    };
}
