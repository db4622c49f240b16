using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace McpAuth.Protocol.Jose;

/// <summary>A DPoP proof that passed every check of RFC 9449 §4.3 except single use, which is the caller's (by <see cref="Jti"/> and <see cref="Thumbprint"/>).</summary>
public sealed class DpopProof
{
    private const int LongestJti = 256;

    private static readonly JwtRules Rules = new("DPoP proof", [Names.Types.Dpop], TypeRequired: true,
        [JoseAlgorithms.Es256, JoseAlgorithms.Rs256], EmbeddedKey: true);

    private DpopProof(VerificationKey key, string jti, DateTimeOffset issuedAt, string? nonce) =>
        (Thumbprint, Jwk, Jti, IssuedAt, Nonce) = (key.Thumbprint, key.Jwk, jti, issuedAt, nonce);

    /// <summary>Accepted <c>alg</c> values: what metadata says in <c>dpop_signing_alg_values_supported</c>.</summary>
    public static IReadOnlyList<string> Algorithms => Rules.Algorithms;

    /// <param name="headerValues">All values of the DPoP header; exactly one is right (§4.3 step 1).</param>
    /// <param name="method">The request's method, compared exactly.</param>
    /// <param name="uri">The endpoint's own address from configuration, compared with <c>htu</c> after syntax- and scheme-based normalization (§4.3), without query and fragment.</param>
    /// <param name="accessToken">When a token is presented with the proof: <c>ath</c> must be its SHA-256 (§4.3 step 11); null = no token.</param>
    /// <param name="now">The clock; <c>iat</c> may be 60 s off either way.</param>
    /// <param name="alias">Another address of the same endpoint (RFC 8705 §5), from configuration too.</param>
    /// <returns>The proof, or a fault whose code is the check that failed: <c>header_count</c>, <c>malformed</c>, <c>wrong_type</c>,
    /// <c>wrong_algorithm</c>, <c>invalid_key</c>, <c>bad_signature</c>, <c>missing_claim</c>, <c>htm</c>, <c>htu</c>, <c>iat</c>, <c>ath</c>.</returns>
    public static Result<DpopProof> Read(IReadOnlyList<string?> headerValues, string method, Uri uri, string? accessToken, DateTimeOffset now, Uri? alias = null)
    {
        ArgumentNullException.ThrowIfNull(headerValues);
        ArgumentNullException.ThrowIfNull(uri);

        // RFC 9449 §4.3 step 1: one header field. A comma is what an intermediary makes of two.
        if (headerValues is not [{ Length: > 0 } compact] || compact.Contains(','))
            return new Fault("header_count", "There must be exactly one DPoP header.");
        // Steps 2, 4, 5: a well-formed JWT, its typ, an asymmetric alg in use.
        if (!StrictJwt.Read(compact, Rules).TryGet(out var jwt, out var fault))
            return Named(fault);
        // Step 7: a public key, and only that.
        if (!ProofKeys.Find(jwt.Header.GetProperty("jwk")).TryGet(out var found, out fault))
            return fault;
        var key = found.Key;
        // Step 6: signed with the private key of that public key.
        if (!key.Verify(jwt))
        {
            if (!found.Known)
                key.Release();
            return new Fault("bad_signature", "The DPoP proof's signature is not right.");
        }
        if (!found.Known)
            ProofKeys.Keep(key);

        // Step 3: all required claims.
        if (jwt.Text(Names.Claims.Jti) is not { Length: > 0 and <= LongestJti } jti)
            return Missing(Names.Claims.Jti);
        if (jwt.Text(Names.Claims.Htm) is not { } htm)
            return Missing(Names.Claims.Htm);
        if (jwt.Text(Names.Claims.Htu) is not { } htu)
            return Missing(Names.Claims.Htu);
        if (jwt.Time(Names.Claims.Iat) is not { } issuedAt)
            return Missing(Names.Claims.Iat);
        // Steps 8, 9: this request.
        if (!string.Equals(htm, method, StringComparison.Ordinal))
            return new Fault("htm", "The DPoP proof is for another method.");
        if (!HttpTarget.Same(htu, uri) && !(alias is not null && HttpTarget.Same(htu, alias)))
            return new Fault("htu", "The DPoP proof is for another address.");
        // Step 11 (§11.1): made just now. Step 10, the nonce, is the caller's, who issued it.
        if ((issuedAt - now).Duration() > Limits.DpopAge)
            return new Fault("iat", "The DPoP proof is too old or from the future.");
        // Step 12: made for this access token.
        if (accessToken is not null && !SameHash(jwt.Text(Names.Claims.Ath), accessToken))
            return new Fault("ath", "The DPoP proof is for another access token.");
        return new DpopProof(key, jti, issuedAt, jwt.Text(Names.Claims.Nonce));
    }

    /// <summary>A fresh proof by <paramref name="key"/>.</summary>
    public static string Create(SigningKey key, string method, Uri uri, string? accessToken, DateTimeOffset now, string? nonce = null)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(uri);
        return key.Sign(Names.Types.Dpop, (method, uri, accessToken, now, nonce), static (writer, proof) =>
        {
            // RFC 9449 §4.2: at least 96 bits of randomness.
            Span<byte> random = stackalloc byte[16];
            RandomNumberGenerator.Fill(random);
            writer.WriteString(Names.Claims.Jti, Base64Url.Encode(random));
            writer.WriteString(Names.Claims.Htm, proof.method);
            writer.WriteString(Names.Claims.Htu, proof.uri.GetLeftPart(UriPartial.Path));
            writer.WriteNumber(Names.Claims.Iat, proof.now.ToUnixTimeSeconds());
            if (proof.accessToken is not null)
                writer.WriteString(Names.Claims.Ath, Base64Url.Sha256(proof.accessToken));
            if (proof.nonce is not null)
                writer.WriteString(Names.Claims.Nonce, proof.nonce);
        }, embedKey: true);
    }

    public string Thumbprint { get; }

    /// <summary>The public key that it is signed by, as JSON.</summary>
    public JsonElement Jwk { get; }
    public string Jti { get; }
    public DateTimeOffset IssuedAt { get; }
    public string? Nonce { get; }

    // What the readers below call by many names is, for a proof, one of three checks.
    private static Fault Named(Fault fault) => fault switch
    {
        { Code: "wrong_type" or "wrong_algorithm" } => fault,
        { Code: "unsupported_header", Path: "jwk" } => fault with { Code = "invalid_key" },
        _ => fault with { Code = "malformed" },
    };

    private static Fault Missing(string claim) => new("missing_claim", $"The DPoP proof has no usable {claim}.", claim);

    private static bool SameHash(string? ath, string accessToken) => ath is not null
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(ath), Encoding.UTF8.GetBytes(Base64Url.Sha256(accessToken)));
}
