using System.Text.Json;

namespace McpAuth.Protocol.Jose;

/// <summary>A public key that verifies with exactly one algorithm family: <c>EC P-256</c> → ES256, <c>RSA</c> ≥ 2048 bits → RS256 (also PS256, ES384 where rules allow).</summary>
public sealed class VerificationKey
{
    /// <summary>Reads a public JWK (RFC 7517). Refuses private members, symmetric keys, points off the curve, RSA below 2048 bits. Codes: <c>invalid_key</c>.</summary>
    public static Result<VerificationKey> FromJwk(JsonElement jwk) => throw new NotImplementedException();

    /// <summary>Reads a JWK set; a key it cannot use (other kty, use or alg) is left out; duplicate kids are an error.</summary>
    public static Result<IReadOnlyList<VerificationKey>> FromJwks(JsonElement jwks) => throw new NotImplementedException();

    public string? KeyId => throw new NotImplementedException();

    /// <summary>The base64url SHA-256 thumbprint (RFC 7638).</summary>
    public string Thumbprint => throw new NotImplementedException();

    /// <summary>The public members only, as JSON.</summary>
    public JsonElement Jwk => throw new NotImplementedException();

    /// <summary>True when <paramref name="jwt"/>'s algorithm belongs to this key and the signature is right; never throws on hostile input. Thread-safe.</summary>
    public bool Verify(StrictJwt jwt) => throw new NotImplementedException();
}

/// <summary>A private key that signs JWTs. Thread-safe.</summary>
public sealed class SigningKey : IDisposable
{
    /// <summary>A new key: <c>ES256</c> or <c>RS256</c> (3072 bits); the key id is the thumbprint.</summary>
    public static SigningKey Create(string algorithm = "ES256") => throw new NotImplementedException();

    /// <summary>From PKCS#8.</summary>
    public static SigningKey Import(ReadOnlySpan<byte> pkcs8, string algorithm) => throw new NotImplementedException();

    public byte[] ExportPkcs8() => throw new NotImplementedException();
    public string Algorithm => throw new NotImplementedException();
    public string KeyId => throw new NotImplementedException();
    public VerificationKey Public => throw new NotImplementedException();

    /// <summary>
    /// The compact JWS. Header: <c>typ</c>, <c>alg</c>, and <c>kid</c>, or <c>jwk</c> when <paramref name="embedKey"/> (DPoP).
    /// <paramref name="payload"/> writes the members of the payload object, which is opened and closed here.
    /// </summary>
    public string Sign(string type, Action<Utf8JsonWriter> payload, bool embedKey = false) => throw new NotImplementedException();

    public string Sign<TState>(string type, TState state, Action<Utf8JsonWriter, TState> payload, bool embedKey = false) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
