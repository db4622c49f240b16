using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Tests.Harness;

/// <summary>A guard's side of its channels, raw enough that a test can spoil any part of it.</summary>
public sealed class TestGuard(Scenario scenario)
{
    private string previous = "";

    public SigningKey Key { get; } = SigningKey.Create();
    public string Id { get; private set; } = "";
    public string Token { get; set; } = "";
    public EnrollResponse Enrolled { get; private set; } = null!;

    /// <summary>The last entry's place in the spool.</summary>
    public long Spooled { get; private set; }

    /// <summary>An enrolled guard with a token.</summary>
    public static async Task<TestGuard> OfAsync(Scenario scenario)
    {
        var guard = new TestGuard(scenario);
        await guard.EnrollAsync();
        await guard.AuthenticateAsync();
        return guard;
    }

    public JsonObject EnrollBody(string? secret = null) => new()
    {
        ["resource"] = scenario.Resource, ["enrolment_secret"] = secret ?? scenario.EnrolmentSecret, ["jwk"] = JsonNode.Parse(Key.Public.Jwk.GetRawText()),
    };

    public Task<HttpResponseMessage> EnrollRawAsync(JsonNode? body = null, HttpClient? client = null) =>
        (client ?? scenario.Server.Client()).PostAsync(Names.Paths.GuardEnroll, JsonContent.Create(body ?? EnrollBody()));

    public async Task EnrollAsync(JsonNode? body = null)
    {
        Enrolled = await (await EnrollRawAsync(body)).ReadAsync(ProtocolJson.Default.EnrollResponse);
        Id = Enrolled.GuardId;
        previous = Base64Url.Sha256(Id);
    }

    public string Assertion(TestServer? node = null)
    {
        var now = (node ?? scenario.Server).Time.GetUtcNow();
        return Key.Sign(Names.Types.ClientAuthentication, json =>
        {
            json.WriteString("iss", Id);
            json.WriteString("sub", Id);
            json.WriteString("aud", TestServer.Issuer);
            json.WriteNumber("exp", now.AddMinutes(1).ToUnixTimeSeconds());
            json.WriteString("jti", McpAuth.Protocol.Id.New("jti_", now));
        });
    }

    public string Proof(string path, string? token = null, SigningKey? key = null, HttpMethod? method = null, string? nonce = null) =>
        DpopProof.Create(key ?? Key, (method ?? HttpMethod.Post).Method, new Uri(TestServer.Issuer + path), token, scenario.Server.Time.GetUtcNow(), nonce);

