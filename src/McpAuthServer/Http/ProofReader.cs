using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Http;

/// <summary>Reads the DPoP proof of a request: every check of RFC 9449 §4.3 but single use, which belongs to the commit of whatever the request does.</summary>
internal sealed class ProofReader(ProofNonces nonces, Issuer issuer, ServerOptions options, TimeProvider time)
{
    /// <summary>The proof, if one is offered; with neither, none was.</summary>
    /// <param name="path">The endpoint's own path, for <c>htu</c>; never the request's address.</param>
    public (DpopProof? Proof, OAuthError? Error) ReadOffered(HttpContext context, string path) =>
        !context.Request.Headers.ContainsKey(Names.Dpop.Header) ? (null, null)
        : Read(context, path).TryGet(out var proof, out var fault) ? (proof, null)
        : (null, OAuthError.InvalidProof(fault));

    /// <summary>The proof, or the check it failed: a code of <see cref="DpopProof.Read"/>, or <c>nonce</c>.</summary>
    /// <param name="accessToken">What is presented with it.</param>
    public Result<DpopProof> Read(HttpContext context, string path, string? accessToken = null)
    {
        // RFC 9449 §8.2: with any answer may come the nonce for the next request.
        if (options.RequireDpopNonce)
            Give(context);
        if (!DpopProof.Read(context.Request.Headers[Names.Dpop.Header], context.Request.Method, issuer.Uri(path), accessToken, time.GetUtcNow(), issuer.Alias(path))
            .TryGet(out var proof, out var fault))
            return fault;
        // RFC 9449 §4.3 step 10: a nonce that was given out is compared also where none is demanded.
        if (proof.Nonce is null ? !options.RequireDpopNonce : nonces.Accepts(proof.Nonce))
            return proof;
        Give(context);
        return new Fault(Names.Claims.Nonce, "The DPoP proof must carry the nonce of this answer.");
    }

    private void Give(HttpContext context) => context.Response.Headers[Names.Dpop.Nonce] = nonces.Current;
}
