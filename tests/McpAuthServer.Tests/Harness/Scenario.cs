using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Tests.Harness;

public sealed class ScenarioOptions
{
    /// <summary>Tools of the server and their sensitivity.</summary>
    public Dictionary<string, string> Tools { get; } = new() { ["list_files"] = "read", ["read_file"] = "read", ["delete_file"] = "destructive" };

    /// <summary>Members added to (or put in place of those of) the agent.</summary>
    public JsonObject Agent { get; } = [];

    /// <summary>Number of agents that the first may hand off to, each to the next.</summary>
    public int FurtherAgents { get; set; }
}

/// <summary>One tool server, a chain of agents with their clients, and a plain client with a secret; all ids end with the same unique suffix.</summary>
public sealed class Scenario
{
    private static int next;

    private Scenario(TestServer server, string suffix) => (Server, Suffix) = (server, suffix);

    public TestServer Server { get; }
    public string Suffix { get; }

    /// <summary>The owner of everything here, who can sign in.</summary>
    public TestPerson Person => new("usr_" + Suffix, $"ann-{Suffix}@people.test");
    public string ToolServer => "srv_" + Suffix;
    public string Resource => $"https://files-{Suffix}.test/mcp";
    public string EnrolmentSecret => $"enrolment-secret-of-{Suffix}-0123456789abcdef";
    public string ServiceClient => "service-" + Suffix;
    public string User => "usr_" + Suffix;

    /// <summary>A client by scope that authenticates with nothing but PKCE.</summary>
    public string PublicClient => "browser-" + Suffix;

    /// <summary>Of <see cref="PublicClient"/> and of the agents' clients; <see cref="LoopbackUri"/> is the other one.</summary>
    public string RedirectUri => $"https://client-{Suffix}.test/cb";
    public const string LoopbackUri = "http://127.0.0.1/callback";

    /// <summary>RFC 7636 §4.1; its challenge is in the requests made here.</summary>
    public string Verifier => $"verifier-of-{Suffix}-0123456789abcdefghijklmnopqrstuvwxyz";
    public string ServiceSecret => $"service-secret-of-{Suffix}-0123456789abcdef";
    public List<TestAgent> Agents { get; } = [];
    public TestAgent Agent => Agents[0];

    /// <summary>The registry file it applied.</summary>
    public JsonObject File { get; private set; } = [];