    public async Task<HttpResponseMessage> TokenRawAsync(string? nonce = null, string? assertion = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string>
            {
                ["grant_type"] = "client_credentials", ["resource"] = TestServer.Issuer + Names.Paths.GuardAudience,
                [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer, [Names.ClientAssertion.Parameter] = assertion ?? Assertion(),
            }),
        };
        request.Headers.Add("DPoP", Proof(Names.Paths.Token, nonce: nonce));
        return await scenario.Server.Client().SendAsync(request);
    }

    public async Task AuthenticateAsync(string? nonce = null) => Token = (await (await TokenRawAsync(nonce)).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken;

    /// <summary>An exchange of a token that the tool server was called with, for one of its tools; <paramref name="change"/> spoils the form.</summary>
    public async Task<HttpResponseMessage> DownstreamRawAsync(string subject, string tool, string resource, Action<Dictionary<string, string>>? change = null, string? proof = "")
    {
        var form = new Dictionary<string, string>
        {
            ["grant_type"] = Names.Exchange.GrantType, ["subject_token"] = subject, ["subject_token_type"] = Names.Exchange.AccessTokenType, ["resource"] = resource,
            [Names.Exchange.Tool] = tool, [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer, [Names.ClientAssertion.Parameter] = Assertion(),
        };
        change?.Invoke(form);
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = new FormUrlEncodedContent(form) };
        if (proof is not null)
            request.Headers.Add("DPoP", proof.Length > 0 ? proof : Proof(Names.Paths.Token));
        return await scenario.Server.Client().SendAsync(request);
    }

    public async Task<TokenResponse> DownstreamAsync(string subject, string tool, string resource, Action<Dictionary<string, string>>? change = null) =>
        await (await DownstreamRawAsync(subject, tool, resource, change)).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>Calls a channel; <paramref name="content"/> null is an empty body.</summary>
    public async Task<HttpResponseMessage> SendAsync(string path, HttpContent? content, HttpClient? client = null, string? proof = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("DPoP", Token);
        request.Headers.Add("DPoP", proof ?? Proof(path, Token));
        return await (client ?? scenario.Server.Client()).SendAsync(request);
    }

    public Task<HttpResponseMessage> CallAsync(string path, JsonNode? body, HttpClient? client = null) =>
        SendAsync(path, body is null ? null : JsonContent.Create(body), client);

    public Task<HttpResponseMessage> IntrospectRawAsync(string token, HttpClient? client = null) =>
        SendAsync(Names.Paths.Introspect, new FormUrlEncodedContent([KeyValuePair.Create("token", token)]), client);

    /// <summary>The whole answer of introspection.</summary>
    public async Task<JsonElement> IntrospectAsync(string token, HttpClient? client = null)
    {
        var response = await IntrospectRawAsync(token, client);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {text}");
        return JsonElement.Parse(text);
    }

    /// <summary>Whether introspection calls it active; an inactive answer must say nothing else.</summary>
    public async Task<bool> IsActiveAsync(string token, HttpClient? client = null)
    {
        var answer = await IntrospectAsync(token, client);
        if (answer.GetProperty("active").GetBoolean())
            return true;
        // RFC 7662 §2.2: an inactive token's answer gives no more.
        Assert.Single(answer.EnumerateObject());
        return false;
    }

    public async Task<StreamResponse> OpenStreamAsync(HttpClient? client = null) =>
        await (await CallAsync(Names.Paths.GuardStreams, null, client)).ReadAsync(ProtocolJson.Default.StreamResponse);

    public Task<HttpResponseMessage> PollRawAsync(string stream, long after, int max = 100, bool immediately = true, HttpClient? client = null) =>
        CallAsync(Names.Paths.GuardRevocations, new JsonObject { ["stream"] = stream, ["after"] = after, ["maxEvents"] = max, ["returnImmediately"] = immediately }, client);

    public async Task<RevocationsResponse> PollAsync(string stream, long after, int max = 100, bool immediately = true, HttpClient? client = null) =>
        await (await PollRawAsync(stream, after, max, immediately, client)).ReadAsync(ProtocolJson.Default.RevocationsResponse);

    public async Task<BudgetResponse> SpendAsync(string jti, string tool, int calls = 1, HttpClient? client = null, int? upTo = null)
    {
        var body = new JsonObject { ["jti"] = jti, ["tool"] = tool, ["calls"] = calls };
        if (upTo is not null)
            body["up_to"] = upTo;
        return await (await CallAsync(Names.Paths.GuardBudgets, body, client)).ReadAsync(ProtocolJson.Default.BudgetResponse);
    }

    /// <returns>How many calls may be spent again.</returns>
    public async Task<long> ReturnAsync(string lease, int unused, HttpClient? client = null) => (await (await CallAsync(
        Names.Paths.GuardBudgetReturns, new JsonObject { ["leases"] = new JsonArray(new JsonObject { ["lease"] = lease, ["unused"] = unused }) }, client))
        .ReadAsync(ProtocolJson.Default.BudgetReturnsResponse)).Returned;

    /// <summary>The next entry of the spool, chained as documented: hash(n) = SHA-256(hash(n-1) ‖ canonical event n).</summary>
    public JsonObject Spool(JsonObject e)
    {
        var entry = new JsonObject { ["seq"] = ++Spooled, ["prev"] = previous, ["event"] = e };
        Assert.True(Base64Url.TryDecode(previous, out var above));
        previous = Base64Url.Encode(SHA256.HashData([.. above, .. CanonicalJson.ToBytes(JsonElement.Parse(e.ToJsonString()))]));
        return entry;
    }

    /// <summary>What a guard says of a call.</summary>
    public JsonObject Event(string? jti, string type = AuditTypes.CallDecided, string? id = null)
    {
        var now = scenario.Server.Time.GetUtcNow();
        var e = new JsonObject
        {
            ["id"] = id ?? McpAuth.Protocol.Id.New(type == AuditTypes.CallDecided ? McpAuth.Protocol.Id.Decision : McpAuth.Protocol.Id.Event, now), ["time"] = now.ToUnixTimeMilliseconds(), ["type"] = type, ["outcome"] = "allow",
            ["tool"] = "read_file",
        };
        if (jti is not null)
            e["jti"] = jti;
        return e;
    }

    public Task<HttpResponseMessage> DeliverRawAsync(params JsonObject[] entries) =>
        CallAsync(Names.Paths.GuardAudit, new JsonObject { ["entries"] = new JsonArray([.. entries.Select(e => e.DeepClone())]) });

    public async Task<long> DeliverAsync(params JsonObject[] entries) =>
        (await (await DeliverRawAsync(entries)).ReadAsync(ProtocolJson.Default.GuardAuditResponse)).Acknowledged;
}
