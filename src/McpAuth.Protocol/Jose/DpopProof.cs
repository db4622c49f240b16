namespace McpAuth.Protocol.Jose;

/// <summary>A DPoP proof that passed every check of RFC 9449 §4.3 except single use, which is the caller's (by <see cref="Jti"/> and <see cref="Thumbprint"/>).</summary>
public sealed class DpopProof
{
    /// <param name="headerValues">All values of the DPoP header; exactly one is right (§4.3 step 1).</param>
    /// <param name="method">The request's method, compared exactly.</param>
    /// <param name="uri">The endpoint's own address from configuration, compared with <c>htu</c> after syntax- and scheme-based normalization (§4.3), without query and fragment.</param>
    /// <param name="accessToken">When a token is presented with the proof: <c>ath</c> must be its SHA-256 (§4.3 step 11); null = no token.</param>
    /// <param name="now">The clock; <c>iat</c> may be 60 s off either way.</param>
    /// <returns>The proof, or a fault whose code is the check that failed: <c>header_count</c>, <c>malformed</c>, <c>wrong_type</c>,
    /// <c>wrong_algorithm</c>, <c>invalid_key</c>, <c>bad_signature</c>, <c>missing_claim</c>, <c>htm</c>, <c>htu</c>, <c>iat</c>, <c>ath</c>.</returns>
    public static Result<DpopProof> Read(IReadOnlyList<string?> headerValues, string method, Uri uri, string? accessToken, DateTimeOffset now) =>
        throw new NotImplementedException();

    /// <summary>A fresh proof by <paramref name="key"/>.</summary>
    public static string Create(SigningKey key, string method, Uri uri, string? accessToken, DateTimeOffset now, string? nonce = null) => throw new NotImplementedException();

    public string Thumbprint => throw new NotImplementedException();
    public string Jti => throw new NotImplementedException();
    public DateTimeOffset IssuedAt => throw new NotImplementedException();
    public string? Nonce => throw new NotImplementedException();
}