    internal static async Task<Scenario> CreateAsync(TestServer server, Action<ScenarioOptions>? configure)
    {
        var options = new ScenarioOptions();
        configure?.Invoke(options);
        var s = new Scenario(server, Interlocked.Increment(ref next).ToString(CultureInfo.InvariantCulture));
        for (var i = 0; i <= options.FurtherAgents; i++)
            s.Agents.Add(new TestAgent(s, $"agt_a{i}_{s.Suffix}", $"agent{i}-{s.Suffix}"));
        s.File = new JsonObject
        {
            ["users"] = new JsonArray(new JsonObject
            {
                ["id"] = s.Person.Id, ["name"] = "Ann", ["email"] = s.Person.Email, ["password_hash"] = TestPerson.Hash,
            }),
            ["tool_servers"] = new JsonArray(new JsonObject
            {
                ["id"] = s.ToolServer, ["resource"] = s.Resource, ["name"] = "Files", ["owner"] = s.User,
                ["enrolment_secrets"] = new JsonArray(s.EnrolmentSecret),
                ["tools"] = new JsonArray([.. options.Tools.Select(t => new JsonObject { ["name"] = t.Key, ["sensitivity"] = t.Value })]),
            }),
            ["agents"] = new JsonArray([.. s.Agents.Select((a, i) => AgentJson(s, a, i, options))]),
            ["clients"] = new JsonArray(
            [
                .. s.Agents.Select(a => new JsonObject
                {
                    ["id"] = a.ClientId, ["name"] = a.ClientId, ["agent"] = a.Id, ["auth_method"] = "private_key_jwt",
                    ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(a.ClientKey.Public.Jwk.GetRawText())) },
                    ["grant_types"] = new JsonArray("client_credentials", Names.Exchange.GrantType, "authorization_code", "refresh_token", Names.Ciba.GrantType),
                    ["redirect_uris"] = new JsonArray(s.RedirectUri, LoopbackUri),
                }),
                new JsonObject
                {
                    ["id"] = s.PublicClient, ["name"] = "Browser client", ["auth_method"] = "none", ["grant_types"] = new JsonArray("authorization_code", "refresh_token", Names.Device.GrantType),
                    ["redirect_uris"] = new JsonArray(s.RedirectUri, LoopbackUri),
                },
                new JsonObject
                {
                    ["id"] = s.ServiceClient, ["name"] = "Service", ["auth_method"] = "client_secret_basic", ["secret"] = s.ServiceSecret,
                    ["grant_types"] = new JsonArray("client_credentials"), ["authority"] = s.Details([.. options.Tools.Where(t => t.Value == "read").Select(t => t.Key)]),
                },
            ]),
        };
        await server.ApplyAsync(s.File.ToJsonString());
        return s;
    }

    private static JsonObject AgentJson(Scenario s, TestAgent agent, int index, ScenarioOptions options)
    {
        var json = new JsonObject
        {
            ["id"] = agent.Id, ["name"] = agent.Id, ["owner"] = s.User, ["purpose"] = "testing", ["ceiling"] = s.Details([.. options.Tools.Keys]),
            ["hand_off_to"] = index < options.FurtherAgents ? new JsonArray(s.Agents[index + 1].Id) : [],
        };
        foreach (var (name, value) in options.Agent)
            json[name] = value?.DeepClone();
        return json;
    }

    /// <summary><c>authorization_details</c> for these tools, any arguments; <paramref name="task"/> becomes the <c>task</c> member.</summary>
    public JsonArray Details(string[] tools, JsonObject? task = null)
    {
        var entry = new JsonObject
        {
            ["type"] = "mcp_tool_call", ["locations"] = new JsonArray(Resource), ["actions"] = new JsonArray("tools/call"),
            ["tools"] = new JsonObject(tools.Select(t => KeyValuePair.Create(t, (JsonNode?)new JsonObject()))),
        };
        if (task is not null)
            entry["task"] = task;
        return [entry];
    }

    /// <summary>
    /// The query of a valid authorization request of the public client: by scope, <c>tools:read</c>. <paramref name="change"/> replaces, adds or
    /// (null) removes parameters.
    /// </summary>
    public string AuthorizeQuery(Dictionary<string, string?>? change = null)
    {
        var all = new Dictionary<string, string?>
        {
            ["response_type"] = "code", ["client_id"] = PublicClient, ["redirect_uri"] = RedirectUri, ["state"] = "state-" + Suffix,
            ["code_challenge"] = Base64Url.Sha256(Verifier), ["code_challenge_method"] = "S256", ["resource"] = Resource, ["scope"] = Names.Scopes.ToolsRead,
        };
        foreach (var (name, value) in change ?? [])
            all[name] = value;
        return string.Join('&', all.Where(p => p.Value is not null).Select(p => $"{p.Key}={Uri.EscapeDataString(p.Value!)}"));
    }

    /// <summary>The same of an agent's client, that a person hands <paramref name="details"/> (with their task's purpose) to the agent.</summary>
    public string AuthorizeQuery(TestAgent agent, JsonArray details, Dictionary<string, string?>? change = null)
    {
        var all = new Dictionary<string, string?> { ["client_id"] = agent.ClientId, ["resource"] = null, ["scope"] = null, ["authorization_details"] = details.ToJsonString() };
        foreach (var (name, value) in change ?? [])
            all[name] = value;
        return AuthorizeQuery(all);
    }

    /// <summary>The first agent, for a new task with this purpose.</summary>
    public string AuthorizeQuery(string purpose, params string[] tools) => AuthorizeQuery(Agent, Details(tools, new JsonObject { ["purpose"] = purpose }));

    /// <summary>A token by scope for the plain client.</summary>
    public async Task<HttpResponseMessage> ServiceTokenAsync(string? scope = null, Action<Dictionary<string, string>>? change = null)
    {
        var form = new Dictionary<string, string> { ["grant_type"] = "client_credentials", ["resource"] = Resource };
        if (scope is not null)
            form["scope"] = scope;
        change?.Invoke(form);
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{ServiceClient}:{ServiceSecret}")));
        return await Server.Client().SendAsync(request);
    }
}

/// <summary>An agent's side of the protocol, raw enough that a test can spoil any part of it.</summary>
public sealed class TestAgent(Scenario scenario, string id, string clientId)
{
    public string Id { get; } = id;
    public string ClientId { get; } = clientId;

    /// <summary>The client's key: evidence.</summary>
    public SigningKey ClientKey { get; } = SigningKey.Create();

    /// <summary>The instance's key.</summary>
    public SigningKey Key { get; set; } = SigningKey.Create();
    public string? Instance { get; private set; }
    public string InstanceToken { get; private set; } = "";

    private TestServer Server => scenario.Server;

    /// <summary>A client assertion; <paramref name="claims"/> replaces, adds or (null) removes claims.</summary>
    public string Assertion(Dictionary<string, object?>? claims = null, string type = Names.Types.ClientAuthentication, SigningKey? key = null)
    {
        var now = Server.Time.GetUtcNow();
        var all = new Dictionary<string, object?>
        {
            ["iss"] = ClientId, ["sub"] = ClientId, ["aud"] = TestServer.Issuer, ["iat"] = now.ToUnixTimeSeconds(), ["exp"] = now.AddMinutes(1).ToUnixTimeSeconds(),
            ["jti"] = McpAuth.Protocol.Id.New("jti_", now),
        };
        foreach (var (name, value) in claims ?? [])
            all[name] = value;
        return (key ?? ClientKey).Sign(type, json =>
        {
            foreach (var (name, value) in all)
                if (value is not null)
                {
                    json.WritePropertyName(name);
                    JsonSerializer.Serialize(json, value);
                }
        });
    }

