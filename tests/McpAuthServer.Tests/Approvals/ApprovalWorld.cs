using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.CallApprovals;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Policies;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace McpAuthServer.Tests.Approvals;

/// <summary>An agent that works for a person, and the guard that holds its calls.</summary>
internal sealed class ApprovalWorld
{
    public const string Tool = "delete_file", Arguments = """{"path":"/a/b"}""";

    private ApprovalWorld(PolicyWorld policies) => Policies = policies;

    public PolicyWorld Policies { get; }
    public Scenario S => Policies.S;
    public TestGuard Guard => Policies.Guard;
    public TestServer Server => S.Server;

    /// <summary>The agent's token for a task of the person.</summary>
    public TokenResponse Token { get; private set; } = null!;
    public string Hash { get; set; } = "";
    public string Digest { get; private set; } = "";
    public string Jti => JtiOf(Token);
    public string Task => TaskOf(Token);

    public static async Task<ApprovalWorld> OfAsync(TestServer server, Action<ScenarioOptions>? configure = null)
    {
        var world = new ApprovalWorld(await PolicyWorld.OfAsync(server, configure));
        await world.S.Agent.AttestAsync();
        world.Token = await world.WorkAsync("Tidy the archive");
        world.Hash = (await world.Policies.FetchAsync()).Hash;
        world.Digest = (await server.TextsAsync($"select digest from tools where tool_server = '{world.S.ToolServer}' and name = '{Tool}'")).Single();
        return world;
    }

    public static string JtiOf(TokenResponse token) => token.Jti();

    public static string TaskOf(TokenResponse token) => token.Task();

    /// <summary>A token for a new task that the person hands to the agent.</summary>
    public async Task<TokenResponse> WorkAsync(string purpose)
    {
        var delegation = await new PersonFlow(S).DelegateAsync(purpose, "read_file", Tool);
        return await (await S.Agent.ExchangeRawAsync(S.Agent.ExchangeForm(delegation.AccessToken, withActor: true))).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    /// <summary>What the guard sends for a call, right in everything but what a test changes.</summary>
    public JsonObject Body(string arguments = Arguments, string? jti = null, string? decision = null, string tool = Tool, Action<JsonObject>? change = null)
    {
        decision ??= Id.New(Id.Decision, Server.Time.GetUtcNow());
        var canonical = CanonicalJson.ToBytes(JsonElement.Parse(arguments));
        var body = new JsonObject
        {
            ["decision"] = decision, ["jti"] = jti ?? Jti, ["tool"] = tool, ["def_digest"] = Digest, ["args_digest"] = new ArgumentDigest(Guard.Enrolled.ArgsKey).Of(canonical),
            ["arguments"] = new SealedRequest(Guard.Enrolled.ArgsKey, SealedRequest.ForApproval).Seal(decision, canonical), ["policy_hash"] = Hash,
        };
        change?.Invoke(body);
        return body;
    }

    public Task<HttpResponseMessage> HoldRawAsync(JsonObject body, TestServer? at = null) => Guard.CallAsync(Names.Paths.GuardApprovals, body, at?.Client());

    public async Task<ApprovalResponse> HoldAsync(string arguments = Arguments, string? jti = null, string? decision = null, Action<JsonObject>? change = null, TestServer? at = null) =>
        await (await HoldRawAsync(Body(arguments, jti, decision, change: change), at)).ReadAsync(ProtocolJson.Default.ApprovalResponse);

    /// <summary>Held, and waiting.</summary>
    public async Task<string> AskAsync(string arguments = Arguments, string? jti = null)
    {
        var answer = await HoldAsync(arguments, jti);
        Assert.True(answer.State == ApprovalStates.Waiting, $"{answer.State} {answer.Reason}");
        return answer.Id!;
    }

    public static string Path(string id) => $"{Names.Paths.Approvals}/{id}";

    /// <summary>The person's answer, on the page.</summary>
    public static async Task<TestPage> AnswerAsync(TestBrowser browser, string id, string decision = "approve")
    {
        var page = await browser.GetAsync(Path(id));
        Assert.True(page.Status == HttpStatusCode.OK, page.Html);
        return await browser.PostFormAsync(page, new() { ["decision"] = decision });
    }

    /// <summary>The call waits, and the person says yes.</summary>
    public async Task<string> ApprovedAsync(string arguments = Arguments)
    {
        var id = await AskAsync(arguments);
        Assert.Equal(HttpStatusCode.SeeOther, (await AnswerAsync(await BrowserAsync(), id)).Status);
        return id;
    }

    public async Task<TestBrowser> BrowserAsync(TestPerson? person = null, TestServer? at = null)
    {
        var browser = new TestBrowser(at ?? Server);
        await browser.SignInAsync(person ?? S.Person);
        return browser;
    }

    /// <summary>What upkeep does every quarter of a minute.</summary>
    public Task SweepAsync() => Server.Services.GetServices<IHostedService>().OfType<ApprovalUpkeep>().Single().SweepAsync(default);

    public async Task<(string State, bool Sealed)> StateAsync(string id) =>
        ((await Server.TextsAsync($"select state from approvals where id = '{id}'")).Single(), await Server.ScalarAsync($"select count(*) from approvals where id = '{id}' and sealed is not null") == 1);

    public async Task<IReadOnlyList<AuditEvent>> EventsAsync() =>
        [.. (await Server.EventsAsync("type like 'approval.%'")).Where(e => e.Task == Task || (e.Task is null && e.Approval is not null))];
}
