using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Tests.Harness;

/// <summary>An enterprise's identity provider that speaks for people to two clients of a scenario: a shared program, and the software of the first agent.</summary>
/// <param name="internet">Where it publishes its keys; null = they are registered.</param>
public sealed class TestProvider(Scenario scenario, TestInternet? internet = null)
{
    private const string Basic = "Basic";

    public string Id => "idp_" + scenario.Suffix;
    public string Issuer => $"https://idp-{scenario.Suffix}.client.test";
    public string KeySet => Issuer + "/keys";
    public SigningKey Key { get; set; } = SigningKey.Create("RS256");

    /// <summary>A program with a secret that is no agent.</summary>
    public string Desk => "desk-" + scenario.Suffix;
    public string DeskSecret => $"desk-secret-of-{scenario.Suffix}-0123456789abcdef";

    /// <summary>The scenario's person there.</summary>
    public string Subject => "00u" + scenario.Suffix;

    /// <summary>Its entry of a registry file: it speaks for the scenario's person to both clients.</summary>
    public JsonObject Entry(Action<JsonObject>? change = null)
    {
        var entry = new JsonObject
        {
            ["id"] = Id, ["name"] = "Corporate identity", ["issuer"] = Issuer, ["clients"] = new JsonArray(Desk, scenario.Agent.ClientId),
            ["links"] = new JsonArray(new JsonObject { ["subject"] = Subject, ["user"] = scenario.User }),
        };
        if (internet is null)
            entry["jwks"] = Keys(Key);
        else
            entry["jwks_uri"] = KeySet;
        change?.Invoke(entry);
        return entry;
    }

    public async Task RegisterAsync(Action<JsonObject>? change = null, Action<JsonObject>? desk = null)
    {
        if (internet is not null)
            Publish(Key);
        var program = new JsonObject
        {
            ["id"] = Desk, ["name"] = "Desk", ["auth_method"] = "client_secret_basic", ["secret"] = DeskSecret, ["grant_types"] = new JsonArray(Names.Assertions.JwtBearer),
        };
        desk?.Invoke(program);
        var agent = scenario.File["clients"]!.AsArray().First(c => (string?)c!["id"] == scenario.Agent.ClientId)!.DeepClone();
        agent["grant_types"]!.AsArray().Add(Names.Assertions.JwtBearer);
        await scenario.Server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(program, agent), ["identity_providers"] = new JsonArray(Entry(change)) }.ToJsonString());
    }

    /// <summary>The entry as it is now, and nothing else.</summary>
    public Task ApplyAsync(Action<JsonObject>? change = null) => scenario.Server.ApplyAsync(new JsonObject { ["identity_providers"] = new JsonArray(Entry(change)) }.ToJsonString());

    public void Publish(params SigningKey[] keys) => internet!.Put(KeySet, Keys(keys).ToJsonString());

    public void IsDown() => internet!.Places[KeySet["https://".Length..]] = TestPlace.Of(503, "", []);

    public static JsonObject Keys(params SigningKey[] keys) => new() { ["keys"] = new JsonArray([.. keys.Select(k => JsonNode.Parse(k.Public.Jwk.GetRawText()))]) };

    /// <summary>The claims of a right assertion: <c>tools:read</c> at the scenario's tool server, for its person, to the shared program.</summary>
    public JsonObject Claims(Action<JsonObject>? change = null)
    {
        var now = scenario.Server.Time.GetUtcNow();
        var claims = new JsonObject
        {
            ["iss"] = Issuer, ["sub"] = Subject, ["aud"] = TestServer.Issuer, ["client_id"] = Desk, ["jti"] = McpAuth.Protocol.Id.New("jag_", now),
            ["iat"] = now.ToUnixTimeSeconds(), ["exp"] = now.AddMinutes(5).ToUnixTimeSeconds(), ["auth_time"] = now.AddMinutes(-3).ToUnixTimeSeconds(),
            ["resource"] = scenario.Resource, ["scope"] = Names.Scopes.ToolsRead,
        };
        change?.Invoke(claims);
        return claims;
    }

    public string Assertion(Action<JsonObject>? change = null, SigningKey? key = null, string type = Names.IdJag.Type) => (key ?? Key).Sign(type, json =>
    {
        foreach (var (name, value) in Claims(change))
        {
            json.WritePropertyName(name);
            if (value is null)
                json.WriteNullValue();
            else
                value.WriteTo(json);
        }
    });

    /// <summary>An assertion to the agent's software.</summary>
    public string ForAgent(Action<JsonObject>? change = null) => Assertion(claims =>
    {
        claims["client_id"] = scenario.Agent.ClientId;
        change?.Invoke(claims);
    });

    /// <summary>The shared program redeems it. <paramref name="change"/> alters the form.</summary>
    /// <param name="secret">Null: it does not authenticate.</param>
    public async Task<HttpResponseMessage> RedeemRawAsync(
        string? assertion = null, Action<Dictionary<string, string>>? change = null, HttpClient? node = null, string? proof = null, string? secret = "")
    {
        var form = new Dictionary<string, string> { ["grant_type"] = Names.Assertions.JwtBearer, ["assertion"] = assertion ?? Assertion() };
        change?.Invoke(form);
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = new FormUrlEncodedContent(form) };
        if (secret is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue(Basic, Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Desk}:{(secret.Length > 0 ? secret : DeskSecret)}")));
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        return await (node ?? scenario.Server.Client()).SendAsync(request);
    }

    public async Task<TokenResponse> RedeemAsync(Action<JsonObject>? claims = null, Action<Dictionary<string, string>>? change = null) =>
        await (await RedeemRawAsync(Assertion(claims), change)).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>The agent's software redeems one, for a task with these tools; by default a new one, proven by its instance's key.</summary>
    public Task<HttpResponseMessage> WorkRawAsync(
        string? assertion = null, string[]? tools = null, JsonObject? task = null, Action<Dictionary<string, string>>? change = null, string? proof = "", HttpClient? node = null)
    {
        var form = scenario.Agent.AssertionForm();
        (form["grant_type"], form["assertion"]) = (Names.Assertions.JwtBearer, assertion ?? ForAgent());
        form["authorization_details"] = scenario.Details(tools ?? ["read_file"], task ?? new JsonObject { ["purpose"] = "summarise March" }).ToJsonString();
        change?.Invoke(form);
        return scenario.Agent.PostFormAsync(Names.Paths.Token, form, proof, node);
    }

    public async Task<TokenResponse> WorkAsync(Action<JsonObject>? claims = null, string[]? tools = null, JsonObject? task = null) =>
        await (await WorkRawAsync(ForAgent(claims), tools, task)).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>Who is here, by whom, and what enterprises allow: a refused request changes nothing of it.</summary>
    public static async Task<(long Users, long Links, long Consents, long Members)> PeopleAsync(TestServer server) => (
        await server.ScalarAsync("select count(*) from users"), await server.ScalarAsync("select count(*) from identities"),
        await server.ScalarAsync("select count(*) from consents"), await server.ScalarAsync("select count(*) from group_members"));
}
