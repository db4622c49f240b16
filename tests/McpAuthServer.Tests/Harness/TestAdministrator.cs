using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Tests.Harness;

/// <summary>A client that administers, raw enough that a test can spoil any part of it.</summary>
public sealed class TestAdministrator
{
    public const string Audience = TestServer.Issuer + Names.Paths.AdminAudience;

    private static int next;

    private readonly TestServer server;

    private TestAdministrator(TestServer server, string id) => (this.server, Id) = (server, id);

    public string Id { get; }
    public SigningKey ClientKey { get; } = SigningKey.Create();

    /// <summary>The key its tokens are bound to.</summary>
    public SigningKey Key { get; } = SigningKey.Create();
    public string Token { get; set; } = "";

    /// <summary>Registered, with a token.</summary>
    public static async Task<TestAdministrator> OfAsync(TestServer server, Action<JsonObject>? change = null)
    {
        var administrator = new TestAdministrator(server, "ops-" + Interlocked.Increment(ref next).ToString(CultureInfo.InvariantCulture));
        await server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(administrator.Entry(change)) }.ToJsonString());
        administrator.Token = await administrator.FreshTokenAsync();
        return administrator;
    }

    public JsonObject Entry(Action<JsonObject>? change = null)
    {
        var entry = new JsonObject
        {
            ["id"] = Id, ["name"] = "Operations", ["auth_method"] = "private_key_jwt", ["grant_types"] = new JsonArray("client_credentials"), ["administers"] = true,
            ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(ClientKey.Public.Jwk.GetRawText())) },
        };
        change?.Invoke(entry);
        return entry;
    }

    /// <param name="change">Replaces, adds or removes parameters.</param>
    /// <param name="proof">Null: none.</param>
    public async Task<HttpResponseMessage> TokenRawAsync(Action<Dictionary<string, string>>? change = null, string? proof = "")
    {
        var now = server.Time.GetUtcNow();
        var form = new Dictionary<string, string>
        {
            ["grant_type"] = "client_credentials", ["resource"] = Audience, [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer,
            [Names.ClientAssertion.Parameter] = ClientKey.Sign(Names.Types.ClientAuthentication, json =>
            {
                json.WriteString("iss", Id);
                json.WriteString("sub", Id);
                json.WriteString("aud", TestServer.Issuer);
                json.WriteNumber("exp", now.AddMinutes(1).ToUnixTimeSeconds());
                json.WriteString("jti", McpAuth.Protocol.Id.New("jti_", now));
            }),
        };
        change?.Invoke(form);
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = new FormUrlEncodedContent(form) };
        if (proof is not null)
            request.Headers.Add("DPoP", proof.Length > 0 ? proof : Proof(HttpMethod.Post, Names.Paths.Token));
        return await server.Client().SendAsync(request);
    }

    public async Task<string> FreshTokenAsync() => (await (await TokenRawAsync()).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken;

    public string Proof(HttpMethod method, string path, string? token = null, SigningKey? key = null) =>
        DpopProof.Create(key ?? Key, method.Method, new Uri(TestServer.Issuer + path), token, server.Time.GetUtcNow());

    /// <param name="path">Below <c>/admin/api</c>, with its query.</param>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, JsonNode? body = null, string? token = null, string? proof = null, string scheme = "DPoP", TestServer? at = null)
    {
        token ??= Token;
        path = Names.Paths.Admin + path;
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        if (token.Length > 0)
            request.Headers.Authorization = new AuthenticationHeaderValue(scheme, token);
        request.Headers.Add("DPoP", proof ?? Proof(method, path.Split('?')[0], token));
        return await (at ?? server).Client().SendAsync(request);
    }

    /// <summary>What is answered with 200.</summary>
    public async Task<JsonObject> GetAsync(string path) => await BodyAsync(await SendAsync(HttpMethod.Get, path));

    public async Task<JsonObject> PutAsync(string path, JsonNode body, HttpStatusCode status = HttpStatusCode.OK) => await BodyAsync(await SendAsync(HttpMethod.Put, path, body), status);

    public async Task<JsonObject> PostAsync(string path, JsonNode body) => await BodyAsync(await SendAsync(HttpMethod.Post, path, body));

    /// <returns>How many grants died.</returns>
    public async Task<long> RevokeAsync(string level, string? id = null, string reason = "an incident")
    {
        var body = new JsonObject { ["level"] = level, ["reason"] = reason };
        if (id is not null)
            body["id"] = id;
        return (long)(await PostAsync("/revocations", body))["grants"]!;
    }

    private static async Task<JsonObject> BodyAsync(HttpResponseMessage response, HttpStatusCode status = HttpStatusCode.OK)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"{(int)response.StatusCode} {text}");
        Assert.True(response.Headers.CacheControl?.NoStore);
        return JsonNode.Parse(text)!.AsObject();
    }
}

internal static class ProblemAnswers
{
    /// <summary>Asserts a problem (RFC 9457): status, form, code.</summary>
    public static async Task<JsonObject> ProblemAsync(this HttpResponseMessage response, HttpStatusCode status, string code, string? reason = null)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"expected {(int)status} {code}, got {(int)response.StatusCode} {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.True(response.Headers.CacheControl?.NoStore, "no-store is missing");
        var problem = JsonNode.Parse(text)!.AsObject();
        Assert.Equal((code, (int)status, "urn:mcpauth:problem:" + code), ((string?)problem["code"], (int?)problem["status"], (string?)problem["type"]));
        Assert.All(new[] { "title", "detail" }, member => Assert.NotEmpty((string)problem[member]!));
        Assert.True(reason is null || reason == (string?)problem["reason"], text);
        return problem;
    }
}
