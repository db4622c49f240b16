using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using McpAuth.Protocol.Certificates;

namespace McpAuth.Protocol.Jose;

/// <summary>A public key that verifies with exactly one algorithm family: <c>EC P-256</c> → ES256, <c>RSA</c> ≥ 2048 bits → RS256 (also PS256, ES384 where rules allow).</summary>
public sealed class VerificationKey
{
    private readonly PublicJwk key;
    private readonly AlgorithmPool pool;

    internal VerificationKey(PublicJwk key)
    {
        this.key = key;
        pool = new(key.CreateAlgorithm);
        Jwk = key.ToJson();
        Thumbprint = key.Thumbprint();
    }

    /// <summary>Reads a public JWK (RFC 7517). Refuses private members, symmetric keys, points off the curve, RSA below 2048 bits. Codes: <c>invalid_key</c>.</summary>
    public static Result<VerificationKey> FromJwk(JsonElement jwk) =>
        PublicJwk.Read(jwk).TryGet(out var read, out var fault) ? Import(read) : fault;

    internal static Result<VerificationKey> Import(PublicJwk read)
    {
        var key = new VerificationKey(read);
        try
        {
            // The import is where the platform finds a point that is not on its curve.
            key.pool.Return(key.pool.Rent());
            return key;
        }
        catch (CryptographicException)
        {
            return new Fault("invalid_key", "The key is not a valid public key.");
        }
    }

    /// <summary>
    /// Reads a JWK set; a key it cannot use (other kty, use or alg) is left out; duplicate kids are an error, and so is a private or
    /// symmetric key among them. Codes: <c>invalid_key</c>.
    /// </summary>
    public static Result<IReadOnlyList<VerificationKey>> FromJwks(JsonElement jwks)
    {
        if (jwks.ValueKind != JsonValueKind.Object || !jwks.TryGetProperty("keys", out var keys) || keys.ValueKind != JsonValueKind.Array)
            return new Fault("invalid_key", "A JWK set is an object with an array of keys.");
        var usable = new List<VerificationKey>();
        var kids = new HashSet<string>(StringComparer.Ordinal);
        foreach (var jwk in keys.EnumerateArray())
        {
            // RFC 7517 §4.5: different keys have different kids; counted over all members, also the ones left out.
            if (jwk.ValueKind == JsonValueKind.Object && jwk.TryGetProperty("kid", out var kid)
                && kid.ValueKind == JsonValueKind.String && !kids.Add(kid.GetString()!))
                return new Fault("invalid_key", "Two keys of the set have the same kid.");
            // A set that publishes a secret is refused whole: its owner must replace the key, not only stop using it.
            if (PublicJwk.HasSecret(jwk))
                return new Fault("invalid_key", "A key of the set is private or symmetric.");
            // RFC 7517 §5: keys that are not understood or out of the supported range are ignored.
            if (FromJwk(jwk).TryGet(out var key, out _))
                usable.Add(key);
        }
        return Result<IReadOnlyList<VerificationKey>>.Of(usable);
    }

    public string? KeyId => key.KeyId;

    internal string? NamedAlgorithm => key.Algorithm;

    /// <summary>The base64url SHA-256 thumbprint (RFC 7638).</summary>
    public string Thumbprint { get; }

    /// <summary>The public members only, as JSON.</summary>
    public JsonElement Jwk { get; }

    /// <summary>True when <paramref name="jwt"/>'s algorithm belongs to this key and the signature is right; never throws on hostile input. Thread-safe.</summary>
    public bool Verify(StrictJwt jwt)
    {
        ArgumentNullException.ThrowIfNull(jwt);
        return Verify(jwt.Jws);
    }

    /// <summary>
    /// True when the certificate carries this very key, in its one usual encoding: a certificate that names the same point on a curve of its own
    /// making does not.
    /// </summary>
    public bool IsKeyOf(ClientCertificate certificate)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        var algorithm = pool.Rent();
        try
        {
            using var x509 = X509CertificateLoader.LoadCertificate(certificate.Der.Span);
            return x509.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(algorithm.ExportSubjectPublicKeyInfo());
        }
        finally
        {
            pool.Return(algorithm);
        }
    }

    internal bool Verify(CompactJws jws)
    {
        // RFC 8725 §3.1, §3.2: the key, not the token, says which algorithms are possible.
        if (!key.Algorithms.Contains(jws.Algorithm, StringComparer.Ordinal))
            return false;
        var input = jws.SigningInput.Span;
        var signature = jws.Signature;
        AsymmetricAlgorithm? algorithm = null;
        try
        {
            algorithm = pool.Rent();
            return jws.Algorithm switch
            {
                JoseAlgorithms.Es256 => VerifyEcdsa((ECDsa)algorithm, input, signature, 32, HashAlgorithmName.SHA256),
                JoseAlgorithms.Es384 => VerifyEcdsa((ECDsa)algorithm, input, signature, 48, HashAlgorithmName.SHA384),
                JoseAlgorithms.Rs256 => VerifyRsa((RSA)algorithm, input, signature, RSASignaturePadding.Pkcs1),
                JoseAlgorithms.Ps256 => VerifyRsa((RSA)algorithm, input, signature, RSASignaturePadding.Pss),
                _ => false,
            };
        }
        catch (CryptographicException)
        {
            return false;
        }
        finally
        {
            if (algorithm is not null)
                pool.Return(algorithm);
        }
    }

    /// <summary>Gives up native handles now instead of at a collection: for keys that verify once.</summary>
    internal void Release() => pool.Release();

    private static bool VerifyEcdsa(ECDsa ecdsa, ReadOnlySpan<byte> input, ReadOnlySpan<byte> signature, int size, HashAlgorithmName hash)
    {
        // RFC 7518 §3.4: R || S, each exactly as long as the curve's order; so DER never fits. Zero R or S would verify
        // anything under an implementation that forgets the range check.
        return signature.Length == 2 * size
            && signature[..size].ContainsAnyExcept((byte)0) && signature[size..].ContainsAnyExcept((byte)0)
            && ecdsa.VerifyData(input, signature, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
    }

    // RFC 7518 §3.3, §3.5: the signature is as long as the modulus (RFC 8017 §8.1.2, §8.2.2 step 1).
    private static bool VerifyRsa(RSA rsa, ReadOnlySpan<byte> input, ReadOnlySpan<byte> signature, RSASignaturePadding padding) =>
        signature.Length == (rsa.KeySize + 7) / 8 && rsa.VerifyData(input, signature, HashAlgorithmName.SHA256, padding);
}
