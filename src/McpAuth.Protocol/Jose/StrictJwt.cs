using System.Buffers;
using System.Text.Json;
using McpAuth.Protocol.Json;
using Codec = System.Buffers.Text.Base64Url;

namespace McpAuth.Protocol.Jose;

/// <summary>What one use of a JWT accepts (RFC 8725 §3.1, §3.11). There is one instance per use, never a general one.</summary>
/// <param name="Use">Named in faults, e.g. <c>client assertion</c>.</param>
/// <param name="Types">Accepted <c>typ</c> values, compared without case and without an <c>application/</c> prefix.</param>
/// <param name="TypeRequired">False where the standard lets <c>typ</c> be absent.</param>
/// <param name="Algorithms">Accepted <c>alg</c> values, compared exactly.</param>
/// <param name="EmbeddedKey">True for DPoP proofs only: <c>jwk</c> must be present. Everywhere else <c>jwk</c>, <c>jku</c>, <c>x5u</c> and <c>x5c</c> are refused.</param>
public sealed record JwtRules(string Use, IReadOnlyList<string> Types, bool TypeRequired, IReadOnlyList<string> Algorithms, bool EmbeddedKey = false);

/// <summary>
/// A compact JWS with a JSON object as payload, read strictly and not yet verified: three parts, base64url without padding
/// and with zero trailing bits, header and payload by <see cref="Json.StrictJson"/>, no <c>crit</c>, no <c>b64</c>, no <c>zip</c>, length bounded.
/// </summary>
public sealed class StrictJwt
{
    private static readonly JsonLimits PayloadLimits = new(Limits.JwtLength, Limits.JsonDepth);
    private const double YearTenThousand = 253402300800;

    private StrictJwt(CompactJws jws, JsonElement payload)
    {
        (Jws, Payload) = (jws, payload);
        Audiences = ReadAudiences(payload);
    }

    /// <summary>Codes: <c>malformed</c>, <c>wrong_type</c>, <c>wrong_algorithm</c>, <c>unsupported_header</c>, plus those of StrictJson.</summary>
    public static Result<StrictJwt> Read(string compact, JwtRules rules)
    {
        ArgumentNullException.ThrowIfNull(compact);
        ArgumentNullException.ThrowIfNull(rules);
        if (!CompactJws.Read(compact, rules).TryGet(out var jws, out var fault))
            return fault;
        var encoded = jws.EncodedPayload;
        var bytes = ArrayPool<byte>.Shared.Rent(Base64Url.DecodedLength(encoded.Length) + 1);
        try
        {
            if (!Codec.TryDecodeFromUtf8(encoded, bytes, out var length))
                return CompactJws.Malformed(rules, "is not base64url");
            // RFC 7519 §7.2: the claims set is one JSON object; its names are unique (§4).
            if (!StrictJson.Parse(bytes.AsSpan(0, length), PayloadLimits).TryGet(out var payload, out fault))
                return fault;
            return payload.ValueKind == JsonValueKind.Object
                ? new StrictJwt(jws, payload)
                : CompactJws.Malformed(rules, "has a payload that is not an object");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes, clearArray: true);
        }
    }

    internal CompactJws Jws { get; }

    public string Algorithm => Jws.Algorithm;
    public string? KeyId => Jws.KeyId;
    public JsonElement Header => Jws.Header;
    public JsonElement Payload { get; }

    /// <summary>The ASCII bytes that were signed.</summary>
    public ReadOnlyMemory<byte> SigningInput => Jws.SigningInput;
    public ReadOnlyMemory<byte> Signature => Jws.Signature;

    /// <summary>A string claim, or null when absent or of another JSON type.</summary>
    public string? Text(string claim) =>
        Payload.TryGetProperty(claim, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A NumericDate claim (whole or fractional seconds, finite, within the years 1970 to 9999), or null.</summary>
    public DateTimeOffset? Time(string claim)
    {
        // RFC 7519 §2: seconds since 1970 as a JSON number; a string is not one.
        if (!Payload.TryGetProperty(claim, out var value) || value.ValueKind != JsonValueKind.Number)
            return null;
        var seconds = value.GetDouble();
        if (!(seconds is >= 0 and < YearTenThousand))
            return null;
        // decimal keeps the fraction as written; a double's last digit would move a time by a tick.
        return value.TryGetInt64(out var whole) ? DateTimeOffset.FromUnixTimeSeconds(whole)
            : value.TryGetDecimal(out var exact) ? DateTimeOffset.UnixEpoch.AddTicks((long)(exact * TimeSpan.TicksPerSecond))
            : DateTimeOffset.UnixEpoch;
    }

    /// <summary>The audiences; empty when <c>aud</c> is absent or malformed (e.g. an array with a member that is no string).</summary>
    public IReadOnlyList<string> Audiences { get; }

    // RFC 7519 §4.1.3: one string, or an array of strings.
    private static string[] ReadAudiences(JsonElement payload)
    {
        if (!payload.TryGetProperty(Names.Claims.Aud, out var aud))
            return [];
        if (aud.ValueKind == JsonValueKind.String)
            return [aud.GetString()!];
        if (aud.ValueKind != JsonValueKind.Array)
            return [];
        var all = new string[aud.GetArrayLength()];
        var i = 0;
        foreach (var item in aud.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.String)
                return [];
            all[i++] = item.GetString()!;
        }
        return all;
    }
}
