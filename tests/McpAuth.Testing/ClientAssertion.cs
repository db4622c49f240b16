using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.Testing;

/// <summary>Client assertions (RFC 7523 §3), to be presented as often as whoever asks likes.</summary>
public static class ClientAssertion
{
    /// <param name="life">Null leaves <c>exp</c> out.</param>
    public static string Sign(SigningKey key, string client, string issuer, TimeSpan? life)
    {
        var now = TimeProvider.System.GetUtcNow();
        return key.Sign(Names.Types.ClientAuthentication, payload =>
        {
            payload.WriteString("iss", client);
            payload.WriteString("sub", client);
            payload.WriteString("aud", issuer);
            payload.WriteString("jti", Id.New("", now));
            payload.WriteNumber("iat", now.ToUnixTimeSeconds());
            if (life is { } ends)
                payload.WriteNumber("exp", (now + ends).ToUnixTimeSeconds());
        });
    }

    /// <summary>As it stands in a form.</summary>
    public static KeyValuePair<string, string>[] Form(SigningKey key, string client, string issuer, TimeSpan? life) =>
        [new(Names.ClientAssertion.TypeParameter, Names.ClientAssertion.JwtBearer), new(Names.ClientAssertion.Parameter, Sign(key, client, issuer, life))];
}
