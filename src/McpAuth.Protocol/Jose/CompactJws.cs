using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol.Json;

namespace McpAuth.Protocol.Jose;

/// <summary>
/// A compact JWS (RFC 7515 §3.1, §7.1) read strictly and not yet verified: what <see cref="StrictJwt"/> checks before it looks
/// at the payload.
/// </summary>
internal sealed class CompactJws
{
    private static readonly JsonLimits HeaderLimits = new(Limits.JwtLength, Limits.JsonDepth);
    private readonly byte[] text;
    private readonly int payloadAt;

    private CompactJws(byte[] text, int payloadAt, byte[] signature, JsonElement header, string algorithm, string? keyId) =>
        (this.text, this.payloadAt, Signature, Header, Algorithm, KeyId) = (text, payloadAt, signature, header, algorithm, keyId);

    public string Algorithm { get; }
    public string? KeyId { get; }
    public JsonElement Header { get; }
    public byte[] Signature { get; }

    /// <summary>ASCII(header '.' payload), the bytes that were signed (RFC 7515 §5.2).</summary>
    public ReadOnlyMemory<byte> SigningInput => text;

    /// <summary>The payload, still base64url; its form has been checked.</summary>
    public ReadOnlySpan<byte> EncodedPayload => text.AsSpan(payloadAt);

    public static Result<CompactJws> Read(string compact, JwtRules rules)
    {
        if (compact.Length > Limits.JwtLength)
            return Malformed(rules, "is too long");
        // RFC 7515 §7.1, RFC 7519 §7.2: exactly three parts. Five would be a JWE, which is not offered.
        var first = compact.IndexOf('.', StringComparison.Ordinal);
        var last = compact.LastIndexOf('.');
        if (first < 0 || first == last || compact.IndexOf('.', first + 1) != last)
            return Malformed(rules, "does not have three parts");
        var headerText = compact.AsSpan(0, first);
        var payloadText = compact.AsSpan(first + 1, last - first - 1);
        if (!Base64Url.IsWellFormed(payloadText) || !Base64Url.TryDecode(compact.AsSpan(last + 1), out var signature))
            return Malformed(rules, "is not base64url");

        var headerBytes = ArrayPool<byte>.Shared.Rent(Base64Url.DecodedLength(first) + 1);
        try
        {
            if (!Base64Url.TryDecode(headerText, headerBytes, out var length))
                return Malformed(rules, "is not base64url");
            // RFC 7515 §4, §5.2: member names are unique; StrictJson refuses what is not.
            if (!StrictJson.Parse(headerBytes.AsSpan(0, length), HeaderLimits).TryGet(out var header, out var fault))
                return fault;
            return CheckHeader(header, rules) is { } refused ? refused : new CompactJws(
                Encoding.ASCII.GetBytes(compact, 0, last), first + 1, signature, header,
                header.GetProperty("alg").GetString()!, header.TryGetProperty("kid", out var kid) ? kid.GetString() : null);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(headerBytes);
        }
    }

    private static Fault? CheckHeader(JsonElement header, JwtRules rules)
    {
        if (header.ValueKind != JsonValueKind.Object)
            return Malformed(rules, "has a header that is not an object");
        string? algorithm = null, type = null;
        bool typeSeen = false, keySeen = false;
        foreach (var member in header.EnumerateObject())
        {
            switch (member.Name)
            {
                case "alg" when member.Value.ValueKind == JsonValueKind.String:
                    algorithm = member.Value.GetString();
                    break;
                case "kid" when member.Value.ValueKind != JsonValueKind.String:
                    return Malformed(rules, "has a kid that is not a string");
                case "typ":
                    typeSeen = true;
                    type = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString() : null;
                    break;
                case "jwk" when rules.EmbeddedKey:
                    keySeen = true;
                    break;
                // RFC 7515 §4.1.11: an extension that must be understood and is not; RFC 7797 b64; RFC 7516 zip.
                case "crit" or "b64" or "zip":
                // RFC 8725 §3.10, RFC 7515 §10.4: the sender does not choose the key, and nothing is fetched on its word.
                case "jwk" or "jku" or "x5u" or "x5c":
                    return new Fault("unsupported_header", $"The {rules.Use} has a header that is not accepted.", member.Name);
            }
        }
        if (rules.EmbeddedKey && !keySeen)
            return new Fault("unsupported_header", $"The {rules.Use} has no jwk header.", "jwk");
        // RFC 8725 §3.11: explicit typing, so that a token of one use cannot serve another.
        if (typeSeen ? !Accepts(rules, type) : rules.TypeRequired)
            return new Fault("wrong_type", $"The {rules.Use} does not have the right typ.", "typ");
        // RFC 8725 §3.1: only algorithms the recipient named, compared exactly (RFC 7515 §4.1.1); none is never among them.
        if (algorithm is null || !rules.Algorithms.Contains(algorithm))
            return new Fault("wrong_algorithm", $"The {rules.Use} is not signed with an accepted algorithm.", "alg");
        return null;
    }

    // RFC 7515 §4.1.9: media types compare without case, and "application/" may be left off when no other '/' follows.
    private static bool Accepts(JwtRules rules, string? type)
    {
        const string prefix = "application/";
        if (type is null)
            return false;
        if (type.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) && !type.AsSpan(prefix.Length).Contains('/'))
            type = type[prefix.Length..];
        foreach (var accepted in rules.Types)
            if (string.Equals(accepted, type, StringComparison.OrdinalIgnoreCase))
                return true;
        return false;
    }

    internal static Fault Malformed(JwtRules rules, string what) => new("malformed", $"The {rules.Use} {what}.");
}
