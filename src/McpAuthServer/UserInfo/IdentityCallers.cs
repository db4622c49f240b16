using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.UserInfo;

/// <summary>Programs that come with the token that tells who a person is: as Bearer, or bound to a key or a certificate and proved. Every refusal is recorded.</summary>
internal sealed class IdentityCallers(
    SigningKeyRing keys, ProofReader proofs, RequestCertificate certificates, TokenStates states, RegistryCache registry, AuditTrail audit, Issuer issuer, TimeProvider time)
{
    private const string Algorithms = "algs=\"ES256 RS256\"";

    /// <summary>The token, when everything it stands on still lives.</summary>
    public async Task<(OwnToken? Token, OAuthError? Error)> AuthenticateAsync(HttpContext context)
    {
        var request = context.Request;

        // 1. The header alone: what stands in an address or a form ends in logs (RFC 6750 §5.3). §3.1: without a token the challenge names no error; §3: a parameter it has all the same.
        if (request.Headers.Authorization.Count > 1)
            return (null, await RefuseAsync(context, OAuthError.InvalidRequest(OAuthError.TwoTokens, Names.Reasons.Malformed) with { Challenge = "Bearer error=\"invalid_request\"" }, null));
        if (request.Headers.Authorization is not [{ } header] || header.IndexOf(' ', StringComparison.Ordinal) is not (> 0 and var blank)
            || (Is(Names.OAuth.Bearer) ? Names.OAuth.Bearer : Is(Names.Dpop.Scheme) ? Names.Dpop.Scheme : null) is not { } scheme)
        {
            var bare = new OAuthError(Names.Errors.InvalidToken, "A Bearer or DPoP token for this endpoint is needed, in the Authorization header.", StatusCodes.Status401Unauthorized, Names.Reasons.Malformed);
            return (null, await RefuseAsync(context, bare with { Challenge = $"Bearer realm=\"userinfo\", DPoP {Algorithms}" }, null));
        }
        var text = header[blank..].Trim();

        // 2. Ours, unexpired, and for this alone.
        var now = time.GetUtcNow();
        if (!(await OwnToken.ReadAsync(text, keys, issuer, now, context.RequestAborted)).TryGet(out var token, out var fault))
            return (null, await RefuseAsync(context, Refusal(fault.Message, fault.Code), null));
        if (token.Audience != issuer.UserInfo || !token.IsIdentity)
            return (null, await RefuseAsync(context, Refusal("The token is for another audience.", "wrong_audience"), token));

        // 3. The key it is bound to, if it is (RFC 9449 §7.1, §7.2: one form is not taken for the other; §9).
        if ((token.Thumbprint is not null) != (scheme == Names.Dpop.Scheme))
            return (null, await RefuseAsync(context, Refusal("A token that is bound to a key comes with the DPoP scheme, any other with Bearer.", "wrong_scheme"), token));

        // 4. The certificate it is bound to, if it is (RFC 8705 §3). Before the proof, which is used up.
        if (token.CertificateThumbprint is { } thumbprint)
        {
            if (!certificates.Of(context).TryGet(out var certificate, out fault))
                return (null, await RefuseAsync(context, Refusal(fault.Message, fault.Code), token));
            if (certificate?.Thumbprint != thumbprint)
                return (null, await RefuseAsync(context, Refusal("The token is bound to another certificate.", certificate is null ? "no_certificate" : "wrong_certificate"), token));
        }
        if (token.Thumbprint is { } key)
        {
            if (!proofs.Read(context, Names.Paths.UserInfo, text).TryGet(out var proof, out fault))
                return (null, await RefuseAsync(context, Refusal(fault.Message, fault.Code, OAuthError.ProofCode(fault)), token));
            if (proof.Thumbprint != key)
                return (null, await RefuseAsync(context, Refusal("The proof's key is not the token's.", "wrong_key"), token));
            if (!await audit.ConsumeAsync(Once.Proof(proof), Event(AuditTypes.ReplayDetected, Names.Reasons.Replay, token)))
                return (null, OAuthError.UsedProof);
        }

        // 5. All that it stands on, read now.
        return await states.LivesAsync(token, await registry.Current(context.RequestAborted), context.RequestAborted)
            ? (token, null)
            : (null, await RefuseAsync(context, Refusal("What the token stands on has ended.", Names.Reasons.Revoked), token));

        bool Is(string known) => header.AsSpan(0, blank).Equals(known, StringComparison.OrdinalIgnoreCase);

        OAuthError Refusal(string description, string reason, string code = Names.Errors.InvalidToken) =>
            new(code, description, StatusCodes.Status401Unauthorized, reason) { Challenge = scheme == Names.Dpop.Scheme ? $"DPoP error=\"{code}\", {Algorithms}" : $"Bearer error=\"{code}\"" };
    }

    private async Task<OAuthError> RefuseAsync(HttpContext context, OAuthError error, OwnToken? token)
    {
        RequestLimits.Failed(context, error);
        await audit.RefuseAsync(Event(AuditTypes.UserInfoRefused, error.Reason!, token), []);
        return error;
    }

    private AuditEvent Event(string type, string reason, OwnToken? token) => audit.Refusal(type, reason) with { User = token?.Subject, Client = token?.ClientId, Grant = token?.Grant };
}