    public string Proof(HttpMethod method, string path, string? token = null, SigningKey? key = null, string? nonce = null) =>
        DpopProof.Create(key ?? Key, method.Method, new Uri(TestServer.Issuer + path), token, Server.Time.GetUtcNow(), nonce);

    public Dictionary<string, string> AssertionForm() => new()
    {
        [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer, [Names.ClientAssertion.Parameter] = Assertion(),
    };

    /// <summary>Posts a form with (unless null) a proof, which by default is fresh and by <see cref="Key"/>.</summary>
    public async Task<HttpResponseMessage> PostFormAsync(string path, Dictionary<string, string> form, string? proof = "", HttpClient? client = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(form) };
        if (proof is not null)
            request.Headers.Add("DPoP", proof.Length > 0 ? proof : Proof(HttpMethod.Post, path));
        return await (client ?? Server.Client()).SendAsync(request);
    }

    public Task<HttpResponseMessage> AttestRawAsync(Dictionary<string, string>? form = null, string? proof = "") =>
        PostFormAsync(Names.Paths.Instances, form ?? AssertionForm(), proof);

    /// <param name="nonce">Of the proof.</param>
    public async Task AttestAsync(string? nonce = null)
    {
        var response = await (await AttestRawAsync(null, Proof(HttpMethod.Post, Names.Paths.Instances, nonce: nonce))).ReadAsync(ProtocolJson.Default.InstanceResponse);
        (Instance, InstanceToken) = (response.Instance, response.AccessToken);
    }

    /// <summary>Attests as another copy: the key of an ended one is used up.</summary>
    public Task RenewKeyAsync()
    {
        Key = SigningKey.Create();
        return AttestAsync();
    }

    /// <summary>Calls one of the server's own APIs with the instance token.</summary>
    public async Task<HttpResponseMessage> CallAsync(HttpMethod method, string path, JsonNode? body = null, string? token = null, string? proof = null)
    {
        token ??= InstanceToken;
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        request.Headers.Authorization = new AuthenticationHeaderValue("DPoP", token);
        request.Headers.Add("DPoP", proof ?? Proof(method, path, token));
        return await Server.Client().SendAsync(request);
    }

    public Task<HttpResponseMessage> BeginTaskRawAsync(JsonArray details, string purpose = "a task", Action<JsonObject>? change = null)
    {
        var body = new JsonObject { ["purpose"] = purpose, ["authorization_details"] = details };
        change?.Invoke(body);
        return CallAsync(HttpMethod.Post, Names.Paths.Tasks, body);
    }

    public async Task<string> BeginTaskAsync(params string[] tools) =>
        (await (await BeginTaskRawAsync(scenario.Details(tools))).ReadAsync(ProtocolJson.Default.TaskView)).Id;

    /// <summary>The form of an exchange; without <paramref name="subject"/> the instance token stands alone.</summary>
    public Dictionary<string, string> ExchangeForm(string? subject = null, bool withActor = false, JsonArray? details = null)
    {
        var form = AssertionForm();
        form["grant_type"] = Names.Exchange.GrantType;
        form["subject_token"] = subject ?? InstanceToken;
        form["subject_token_type"] = Names.Exchange.AccessTokenType;
        form["resource"] = scenario.Resource;
        if (withActor)
            (form["actor_token"], form["actor_token_type"]) = (InstanceToken, Names.Exchange.AccessTokenType);
        if (details is not null)
            form["authorization_details"] = details.ToJsonString();
        return form;
    }

    public Task<HttpResponseMessage> ExchangeRawAsync(Dictionary<string, string> form, string? proof = "") => PostFormAsync(Names.Paths.Token, form, proof);

    /// <summary>A token for a running task of this agent.</summary>
    public async Task<TokenResponse> TaskTokenAsync(string task, params string[] tools) =>
        await (await ExchangeRawAsync(ExchangeForm(details: scenario.Details(tools, new JsonObject { ["id"] = task })))).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>Takes over from another agent's task token.</summary>
    public Task<HttpResponseMessage> TakeOverRawAsync(string subject, JsonArray? details = null) =>
        ExchangeRawAsync(ExchangeForm(subject, withActor: true, details));

    public async Task<TokenResponse> TakeOverAsync(string subject, JsonArray? details = null) =>
        await (await TakeOverRawAsync(subject, details)).ReadAsync(ProtocolJson.Default.TokenResponse);
}
