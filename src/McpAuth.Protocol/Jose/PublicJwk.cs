using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;

namespace McpAuth.Protocol.Jose;

/// <summary>The public members of a JWK, checked (RFC 7517 §4, RFC 7518 §6).</summary>
internal sealed class PublicJwk
{
    // RFC 7518 §6.2.2, §6.3.2, §6.4: members that only a private or symmetric key has.
    private static readonly string[] SecretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

    private readonly string keyType;
    private readonly string? use;
    // EC: x and y, each as long as the curve's field. RSA: n and e, minimal.
    private readonly byte[] first, second;

    private PublicJwk(string keyType, string? keyId, string? use, string? algorithm, string[] algorithms, byte[] first, byte[] second) =>
        (this.keyType, KeyId, this.use, Algorithm, Algorithms, this.first, this.second) =
        (keyType, keyId, use, algorithm, algorithms, first, second);

    public string? KeyId { get; }

    /// <summary>The JWK's <c>alg</c>.</summary>
    public string? Algorithm { get; }

    /// <summary>What may be verified with it: what the JWK's <c>alg</c> says, or else the family's algorithms.</summary>
    public IReadOnlyList<string> Algorithms { get; }

    public static bool HasSecret(JsonElement jwk) => jwk.ValueKind == JsonValueKind.Object
        && (Array.Exists(SecretMembers, m => jwk.TryGetProperty(m, out _)) || Text(jwk, "kty") is "oct");

    public static Result<PublicJwk> Read(JsonElement jwk)
    {
        if (jwk.ValueKind != JsonValueKind.Object)
            return Invalid("The key is not a JSON object.");
        if (HasSecret(jwk))
            return Invalid("The key is private or symmetric.");
        foreach (var member in (ReadOnlySpan<string>)["kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"])
            if (jwk.TryGetProperty(member, out var value) && value.ValueKind != JsonValueKind.String)
                return Invalid($"The key's {member} is not a string.");
        // RFC 7517 §4.2, §4.3: only keys for signatures. SPIFFE bundles mark theirs jwt-svid.
        if (Text(jwk, "use") is not (null or "sig" or "jwt-svid") || !MayVerify(jwk))
            return Invalid("The key is not for verifying signatures.");
        return Text(jwk, "kty") switch
        {
            "EC" => ReadEc(jwk),
            "RSA" => ReadRsa(jwk),
            _ => Invalid("The key's kty is not one in use."),
        };
    }

    public static PublicJwk Of(ECDsa ecdsa)
    {
        var q = ecdsa.ExportParameters(false).Q;
        return Ours("EC", JoseAlgorithms.Es256, q.X!, q.Y!);
    }

    public static PublicJwk Of(RSA rsa)
    {
        var parameters = rsa.ExportParameters(false);
        return Ours("RSA", JoseAlgorithms.Rs256, parameters.Modulus!, parameters.Exponent!);
    }

    public AsymmetricAlgorithm CreateAlgorithm() => keyType == "EC"
        ? ECDsa.Create(new ECParameters
        {
            Curve = first.Length == 32 ? ECCurve.NamedCurves.nistP256 : ECCurve.NamedCurves.nistP384,
            Q = { X = first, Y = second },
        })
        : RSA.Create(new RSAParameters { Modulus = first, Exponent = second });

    public JsonElement ToJson()
    {
        var output = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartObject();
            WriteMembers(writer);
            if (KeyId is not null)
                writer.WriteString("kid", KeyId);
            if (use is not null)
                writer.WriteString("use", use);
            if (Algorithm is not null)
                writer.WriteString("alg", Algorithm);
            writer.WriteEndObject();
        }
        return JsonElement.Parse(output.WrittenSpan);
    }

    // RFC 7638 §3: the required members, in lexicographic order, without white space; none of them needs escapes.
    public string Thumbprint()
    {
        var output = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartObject();
            WriteMembers(writer);
            writer.WriteEndObject();
        }
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(output.WrittenSpan, hash);
        return Base64Url.Encode(hash);
    }

    /// <summary>The members that are the key, in lexicographic order.</summary>
    public void WriteMembers(Utf8JsonWriter writer)
    {
        if (keyType == "EC")
        {
            writer.WriteString("crv", first.Length == 32 ? "P-256" : "P-384");
            writer.WriteString("kty", "EC");
            writer.WriteString("x", Base64Url.Encode(first));
            writer.WriteString("y", Base64Url.Encode(second));
        }
        else
        {
            writer.WriteString("e", Base64Url.Encode(second));
            writer.WriteString("kty", "RSA");
            writer.WriteString("n", Base64Url.Encode(first));
        }
    }

    private static PublicJwk Ours(string keyType, string algorithm, byte[] first, byte[] second)
    {
        var thumbprint = new PublicJwk(keyType, null, null, null, [], first, second).Thumbprint();
        return new(keyType, thumbprint, "sig", algorithm, [algorithm], first, second);
    }

    private static Result<PublicJwk> ReadEc(JsonElement jwk)
    {
        (int Size, string Algorithm)? curve = Text(jwk, "crv") switch
        {
            "P-256" => (32, JoseAlgorithms.Es256),
            "P-384" => (48, JoseAlgorithms.Es384),
            _ => null,
        };
        if (curve is not { } known)
            return Invalid("The key's curve is not one in use.");
        // RFC 7518 §6.2.1.2: coordinates are as long as the field, leading zeros included.
        if (!Base64Url.TryDecode(Text(jwk, "x"), out var x) || !Base64Url.TryDecode(Text(jwk, "y"), out var y)
            || x.Length != known.Size || y.Length != known.Size)
            return Invalid("The key's coordinates are not of the curve's length.");
        return Make("EC", jwk, [known.Algorithm], x, y);
    }

    private static Result<PublicJwk> ReadRsa(JsonElement jwk)
    {
        if (!Base64Url.TryDecode(Text(jwk, "n"), out var n) || !Base64Url.TryDecode(Text(jwk, "e"), out var e))
            return Invalid("The RSA key lacks its modulus or exponent.");
        return RsaKeyChecks.Refuses(n, e) is { } reason ? Invalid(reason) : Make("RSA", jwk, [JoseAlgorithms.Rs256, JoseAlgorithms.Ps256], n, e);
    }

    private static Result<PublicJwk> Make(string keyType, JsonElement jwk, string[] family, byte[] first, byte[] second)
    {
        // RFC 8725 §3.1: a key that names its algorithm is used with no other.
        var algorithm = Text(jwk, "alg");
        if (algorithm is not null && !family.Contains(algorithm))
            return Invalid("The key's alg does not fit its type, or is not one in use.");
        return new PublicJwk(keyType, Text(jwk, "kid"), Text(jwk, "use"), algorithm, algorithm is null ? family : [algorithm], first, second);
    }

    private static bool MayVerify(JsonElement jwk)
    {
        if (!jwk.TryGetProperty("key_ops", out var operations))
            return true;
        if (operations.ValueKind != JsonValueKind.Array)
            return false;
        var verify = 0;
        foreach (var operation in operations.EnumerateArray())
        {
            if (operation.ValueKind != JsonValueKind.String)
                return false;
            if (operation.ValueEquals("verify"u8))
                verify++;
        }
        return verify == 1;
    }

    private static string? Text(JsonElement jwk, string member) =>
        jwk.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static Fault Invalid(string message) => new("invalid_key", message);
}
