using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Policies;

/// <summary>A tool server whose guard has told its tools, and somebody who writes policies for it.</summary>
internal sealed class PolicyWorld
{
    private const string Schema = """{"type":"object","properties":{"path":{"type":"string"},"size":{"type":"integer"}},"required":["path"]}""";

    private PolicyWorld(Scenario scenario, TestGuard guard, TestAdministrator ops) => (S, Guard, Ops) = (scenario, guard, ops);

    public Scenario S { get; }
    public TestGuard Guard { get; }
    public TestAdministrator Ops { get; }
    private string Collection => $"/tool-servers/{S.ToolServer}/policies";

    public static async Task<PolicyWorld> OfAsync(TestServer server, Action<ScenarioOptions>? configure = null)
    {
        var s = await server.ScenarioAsync(configure);
        var world = new PolicyWorld(s, await TestGuard.OfAsync(s), await TestAdministrator.OfAsync(server));
        await world.ReportAsync([.. s.File["tool_servers"]![0]!["tools"]!.AsArray().Select(t => (string)t!["name"]!)]);
        return world;
    }

    public Task<HttpResponseMessage> ReportAsync(params string[] tools) => Guard.CallAsync(Names.Paths.GuardManifest, new JsonObject
    {
        ["tools"] = new JsonArray([.. tools.Select(t => new JsonObject { ["name"] = t, ["definition"] = new JsonObject { ["name"] = t, ["inputSchema"] = JsonNode.Parse(Schema) } })]),
    });

    /// <summary>A new version, sound or not.</summary>
    public async Task<JsonObject> DraftAsync(string policies, JsonArray? tests = null)
    {
        var body = new JsonObject { ["policies"] = policies };
        if (tests is not null)
            body["tests"] = tests;
        var response = await Ops.SendAsync(HttpMethod.Post, Collection, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.Created, text);
        return JsonNode.Parse(text)!.AsObject();
    }

    public Task<HttpResponseMessage> MoveAsync(JsonObject version, string verb, TestServer? at = null) =>
        Ops.SendAsync(HttpMethod.Post, $"{Collection}/{version["version"]}/{verb}", new JsonObject(), at: at);

    /// <summary>A version that decides from now on.</summary>
    public async Task<JsonObject> ActivateAsync(string policies, TestServer? at = null)
    {
        var draft = await DraftAsync(policies);
        var moved = await MoveAsync(draft, "activate", at);
        Assert.True(moved.IsSuccessStatusCode, await moved.Content.ReadAsStringAsync());
        return draft;
    }

    public Task<JsonObject> ShowAsync(JsonObject version) => Ops.GetAsync($"{Collection}/{version["version"]}");

    public Task<JsonObject> GetAsync(string below) => Ops.GetAsync(Collection + below);

    /// <summary>What the guard gets.</summary>
    public async Task<HttpResponseMessage> FetchRawAsync(string? seen = null, TestServer? at = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Names.Paths.GuardPolicy);
        request.Headers.Authorization = new AuthenticationHeaderValue("DPoP", Guard.Token);
        request.Headers.Add("DPoP", Guard.Proof(Names.Paths.GuardPolicy, Guard.Token, method: HttpMethod.Get));
        if (seen is not null)
            request.Headers.TryAddWithoutValidation("If-None-Match", seen);
        return await (at ?? S.Server).Client().SendAsync(request);
    }

    public async Task<Fetched> FetchAsync(TestServer? at = null)
    {
        var response = await FetchRawAsync(at: at);
        var answer = await response.ReadAsync(ProtocolJson.Default.PolicyResponse);
        return new(answer, Answers.Claims(answer.Signed), response.Headers.ETag!.ToString());
    }

    internal sealed record Fetched(PolicyResponse Answer, System.Text.Json.JsonElement Claims, string Tag)
    {
        public long Version => Claims.GetProperty(PolicyClaims.Version).GetInt64();
        public long Manifest => Claims.GetProperty(PolicyClaims.Manifest).GetInt64();
        public string Hash => Claims.GetProperty(PolicyClaims.Hash).GetString()!;
        public PolicyRelease Release => System.Text.Json.JsonSerializer.Deserialize(Answer.Release, ProtocolJson.Default.PolicyRelease)!;
        public StrictJwt Jwt => StrictJwt.Read(Answer.Signed, new JwtRules("policy", [Names.Types.Policy], true, ["ES256"])).Value;
    }
}
