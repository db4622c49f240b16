using McpAuth.Protocol;
using McpAuthServer.Keys;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Http;

/// <summary>A token of this server presented to one of its own endpoints, with a verified proof that is still to be consumed.</summary>
internal sealed record PresentedToken(OwnToken Token, Once Proof);

/// <summary>Authenticates callers of the server's own APIs: always a DPoP-bound token of the API's own audience (RFC 9449 §7.1).</summary>
internal sealed class TokenPresenter(SigningKeyRing keys, ProofReader proofs, Issuer issuer, TimeProvider time)
{
    private const string Scheme = Names.Dpop.Scheme + " ", Algorithms = "algs=\"ES256 RS256\"";

    /// <param name="path">The endpoint's own path, for <c>htu</c>; never the request's address.</param>
    public async ValueTask<(PresentedToken? Presented, OAuthError? Error)> AuthenticateAsync(HttpContext context, string path, string audience)
    {
        // 1. One Authorization header, the DPoP scheme. RFC 6750 §3.1: without such a token the challenge names no error.
        if (context.Request.Headers.Authorization.Count > 1)
            return (null, Refuse(OAuthError.TwoTokens, Names.Reasons.Malformed, Names.Errors.InvalidRequest) with { Status = StatusCodes.Status400BadRequest });
        if (context.Request.Headers.Authorization is not [{ } header] || !header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return (null, Refuse("A DPoP-bound token is needed.", Names.Reasons.Malformed) with { Challenge = Scheme + Algorithms });
        var text = header[Scheme.Length..].Trim();

        // 2. Ours, unexpired, for this API.
        if (!(await OwnToken.ReadAsync(text, keys, issuer, time.GetUtcNow(), context.RequestAborted)).TryGet(out var token, out var fault))
            return (null, Refuse(fault.Message, fault.Code));
        if (token.Audience != audience)
            return (null, Refuse("The token is for another audience.", "wrong_audience"));

        // 3. The key it is bound to (RFC 9449 §4.3, §7.1, §9).
        if (!proofs.Read(context, path, text).TryGet(out var proof, out fault))
            return (null, Refuse(fault.Message, fault.Code, OAuthError.ProofCode(fault)));
        return proof.Thumbprint == token.Thumbprint
            ? (new PresentedToken(token, Once.Proof(proof)), null)
            : (null, Refuse("The proof's key is not the token's.", "wrong_key"));
    }

    public static OAuthError Refuse(string description, string reason, string code = Names.Errors.InvalidToken) =>
        new(code, description, StatusCodes.Status401Unauthorized, reason) { Challenge = $"{Scheme}error=\"{code}\", {Algorithms}" };
}
