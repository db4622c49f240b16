using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Registration;

/// <summary>A server at which clients may register themselves; it sees <see cref="TestInternet"/>.</summary>
public sealed class RegisteringServer : IAsyncLifetime
{
    public TestServer Server { get; } = new();
    public TestInternet Internet { get; } = new();

    public Task InitializeAsync()
    {
        Server.Settings["McpAuth:DynamicRegistration:Enabled"] = "true";
        Server.Replace = services => services.AddSingleton(Internet.Network);
        return Server.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        await Internet.DisposeAsync();
    }
}

/// <summary>A client that registers itself, raw enough that a test can spoil any of it.</summary>
internal static class Registering
{
    public const string Redirect = "https://app.example/cb";

    /// <summary>The least that a public client says.</summary>
    public static JsonObject Public(Action<JsonObject>? change = null)
    {
        var json = new JsonObject
        {
            ["client_name"] = "An app", ["redirect_uris"] = new JsonArray(Redirect), ["grant_types"] = new JsonArray("authorization_code", "refresh_token"), ["token_endpoint_auth_method"] = "none",
        };
        change?.Invoke(json);
        return json;
    }

    public static Task<HttpResponseMessage> RegisterRawAsync(this TestServer server, string body, string? token = null, string type = "application/json") =>
        SendAsync(server, HttpMethod.Post, Names.Paths.Register, body, token, type);

    public static async Task<JsonElement> RegisterAsync(this TestServer server, JsonObject? metadata = null)
    {
        using var response = await server.RegisterRawAsync((metadata ?? Public()).ToJsonString());
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == System.Net.HttpStatusCode.Created, $"{(int)response.StatusCode} {text}");
        return JsonElement.Parse(text);
    }

    /// <summary>Calls the registration's own address.</summary>
    public static Task<HttpResponseMessage> ManageRawAsync(this TestServer server, HttpMethod method, JsonElement registration, JsonObject? body = null, string? token = "own") =>
        SendAsync(server, method, new Uri(registration.Text("registration_client_uri")).PathAndQuery, body?.ToJsonString(), token == "own" ? registration.Text("registration_access_token") : token, "application/json");

    /// <summary>From a request to tokens, by a person who allows all of it.</summary>
    public static async Task<TokenResponse> TokensAsync(this Scenario s, JsonElement registration, Action<HttpRequestMessage>? change = null, Dictionary<string, string>? more = null)
    {
        using var answer = await s.RedeemRawAsync(registration, await new PersonFlow(s).CodeAsync(s.QueryOf(registration)), change, more);
        return await answer.ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    public static string QueryOf(this Scenario s, JsonElement registration, Dictionary<string, string?>? change = null) => s.AuthorizeQuery(new Dictionary<string, string?>(change ?? [])
    {
        ["client_id"] = registration.Text("client_id"), ["redirect_uri"] = change?.GetValueOrDefault("redirect_uri") ?? registration.GetProperty("redirect_uris")[0].GetString(),
    });

    public static Task<HttpResponseMessage> RedeemRawAsync(this Scenario s, JsonElement registration, string code, Action<HttpRequestMessage>? change = null, Dictionary<string, string>? more = null) =>
        s.TokenRawAsync(registration, new(more ?? []) { ["grant_type"] = "authorization_code", ["code"] = code, ["code_verifier"] = s.Verifier }, change);

    public static Task<HttpResponseMessage> RefreshRawAsync(this Scenario s, JsonElement registration, string token, Action<HttpRequestMessage>? change = null) =>
        s.TokenRawAsync(registration, new() { ["grant_type"] = "refresh_token", ["refresh_token"] = token }, change);

    public static Action<HttpRequestMessage> Basic(JsonElement registration, string? secret = null) => request => request.Headers.Authorization = new AuthenticationHeaderValue(
        "Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes($"{registration.Text("client_id")}:{secret ?? registration.Text("client_secret")}")));

    public static string Text(this JsonElement json, string member) => json.GetProperty(member).GetString()!;

    private static async Task<HttpResponseMessage> TokenRawAsync(this Scenario s, JsonElement registration, Dictionary<string, string> form, Action<HttpRequestMessage>? change)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token);
        change?.Invoke(request);
        if (request.Headers.Authorization is null)
            form["client_id"] = registration.Text("client_id");
        request.Content = new FormUrlEncodedContent(form);
        return await s.Server.Client().SendAsync(request);
    }

    private static async Task<HttpResponseMessage> SendAsync(TestServer server, HttpMethod method, string path, string? body, string? token, string type)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, type);
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return await server.Client().SendAsync(request);
    }
}
