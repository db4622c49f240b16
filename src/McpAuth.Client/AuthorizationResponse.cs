using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Forms;

namespace McpAuth.Client;

/// <summary>What a browser brings back (RFC 6749 §4.1.2). Anybody can send a browser here, so nothing in it is believed before it is known whose answer it is, and to what.</summary>
internal static class AuthorizationResponse
{
    private static readonly HashSet<string> Once = [];

    /// <summary>The code.</summary>
    /// <exception cref="HttpRequestException">It is not this server's answer to this request.</exception>
    /// <exception cref="OAuthErrorException">The server, or the person, said no.</exception>
    public static string Code(Uri callback, string issuer, string state)
    {
        // RFC 6749 §3.1: no parameter stands twice; who could add a second one would choose which is read.
        if (!StrictForm.Parse(Encoding.UTF8.GetBytes(callback.Query.TrimStart('?')), Once).TryGet(out StrictForm? form, out Fault? fault))
            throw ServerConnection.Senseless(fault.ToString());

        // RFC 9207 §2.4: whose answer it is, before anything of it is sent anywhere; compared as it stands, and refused when it is missing.
        if (form[Names.Authorization.Iss] != issuer) throw ServerConnection.Senseless("it does not come from this issuer");
        // RFC 6749 §10.12
        if (form[Names.OAuth.State] is not { } returned
            || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(returned), Encoding.UTF8.GetBytes(state)))
            throw ServerConnection.Senseless("it is not the answer to this request");
        // RFC 6749 §4.1.2.1
        if (form[Names.OAuth.Error] is { } error) throw new OAuthErrorException(error, form[Names.OAuth.ErrorDescription], reason: null, status: 0);
        return form[Names.OAuth.Code] ?? throw ServerConnection.Senseless("it has neither a code nor an error");
    }
}
