using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Tokens;
using Claims = McpAuth.Protocol.Names.Claims;

namespace McpGuard.Sdk.Revocation;

/// <summary>One verified event of the feed.</summary>
/// <param name="Kind">What the subject is, as the server calls it.</param>
internal sealed record SecurityEvent(string? Kind, string Subject, bool Lifted, long Until, long? Before)
{
    private static readonly JwtRules Rules = new("security event token", [Names.Types.SecurityEvent], TypeRequired: true, ["ES256", "RS256"]);

    /// <summary>Reads a SET strictly (RFC 8417 §2, §4): own type, our server's signature, for this tool server, exactly one known event.</summary>
    public static async ValueTask<Result<SecurityEvent>> Read(string compact, string jti, string issuer, string resource, IssuerKeys keys, CancellationToken cancellationToken)
    {
        if (!StrictJwt.Read(compact, Rules).TryGet(out StrictJwt? jwt, out Fault? fault)) return fault;
        if (jwt.KeyId is not { } kid) return Invalid("it names no key");
        // The server itself names this key, so nobody else can make us ask for it; and it may be a key of this second.
        if (!(await keys.Find(kid, cancellationToken, insist: true)).TryGet(out VerificationKey? key, out fault)) return fault;
        if (!key.Verify(jwt)) return new Fault(Names.Reasons.BadSignature, "The signature is not the issuer's.");
        if (!string.Equals(jwt.Text(Claims.Iss), issuer, StringComparison.Ordinal)) return new Fault(Names.Reasons.Foreign, "Another issuer's event.");
        if (jwt.Audiences is not [var audience] || !string.Equals(audience, resource, StringComparison.Ordinal)) return Invalid("it is for another tool server");
        if (!string.Equals(jwt.Text(Claims.Jti), jti, StringComparison.Ordinal)) return Invalid("its jti is not the one it was delivered under");
        // RFC 8417 §4.6, OpenID SSF: a SET can never be taken for an access token.
        if (jwt.Payload.TryGetProperty(Claims.Sub, out _) || jwt.Payload.TryGetProperty(Claims.Exp, out _)) return Invalid("it carries sub or exp");

        if (SubjectOf(jwt.Payload, issuer) is not { } subject) return Invalid("its sub_id is not understood");
        if (!jwt.Payload.TryGetProperty(Claims.Events, out JsonElement events) || events.ValueKind != JsonValueKind.Object || events.EnumerateObject().Count() != 1)
            return Invalid("it must hold one event");
        JsonProperty happened = events.EnumerateObject().First();
        bool lifted = happened.NameEquals(RevocationEvents.Lifted);
        if (!lifted && !happened.NameEquals(RevocationEvents.Revoked)) return Invalid("its event is not known");
        if (happened.Value.ValueKind != JsonValueKind.Object) return Invalid("its event is not an object");
        if (!Number(happened.Value, "until", out long? until) || !Number(happened.Value, "before", out long? before)) return Invalid("a time in it is not a number");
        if (!lifted && until is null) return Invalid("it does not say until when");
        return new SecurityEvent(Text(happened.Value, "kind"), subject, lifted, until ?? 0, before);
    }

    /// <summary>RFC 9493 §3.2: by format.</summary>
    private static string? SubjectOf(JsonElement payload, string issuer)
    {
        if (!payload.TryGetProperty(Claims.SubId, out JsonElement id) || id.ValueKind != JsonValueKind.Object) return null;
        return Text(id, "format") switch
        {
            "opaque" => Text(id, "id"),
            "jwt_id" when Text(id, "iss") == issuer => Text(id, "jti"),
            "iss_sub" when Text(id, "iss") == issuer => Text(id, "sub"),
            _ => null,
        };
    }

    private static bool Number(JsonElement from, string member, out long? value)
    {
        value = null;
        if (!from.TryGetProperty(member, out JsonElement number)) return true;
        if (number.ValueKind != JsonValueKind.Number || !number.TryGetInt64(out long read)) return false;
        value = read;
        return true;
    }

    private static string? Text(JsonElement from, string member) =>
        from.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;

    private static Fault Invalid(string why) => new("invalid_event", $"The security event cannot be applied: {why}.");
}
