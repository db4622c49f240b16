using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A registered agent and the key of its client.</summary>
public sealed record TestAgent(string Id, string ClientId)
{
    public SigningKey Key { get; } = SigningKey.Create();

    public ClientAuthentication Authentication => ClientAuthentication.PrivateKeyJwt(ClientId, Key);

    /// <summary>A client assertion (RFC 7523 §3), to be presented as often as a test likes.</summary>
    /// <param name="life">Null leaves <c>exp</c> out.</param>
    public KeyValuePair<string, string>[] Assertion(string issuer, TimeSpan? life) => ClientAssertion.Form(Key, ClientId, issuer, life);

    public KeyValuePair<string, string>[] Assertion(string issuer) => Assertion(issuer, TimeSpan.FromMinutes(1));

    /// <summary>RFC 7009 §2.1, at whichever node <paramref name="handler"/> leads to.</summary>
    public async Task RevokeAsync(string issuer, string token, HttpMessageHandler handler)
    {
        using var http = new HttpClient(handler);
        using var form = new FormUrlEncodedContent([.. Assertion(issuer), new("token", token)]);
        using HttpResponseMessage response = await http.PostAsync(new Uri(issuer + Names.Paths.Revoke), form);
        Assert.Equal(System.Net.HttpStatusCode.OK, response.StatusCode);
    }

    /// <summary>Posts a form and tells how it was answered.</summary>
    public static async Task<(int Status, string? Error)> PostAsync(Uri uri, IEnumerable<KeyValuePair<string, string>> form, string? proof, HttpMessageHandler handler)
    {
        using var http = new HttpClient(handler);
        using var request = new HttpRequestMessage(HttpMethod.Post, uri) { Content = new FormUrlEncodedContent(form) };
        if (proof is not null) request.Headers.Add(Names.Dpop.Header, proof);
        using HttpResponseMessage response = await http.SendAsync(request);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())?["error"]?.GetValue<string>());
    }
}
