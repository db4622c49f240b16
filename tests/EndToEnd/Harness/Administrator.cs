using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A client that administers, over real HTTP.</summary>
public sealed class Administrator(Deployment deployment)
{
    private readonly TestAgent client = new("", "ops-" + Guid.NewGuid().ToString("N")[..8]);

    /// <summary>Registers it by a file.</summary>
    public Task RegisterAsync() => deployment.ApplyAsync(registry => registry["clients"]!.AsArray().Add(new JsonObject
    {
        ["id"] = client.ClientId, ["name"] = "Operations", ["auth_method"] = "private_key_jwt", ["grant_types"] = new JsonArray("client_credentials"), ["administers"] = true,
        ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(client.Key.Public.Jwk.GetRawText())) },
    }));

    public async Task<JsonObject> SendAsync(HttpMethod method, string path, JsonNode? body, int node)
    {
        string audience = deployment.Issuer + Names.Paths.AdminAudience;
        string token = (string)(await AnswerAsync(HttpMethod.Post, Names.Paths.Token, new FormUrlEncodedContent(
            [.. client.Assertion(deployment.Issuer), new(Names.OAuth.GrantType, Names.OAuth.ClientCredentials), new(Names.Resources.Resource, audience)]), null, node))["access_token"]!;
        return await AnswerAsync(method, Names.Paths.Admin + path, body is null ? null : JsonContent.Create(body), token, node);
    }

    public Task<JsonObject> RevokeAsync(string level, string? id, int node)
    {
        var body = new JsonObject { ["level"] = level, ["reason"] = "an incident" };
        if (id is not null) body["id"] = id;
        return SendAsync(HttpMethod.Post, "/revocations", body, node);
    }

    private async Task<JsonObject> AnswerAsync(HttpMethod method, string path, HttpContent? content, string? token, int node)
    {
        using var http = new HttpClient(deployment.HandlerTo(node));
        using var request = new HttpRequestMessage(method, new Uri(deployment.Issuer + path)) { Content = content };
        if (token is not null) request.Headers.Authorization = new AuthenticationHeaderValue(Names.Dpop.Scheme, token);
        request.Headers.Add(Names.Dpop.Header, DpopProof.Create(client.Key, method.Method, request.RequestUri!, token, TimeProvider.System.GetUtcNow()));
        using HttpResponseMessage response = await http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {text}");
        return JsonNode.Parse(text)!.AsObject();
    }
}
