using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;

namespace McpAuth.Protocol.Jose;

/// <summary>A private key that signs JWTs. Thread-safe.</summary>
public sealed class SigningKey : IDisposable
{
    private const int RsaBits = 3072;
    private readonly byte[] pkcs8;
    private readonly AlgorithmPool pool;
    private readonly PublicJwk publicJwk;
    // One per typ and form in use; types are constants of the code, so it stays small.
    private readonly ConcurrentDictionary<(string Type, bool EmbedKey), byte[]> headers = new();

    private SigningKey(byte[] pkcs8, string algorithm)
    {
        (this.pkcs8, Algorithm) = (pkcs8, algorithm);
        pool = new(() => Load(this.pkcs8, algorithm));
        var first = pool.Rent();
        publicJwk = first is ECDsa ecdsa ? PublicJwk.Of(ecdsa) : PublicJwk.Of((RSA)first);
        pool.Return(first);
        Public = new(publicJwk);
    }

    /// <summary>A new key: <c>ES256</c> or <c>RS256</c> (3072 bits); the key id is the thumbprint.</summary>
    public static SigningKey Create(string algorithm = JoseAlgorithms.Es256)
    {
        using AsymmetricAlgorithm key = algorithm switch
        {
            JoseAlgorithms.Es256 => ECDsa.Create(ECCurve.NamedCurves.nistP256),
            JoseAlgorithms.Rs256 => RSA.Create(RsaBits),
            _ => throw Unsupported(algorithm),
        };
        return new(key.ExportPkcs8PrivateKey(), algorithm);
    }

    /// <summary>From PKCS#8.</summary>
    /// <exception cref="CryptographicException">It is not PKCS#8, or of another kind or size than the algorithm's.</exception>
    public static SigningKey Import(ReadOnlySpan<byte> pkcs8, string algorithm) => new(pkcs8.ToArray(), algorithm);

    public byte[] ExportPkcs8() => [.. pkcs8];
    public string Algorithm { get; }
    public string KeyId => publicJwk.KeyId!;
    public VerificationKey Public { get; }

    /// <summary>
    /// The compact JWS. Header: <c>typ</c>, <c>alg</c>, and <c>kid</c>, or <c>jwk</c> when <paramref name="embedKey"/> (DPoP).
    /// <paramref name="payload"/> writes the members of the payload object, which is opened and closed here.
    /// </summary>
    public string Sign(string type, Action<Utf8JsonWriter> payload, bool embedKey = false) =>
        Sign(type, payload, static (writer, write) => write(writer), embedKey);

    public string Sign<TState>(string type, TState state, Action<Utf8JsonWriter, TState> payload, bool embedKey = false)
    {
        ArgumentNullException.ThrowIfNull(payload);
        var header = headers.TryGetValue((type, embedKey), out var known) ? known
            : headers.GetOrAdd((type, embedKey), key => WriteHeader(key.Type, key.EmbedKey));
        using var draft = JwsDraft.Start(header);
        draft.Payload.WriteStartObject();
        payload(draft.Payload, state);
        draft.Payload.WriteEndObject();
        var key = pool.Rent();
        try
        {
            return draft.Finish(key);
        }
        finally
        {
            pool.Return(key);
        }
    }

    public void Dispose()
    {
        pool.Release();
        CryptographicOperations.ZeroMemory(pkcs8);
    }

    private byte[] WriteHeader(string type, bool embedKey)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("typ", type);
            writer.WriteString("alg", Algorithm);
            if (embedKey)
            {
                writer.WriteStartObject("jwk");
                publicJwk.WriteMembers(writer);
                writer.WriteEndObject();
            }
            else
            {
                writer.WriteString("kid", KeyId);
            }
            writer.WriteEndObject();
        }
        return System.Buffers.Text.Base64Url.EncodeToUtf8(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    private static AsymmetricAlgorithm Load(byte[] pkcs8, string algorithm)
    {
        AsymmetricAlgorithm key = algorithm switch
        {
            JoseAlgorithms.Es256 => ECDsa.Create(),
            JoseAlgorithms.Rs256 => RSA.Create(),
            _ => throw Unsupported(algorithm),
        };
        try
        {
            key.ImportPkcs8PrivateKey(pkcs8, out var read);
            var fits = key is ECDsa ecdsa
                ? ecdsa.ExportParameters(false).Curve.Oid is { Value: "1.2.840.10045.3.1.7" } or { FriendlyName: "nistP256" or "ECDSA_P256" }
                : key.KeySize >= 2048;
            if (read != pkcs8.Length || !fits)
                throw new CryptographicException($"The key cannot sign with {algorithm}.");
            return key;
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    private static ArgumentException Unsupported(string algorithm) => new($"'{algorithm}' is not an algorithm that is signed with.", nameof(algorithm));
}
