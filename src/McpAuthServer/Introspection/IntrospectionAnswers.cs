using System.Buffers;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuthServer.Keys;
using McpAuthServer.Tokens;

namespace McpAuthServer.Introspection;

/// <summary>Writes what is known of a token, in JSON or signed (RFC 9701).</summary>
internal sealed class IntrospectionAnswers(SigningKeyRing keys, Issuer issuer, TimeProvider time)
{
    private const string Plain = "application/json";

    /// <param name="token">Null: not active, and nothing more is said.</param>
    public IResult Of(HttpRequest request, Asker asker, OwnToken? token) =>
        WantsSigned(request) ? Results.Text(Sign(asker, token), Names.Introspection.SignedMediaType) : Results.Bytes(Write(token), Plain);

    // RFC 9701 §4: by Accept, where the signed form is named and nothing is liked better.
    private static bool WantsSigned(HttpRequest request)
    {
        var accept = request.GetTypedHeaders().Accept;
        double Quality(string type) => accept.Where(a => a.MediaType.Equals(type, StringComparison.OrdinalIgnoreCase)).Select(a => a.Quality ?? 1).DefaultIfEmpty(0).Max();
        return Quality(Names.Introspection.SignedMediaType) is > 0 and var signed && signed >= Quality(Plain);
    }

    // RFC 9701 §5. No sub and no exp beside the answer: it must not pass for a token.
    private string Sign(Asker asker, OwnToken? token) => keys.Current.Active.Sign(Names.Types.TokenIntrospection, json =>
    {
        json.WriteString(Names.Claims.Iss, issuer.Value);
        json.WriteString(Names.Claims.Aud, asker.Id);
        json.WriteNumber(Names.Claims.Iat, time.GetUtcNow().ToUnixTimeSeconds());
        json.WritePropertyName(Names.Introspection.Answer);
        Write(json, token);
    });

    private static byte[] Write(OwnToken? token)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
            Write(json, token);
        return buffer.WrittenSpan.ToArray();
    }

    // RFC 7662 §2.2.
    private static void Write(Utf8JsonWriter json, OwnToken? token)
    {
        json.WriteStartObject();
        json.WriteBoolean(Names.Introspection.Active, token is not null);
        if (token is not null)
        {
            json.WriteString(Names.OAuth.TokenType, token.Thumbprint is null ? Names.OAuth.Bearer : Names.Dpop.Scheme);
            foreach (var claim in token.Jwt.Payload.EnumerateObject())
                claim.WriteTo(json);
        }
        json.WriteEndObject();
    }
}
