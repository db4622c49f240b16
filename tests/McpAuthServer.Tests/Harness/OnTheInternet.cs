using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Harness;

/// <summary>A server that sees <see cref="TestInternet"/>.</summary>
public sealed class OnTheInternet : IAsyncLifetime
{
    private static int next;

    public TestInternet Internet { get; } = new();
    public TestServer Server { get; } = new();

    public async Task InitializeAsync()
    {
        Server.Replace = services => services.AddSingleton(Internet.Network);
        await Server.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        await Internet.DisposeAsync();
    }

    /// <summary>A client with a document of its own, at a host of its own.</summary>
    internal DocumentClient Client(Scenario scenario, Action<JsonObject>? change = null)
    {
        var client = new DocumentClient(scenario, $"https://d{Interlocked.Increment(ref next)}.client.test/client.json", Internet);
        client.Publish(change);
        return client;
    }

    /// <summary>What a test may count: looked-up names, connections, requests.</summary>
    public (int Asked, int Connected, int Requested) Contacts => (Internet.Asked.Count, Internet.Connected.Count, Internet.Requested.Count);
}

/// <summary>A program that is known by its document.</summary>
internal sealed class DocumentClient(Scenario scenario, string id, TestInternet internet)
{
    public Scenario Scenario => scenario;
    public string Id => id;
    public string Host => new Uri(id).Host;
    public string RedirectUri => $"https://{Host}/cb";
    public string KeySet => $"https://{Host}/jwks.json";
    public SigningKey Key { get; set; } = SigningKey.Create();

    /// <summary>Puts the document in its place; <paramref name="change"/> alters what it says by default.</summary>
    public void Publish(Action<JsonObject>? change = null, string? cacheControl = null)
    {
        var document = new JsonObject
        {
            ["client_id"] = id, ["client_name"] = "Program of " + Host, ["redirect_uris"] = new JsonArray(RedirectUri, "http://localhost/callback"),
            ["grant_types"] = new JsonArray("authorization_code", "refresh_token"), ["response_types"] = new JsonArray("code"), ["token_endpoint_auth_method"] = "none",
        };
        change?.Invoke(document);
        internet.Put(id, document.ToJsonString(), cacheControl);
    }

    public void PublishKeys(params SigningKey[] keys) =>
        internet.Put(KeySet, new JsonObject { ["keys"] = new JsonArray([.. keys.Select(k => JsonNode.Parse(k.Public.Jwk.GetRawText()))]) }.ToJsonString());

    /// <summary>It authenticates with a key, inline.</summary>
    public static Action<JsonObject> WithKey(SigningKey key) => document =>
    {
        document["token_endpoint_auth_method"] = "private_key_jwt";
        document["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(key.Public.Jwk.GetRawText())) };
    };

    public string Query(Dictionary<string, string?>? change = null)
    {
        var all = new Dictionary<string, string?> { ["client_id"] = id, ["redirect_uri"] = RedirectUri };
        foreach (var (name, value) in change ?? [])
            all[name] = value;
        return scenario.AuthorizeQuery(all);
    }

    public Dictionary<string, string> Assertion(string? audience = null, SigningKey? key = null)
    {
        var now = scenario.Server.Time.GetUtcNow();
        return new()
        {
            [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer,
            [Names.ClientAssertion.Parameter] = (key ?? Key).Sign(Names.Types.ClientAuthentication, json =>
            {
                json.WriteString("iss", id);
                json.WriteString("sub", id);
                json.WriteString("aud", audience ?? TestServer.Issuer);
                json.WriteNumber("exp", now.AddMinutes(1).ToUnixTimeSeconds());
                json.WriteString("jti", McpAuth.Protocol.Id.New("jti_", now));
            }),
        };
    }

    public async Task<HttpResponseMessage> RedeemRawAsync(string code, Dictionary<string, string>? more = null) => await PostAsync(new(more ?? [])
    {
        ["grant_type"] = "authorization_code", ["code"] = code, ["code_verifier"] = scenario.Verifier, ["client_id"] = id,
    });

    public async Task<HttpResponseMessage> RefreshRawAsync(string token, Dictionary<string, string>? more = null) =>
        await PostAsync(new(more ?? []) { ["grant_type"] = "refresh_token", ["refresh_token"] = token, ["client_id"] = id });

    /// <summary>From the request to the tokens, by a person who allows all of it.</summary>
    public async Task<TokenResponse> TokensAsync(PersonFlow person, Dictionary<string, string>? more = null) =>
        await (await RedeemRawAsync(await person.CodeAsync(Query()), more)).ReadAsync(ProtocolJson.Default.TokenResponse);

    private async Task<HttpResponseMessage> PostAsync(Dictionary<string, string> form)
    {
        using var content = new FormUrlEncodedContent(form);
        return await scenario.Server.Client().PostAsync(Names.Paths.Token, content);
    }
}
