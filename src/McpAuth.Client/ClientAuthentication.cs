using System.Net.Http.Headers;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client;

/// <summary>How a client proves who it is; exactly one method each (RFC 6749 §2.3). Its text never shows a secret.</summary>
public abstract class ClientAuthentication
{
    private ClientAuthentication(string clientId, string method)
    {
        ArgumentException.ThrowIfNullOrEmpty(clientId);
        (ClientId, Method) = (clientId, method);
    }

    public string ClientId { get; }

    /// <summary>As registered: <c>private_key_jwt</c>, <c>client_secret_basic</c>, <c>client_secret_post</c>, <c>none</c>.</summary>
    public string Method { get; }

    /// <summary>A fresh signed assertion per request (RFC 7523 §2.2). The key stays the caller's.</summary>
    public static ClientAuthentication PrivateKeyJwt(string clientId, SigningKey key) => new Assertion(clientId, key);

    public static ClientAuthentication SecretBasic(string clientId, string secret) => new Basic(clientId, secret);

    public static ClientAuthentication SecretPost(string clientId, string secret) => new Post(clientId, secret);

    /// <summary>A public client only names itself.</summary>
    public static ClientAuthentication Public(string clientId) => new Unauthenticated(clientId);

    public override string ToString() => $"{Method} {ClientId}";

    /// <summary>Adds the proof to one attempt of a request; called again for the next.</summary>
    internal abstract void Apply(List<KeyValuePair<string, string>> form, HttpRequestHeaders headers, string issuer, DateTimeOffset now);

    private sealed class Assertion(string clientId, SigningKey key) : ClientAuthentication(clientId, Names.ClientAssertion.PrivateKeyJwt)
    {
        private static readonly TimeSpan Life = TimeSpan.FromMinutes(1);

        internal override void Apply(List<KeyValuePair<string, string>> form, HttpRequestHeaders headers, string issuer, DateTimeOffset now)
        {
            string assertion = key.Sign(Names.Types.ClientAuthentication, payload =>
            {
                // RFC 7523 §3: iss and sub are the client, aud is the issuer and nothing else, jti is used once.
                payload.WriteString(Names.Claims.Iss, ClientId);
                payload.WriteString(Names.Claims.Sub, ClientId);
                payload.WriteString(Names.Claims.Aud, issuer);
                payload.WriteString(Names.Claims.Jti, Id.New("", now));
                payload.WriteNumber(Names.Claims.Iat, now.ToUnixTimeSeconds());
                payload.WriteNumber(Names.Claims.Exp, (now + Life).ToUnixTimeSeconds());
            });
            form.Add(new(Names.ClientAssertion.TypeParameter, Names.ClientAssertion.JwtBearer));
            form.Add(new(Names.ClientAssertion.Parameter, assertion));
        }
    }

    private sealed class Basic(string clientId, string secret) : ClientAuthentication(clientId, Names.ClientAssertion.SecretBasic)
    {
        internal override void Apply(List<KeyValuePair<string, string>> form, HttpRequestHeaders headers, string issuer, DateTimeOffset now)
        {
            // RFC 6749 §2.3.1: both are form-encoded before they are joined, so that a colon in the id cannot shift the boundary.
            string pair = $"{Encode(ClientId)}:{Encode(secret)}";
            headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes(pair)));
        }

        private static string Encode(string text) => Uri.EscapeDataString(text).Replace("%20", "+", StringComparison.Ordinal);
    }

    private sealed class Post(string clientId, string secret) : ClientAuthentication(clientId, Names.ClientAssertion.SecretPost)
    {
        internal override void Apply(List<KeyValuePair<string, string>> form, HttpRequestHeaders headers, string issuer, DateTimeOffset now)
        {
            form.Add(new(Names.OAuth.ClientId, ClientId));
            form.Add(new(Names.OAuth.ClientSecret, secret));
        }
    }

    private sealed class Unauthenticated(string clientId) : ClientAuthentication(clientId, Names.ClientAssertion.None)
    {
        internal override void Apply(List<KeyValuePair<string, string>> form, HttpRequestHeaders headers, string issuer, DateTimeOffset now) =>
            form.Add(new(Names.OAuth.ClientId, ClientId));
    }
}
