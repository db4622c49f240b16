using System.Text.Json;

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
    /// <summary>Codes: <c>malformed</c>, <c>wrong_type</c>, <c>wrong_algorithm</c>, <c>unsupported_header</c>, plus those of StrictJson.</summary>
    public static Result<StrictJwt> Read(string compact, JwtRules rules) => throw new NotImplementedException();

    public string Algorithm => throw new NotImplementedException();
    public string? KeyId => throw new NotImplementedException();
    public JsonElement Header => throw new NotImplementedException();
    public JsonElement Payload => throw new NotImplementedException();

    /// <summary>The ASCII bytes that were signed.</summary>
    public ReadOnlyMemory<byte> SigningInput => throw new NotImplementedException();
    public ReadOnlyMemory<byte> Signature => throw new NotImplementedException();

    /// <summary>A string claim, or null when absent or of another JSON type.</summary>
    public string? Text(string claim) => throw new NotImplementedException();

    /// <summary>A NumericDate claim (whole or fractional seconds, finite, within the years 1970 to 9999), or null.</summary>
    public DateTimeOffset? Time(string claim) => throw new NotImplementedException();

    /// <summary>The audiences; empty when <c>aud</c> is absent or malformed (e.g. an array with a member that is no string).</summary>
    public IReadOnlyList<string> Audiences => throw new NotImplementedException();
}
