using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;

namespace McpAuthServer.Tests.Harness;

/// <summary>The scenario's tool server as one that has no guard and asks as a client of its own.</summary>
public sealed class IntrospectingServer
{
    private readonly Scenario s;

    private IntrospectingServer(Scenario scenario) => s = scenario;

    public string Id => "resource-server-" + s.Suffix;
    public string Secret => $"secret-of-the-resource-server-{s.Suffix}-0123456789";

    internal static async Task<IntrospectingServer> OfAsync(Scenario scenario, Action<JsonObject>? change = null)
    {
        var server = new IntrospectingServer(scenario);
        var entry = new JsonObject
        {
            ["id"] = server.Id, ["name"] = "Files, itself", ["auth_method"] = "client_secret_basic", ["secret"] = server.Secret, ["grant_types"] = new JsonArray(),
            ["introspects"] = scenario.ToolServer,
        };
        change?.Invoke(entry);
        await scenario.Server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(entry) }.ToJsonString());
        return server;
    }

    public async Task<HttpResponseMessage> AskRawAsync(string token, string? accept = null, HttpClient? client = null, string? secret = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Introspect) { Content = new FormUrlEncodedContent([KeyValuePair.Create("token", token)]) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Id}:{secret ?? Secret}")));
        if (accept is not null)
            request.Headers.TryAddWithoutValidation("Accept", accept);
        return await (client ?? s.Server.Client()).SendAsync(request);
    }

    public async Task<JsonElement> AskAsync(string token, HttpClient? client = null)
    {
        using var response = await AskRawAsync(token, client: client);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return JsonElement.Parse(text);
    }

    /// <summary>Whether the token is called active; an inactive answer must say nothing else.</summary>
    public async Task<bool> IsActiveAsync(string token, HttpClient? client = null)
    {
        var answer = await AskAsync(token, client);
        if (answer.GetProperty("active").GetBoolean())
            return true;
        Assert.Single(answer.EnumerateObject());
        return false;
    }

    /// <summary>The signed answer, verified (RFC 9701 §5).</summary>
    public async Task<JsonElement> AskSignedAsync(string token)
    {
        using var response = await AskRawAsync(token, Names.Introspection.SignedMediaType);
        Assert.Equal(Names.Introspection.SignedMediaType, response.Content.Headers.ContentType?.MediaType);
        Assert.True(response.Headers.CacheControl?.NoStore);
        return await RelyingParty.VerifyAsync(s.Server, await response.Content.ReadAsStringAsync(), "token-introspection+jwt");
    }
}
