using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.Testing;

/// <summary>A client that administers, with a key of its own, over real HTTP.</summary>
public sealed class AdminClient(string issuer)
{
    private readonly SigningKey key = SigningKey.Create();
    private readonly string id = "ops-" + Guid.NewGuid().ToString("N")[..8];

    /// <summary>As a registry file has it.</summary>
    public JsonObject Entry => new()
    {
        ["id"] = id, ["name"] = "Operations", ["auth_method"] = Names.ClientAssertion.PrivateKeyJwt, ["grant_types"] = new JsonArray(Names.OAuth.ClientCredentials), ["administers"] = true,
        ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(key.Public.Jwk.GetRawText())) },
    };

    /// <param name="path">Below <c>/admin/api</c>.</param>
    /// <param name="handler">Leads to the node that is asked.</param>
    /// <exception cref="HttpRequestException">The answer was not 2xx; it stands in the message.</exception>
    public async Task<JsonObject> SendAsync(HttpMethod method, string path, JsonNode? body, Func<HttpMessageHandler>? handler = null)
    {
        var token = (string)Good(await TokenAsync(handler))["access_token"]!;
        return Good(await AnswerAsync(method, Names.Paths.Admin + path, body is null ? null : JsonContent.Create(body), token, handler));
    }

    public Task<(HttpStatusCode Status, string Text)> TokenAsync(Func<HttpMessageHandler>? handler = null) => AnswerAsync(HttpMethod.Post, Names.Paths.Token, new FormUrlEncodedContent(
        [
            .. ClientAssertion.Form(key, id, issuer, TimeSpan.FromMinutes(1)), new(Names.OAuth.GrantType, Names.OAuth.ClientCredentials),
            new(Names.Resources.Resource, issuer + Names.Paths.AdminAudience),
        ]), null, handler);

    private async Task<(HttpStatusCode Status, string Text)> AnswerAsync(HttpMethod method, string path, HttpContent? content, string? token, Func<HttpMessageHandler>? handler)
    {
        using var http = new HttpClient(handler?.Invoke() ?? new HttpClientHandler());
        using var request = new HttpRequestMessage(method, new Uri(issuer + path)) { Content = content };
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue(Names.Dpop.Scheme, token);
        request.Headers.Add(Names.Dpop.Header, DpopProof.Create(key, method.Method, request.RequestUri!, token, TimeProvider.System.GetUtcNow()));
        using var response = await http.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private static JsonObject Good((HttpStatusCode Status, string Text) answer) => (int)answer.Status is >= 200 and < 300
        ? JsonNode.Parse(answer.Text)!.AsObject()
        : throw new HttpRequestException($"{(int)answer.Status} {answer.Text}");
}
