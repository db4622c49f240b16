using System.Net;
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

    /// <summary>Registers it by a file; every node knows it afterwards.</summary>
    public async Task RegisterAsync()
    {
        await deployment.ApplyAsync(registry => registry["clients"]!.AsArray().Add(new JsonObject
        {
            ["id"] = client.ClientId, ["name"] = "Operations", ["auth_method"] = "private_key_jwt", ["grant_types"] = new JsonArray("client_credentials"), ["administers"] = true,
            ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(client.Key.Public.Jwk.GetRawText())) },
        }));
        for (int node = 0; node < deployment.Nodes.Count; node++)
        {
            int at = node;
            await Eventually.TrueAsync(async () => (await TokenAsync(at)).Status == HttpStatusCode.OK, "the node knows the client", Deployment.Patience);
        }
    }

    public async Task<JsonObject> SendAsync(HttpMethod method, string path, JsonNode? body, int node)
    {
        string token = (string)Good(await TokenAsync(node))["access_token"]!;
        return Good(await AnswerAsync(method, Names.Paths.Admin + path, body is null ? null : JsonContent.Create(body), token, node));
    }

    public Task<JsonObject> RevokeAsync(string level, string? id, int node)
    {
        var body = new JsonObject { ["level"] = level, ["reason"] = "an incident" };
        if (id is not null) body["id"] = id;
        return SendAsync(HttpMethod.Post, "/revocations", body, node);
    }

    private Task<(HttpStatusCode Status, string Text)> TokenAsync(int node) => AnswerAsync(HttpMethod.Post, Names.Paths.Token, new FormUrlEncodedContent(
        [.. client.Assertion(deployment.Issuer), new(Names.OAuth.GrantType, Names.OAuth.ClientCredentials), new(Names.Resources.Resource, deployment.Issuer + Names.Paths.AdminAudience)]),
        null, node);

    private async Task<(HttpStatusCode Status, string Text)> AnswerAsync(HttpMethod method, string path, HttpContent? content, string? token, int node)
    {
        using var http = new HttpClient(deployment.HandlerTo(node));
        using var request = new HttpRequestMessage(method, new Uri(deployment.Issuer + path)) { Content = content };
        if (token is not null) request.Headers.Authorization = new AuthenticationHeaderValue(Names.Dpop.Scheme, token);
        request.Headers.Add(Names.Dpop.Header, DpopProof.Create(client.Key, method.Method, request.RequestUri!, token, TimeProvider.System.GetUtcNow()));
        using HttpResponseMessage response = await http.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private static JsonObject Good((HttpStatusCode Status, string Text) answer)
    {
        Assert.True((int)answer.Status is >= 200 and < 300, $"{(int)answer.Status} {answer.Text}");
        return JsonNode.Parse(answer.Text)!.AsObject();
    }
}
