using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Tests;

/// <summary>Calls that AuthZEN decision points decide, too: only what all of them allow, in time and in so many words, runs.</summary>
public sealed class DecisionPointTests : IAsyncLifetime
{
    private const string PointToken = "token-for-the-decision-point";

    private FakeAuthorizationServer server = null!;
    private FakeDecisionPoint first = null!, second = null!;
    private ToolHost host = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "write");
        (first, second) = (await FakeDecisionPoint.StartAsync(), await FakeDecisionPoint.StartAsync());
    }

    public async Task DisposeAsync()
    {
        if (host is not null) await host.DisposeAsync();
        await first.DisposeAsync();
        await second.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    [Trait("Spec", "AuthZEN-6.1")]
    public async Task Call_ThatIsAllowed_Runs_AndWhatWasAskedIsWhatTheTokenSays()
    {
        await Start(Point(token: _ => new(PointToken)));
        string token = server.Token(new() { Sub = "usr_7", Client = "app", Task = "tsk_1", Lineage = ["grt_4", "tsk_0"], Groups = ["support"], Actors = ["agt_42", "agt_1"], Scope = "tool:refund" });
        Assert.Equal("refunded", (await host.CallTool("refund", """{"order_id":"o-9"}""", token)).Text);

        (string path, IHeaderDictionary headers, JsonObject body) = Assert.Single(first.Asked);
        Assert.Equal(("/access/v1/evaluation", "application/json", "Bearer " + PointToken), (path, headers.ContentType.ToString(), headers.Authorization.ToString()));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"type":"user","id":"usr_7","properties":{"groups":["support"],"agent":"agt_42","client":"app"}}"""), body["subject"]), body.ToString());
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"name":"refund"}"""), body["action"]), body.ToString());
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse($$$"""{"type":"tool_server","id":"{{{host.Resource}}}","properties":{"tool":"refund","sensitivity":"write"}}"""), body["resource"]), body.ToString());
        // The default of the schema is there: it is what the handler gets.
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"amount":500,"order_id":"o-9"}"""), body["context"]!["input"]), body.ToString());
        JsonNode session = body["context"]!["session"]!;
        Assert.Equal(("app", "agt_42", "tsk_1", "tsk_0", "127.0.0.1"),
            ((string?)session["client"], (string?)session["agent"]!["id"], (string?)session["task"]!["id"], (string?)session["task"]!["parent"], (string?)session["address"]));
        Assert.Equal(("""["agt_1"]""", """["tool:refund"]"""), (session["chain"]!.ToJsonString(), session["scopes"]!.ToJsonString()));
        Assert.NotNull((DateTimeOffset?)session["time"]);

        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "allow" });
        Assert.Equal(e.Id, headers["X-Request-ID"].ToString());
        Assert.Equal("""{"pdp":"allow"}""", e.Data!["points"]!.ToJsonString());
        server.VerifyChain();
        foreach (string secret in new[] { token, PointToken })
        {
            Assert.DoesNotContain(host.Logged, line => line.Contains(secret, StringComparison.Ordinal));
            Assert.DoesNotContain(secret, body.ToJsonString(), StringComparison.Ordinal);
        }
        Assert.DoesNotContain(headers, h => h.Value.ToString().Contains(token, StringComparison.Ordinal));
    }

    [Fact]
    [Trait("Spec", "AuthZEN-5.5")]
    public async Task Call_ThatIsDenied_DoesNotRun_AndOnlyTheAuditLearnsByWhom()
    {
        first.Answer = (context, _) => FakeDecisionPoint.Decide(context, false);
        await Start(Point());
        Answer answer = await Refund("denied");
        Assert.DoesNotContain("pdp", answer.Body, StringComparison.Ordinal);
        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" });
        Assert.Equal(("policy_denied: pdp_denied pdp", """{"pdp":"deny"}"""), (e.Reason, e.Data!["points"]!.ToJsonString()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Call_ThatOneOfTwoDenies_DoesNotRun(bool theFirst)
    {
        await Start(Point("a"), Point("b", second));
        Assert.Null((await host.CallTool("echo", """{"text":"both"}""", server.Token())).Denial);
        Assert.Equal("""{"a":"allow","b":"allow"}""", (await server.Event(e => e is { Type: AuditTypes.CallDecided })).Data!["points"]!.ToJsonString());
        (theFirst ? first : second).Answer = (context, _) => FakeDecisionPoint.Decide(context, false);
        await Refund("one");
        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" });
        Assert.Equal("policy_denied: pdp_denied " + (theFirst ? "a" : "b"), e.Reason);
    }

    [Theory]
    [InlineData("", 500)]
    [InlineData("{\"decision\":true}", 500)]
    [InlineData("{\"decision\":true}", 201)]
    [InlineData("{\"decision\":true}", 403)]
    [InlineData("", 200)]
    [InlineData("yes", 200)]
    [InlineData("[true]", 200)]
    [InlineData("{}", 200)]
    [InlineData("{\"decision\":\"true\"}", 200)]
    [InlineData("{\"decision\":1}", 200)]
    [InlineData("{\"decision\":null}", 200)]
    [InlineData("{\"Decision\":true}", 200)]
    [InlineData("{\"decision\":false,\"decision\":true}", 200)]
    [InlineData("{\"decision\":true,\"context\":[]}", 200)]
    [InlineData("{\"decision\":true}x", 200)]
    [InlineData("{\"decision\":true}", 200, "text/plain")]
    [InlineData("{\"decision\":true}", 200, "application/problem+json")]
    [InlineData("{\"decision\":true}", 200, null)]
    public async Task Answer_ThatIsNoDecision_Denies(string body, int status, string? type = "application/json")
    {
        first.Answer = (context, _) => FakeDecisionPoint.Say(context, body, status, type);
        await Start(Point());
        await RefusedAs("pdp_error pdp");
    }

    [Fact]
    public async Task Answer_ThatLeadsElsewhere_IsNotFollowed()
    {
        first.Answer = (context, _) =>
        {
            context.Response.Redirect(second.Endpoint + "access/v1/evaluation", permanent: false, preserveMethod: true);
            return Task.CompletedTask;
        };
        await Start(Point());
        await RefusedAs("pdp_error pdp");
        Assert.Empty(second.Asked);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Answer_WithoutEnd_IsNotRead(bool declared)
    {
        first.Answer = async (context, _) =>
        {
            context.Response.ContentType = "application/json";
            if (declared) context.Response.ContentLength = 1 << 30;
            await context.Response.WriteAsync("{\"decision\":true,\"context\":{\"x\":\"");
            while (!context.RequestAborted.IsCancellationRequested) await context.Response.WriteAsync(new string('x', 8192), context.RequestAborted);
        };
        await Start(Point());
        await RefusedAs("pdp_error pdp");
    }

    [Fact]
    public async Task Answer_ThatDoesNotCome_DeniesInTime()
    {
        var asked = new TaskCompletionSource();
        first.Answer = async (context, _) =>
        {
            asked.TrySetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        };
        await Start(Point(timeout: TimeSpan.FromMilliseconds(200)));
        await RefusedAs("pdp_timeout pdp");
        await asked.Task;
    }

    [Fact]
    public async Task Answer_WhoseBodyStops_DeniesInTime()
    {
        first.Answer = async (context, _) =>
        {
            await FakeDecisionPoint.Say(context, "{\"decision\":true");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        };
        await Start(Point(timeout: TimeSpan.FromMilliseconds(300)));
        await RefusedAs("pdp_timeout pdp");
    }

    [Fact]
    public async Task Point_ThatIsNotThere_Denies()
    {
        await Start(new AuthZenDecisionPoint("gone", new Uri($"http://127.0.0.1:{McpAuth.Testing.FreePort.Next()}")) { Timeout = TimeSpan.FromSeconds(2) });
        await RefusedAs("pdp_error gone");
    }

    [Fact]
    public async Task Token_ThatCannotBeHad_Denies_AndItsTroubleIsNotLogged()
    {
        Func<CancellationToken, ValueTask<string?>> token = _ => throw new InvalidOperationException("the secret is s3cr3t");
        await Start(Point("throws", token: ct => token(ct)), Point("other", second));
        await RefusedAs("pdp_error throws");
        Assert.DoesNotContain(host.Logged, line => line.Contains("s3cr3t", StringComparison.Ordinal));
        token = _ => new("no\r\nheader: value s3cr3t");
        await RefusedAs("pdp_error throws");
        Assert.DoesNotContain(host.Logged, line => line.Contains("s3cr3t", StringComparison.Ordinal));
        Assert.Empty(first.Asked);
    }

    [Fact]
    public async Task Token_ThatNeverComes_DeniesInTime()
    {
        await Start(Point(timeout: TimeSpan.FromMilliseconds(200), token: async _ => await new TaskCompletionSource<string?>().Task));
        await RefusedAs("pdp_timeout pdp");
        Assert.Empty(first.Asked);
    }

    [Fact]
    public async Task Caller_WhoGoesAway_EndsTheQuestion_AndNothingRuns()
    {
        TaskCompletionSource asked = new(), ended = new();
        first.Answer = async (context, _) =>
        {
            asked.TrySetResult();
            using CancellationTokenRegistration _r = context.RequestAborted.Register(() => ended.TrySetResult());
            await ended.Task;
        };
        await Start(Point());
        using var gone = new CancellationTokenSource();
        using HttpRequestMessage request = host.Request(ToolHost.Call("refund", """{"order_id":"gone"}"""), server.Token(new() { Scope = "tool:refund" }));
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "refund");
        Task<HttpResponseMessage> call = host.Http.SendAsync(request, gone.Token);
        await asked.Task;
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(30));
        first.Answer = (context, _) => FakeDecisionPoint.Decide(context, true);
        Assert.Null((await host.CallTool("echo", """{"text":"after"}""", server.Token())).Denial);
        Assert.DoesNotContain(host.Runs.All, r => r.StartsWith("refund", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Points_AreAskedAtOnce()
    {
        using var both = new SemaphoreSlim(0);
        TaskCompletionSource a = new(), b = new();
        first.Answer = async (context, _) =>
        {
            a.TrySetResult();
            await b.Task.WaitAsync(context.RequestAborted);
            await FakeDecisionPoint.Decide(context, true);
        };
        second.Answer = async (context, _) =>
        {
            b.TrySetResult();
            await a.Task.WaitAsync(context.RequestAborted);
            await FakeDecisionPoint.Decide(context, true);
        };
        await Start(Point("a"), Point("b", second));
        Assert.Null((await host.CallTool("echo", """{"text":"at once"}""", server.Token())).Denial);
    }

    [Fact]
    public async Task Denial_OfOne_DoesNotWaitForTheOther()
    {
        second.Answer = (context, _) => FakeDecisionPoint.Decide(context, false);
        var ended = new TaskCompletionSource();
        first.Answer = async (context, _) =>
        {
            using CancellationTokenRegistration _r = context.RequestAborted.Register(() => ended.TrySetResult());
            await ended.Task;
        };
        await Start(Point("a"), Point("b", second));
        await RefusedAs("pdp_denied b");
        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" });
        Assert.Equal("""{"b":"deny"}""", e.Data!["points"]!.ToJsonString());
    }

    [Fact]
    public async Task CallsAtOnce_GetTheirOwnAnswers()
    {
        first.Answer = (context, body) => FakeDecisionPoint.Decide(context, ((string)body["context"]!["input"]!["text"]!).StartsWith("even", StringComparison.Ordinal));
        await Start(Point());
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => host.CallTool("echo", $$"""{"text":"{{(i % 2 == 0 ? "even" : "odd")}}-{{i}}"}""", server.Token())));
        for (int i = 0; i < answers.Length; i++) Assert.Equal(i % 2 == 0 ? null : "policy_denied", answers[i].Denial);
        Assert.DoesNotContain(host.Runs.All, r => r.StartsWith("echo odd", StringComparison.Ordinal));
        Assert.Equal(40, first.Asked.Select(a => a.Headers["X-Request-ID"].ToString()).Distinct().Count());
    }

    [Fact]
    public async Task Arguments_AreToldOnlyToWhomTheyAreMeantFor()
    {
        await Start(Point("a", arguments: false), Point("b", second));
        Assert.Null((await host.CallTool("echo", """{"text":"private-text"}""", server.Token())).Denial);
        Assert.DoesNotContain("private-text", Assert.Single(first.Asked).Body.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal("private-text", (string?)Assert.Single(second.Asked).Body["context"]!["input"]!["text"]);
        Assert.DoesNotContain(host.Logged, line => line.Contains("private-text", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Points_AreAskedAfterTheServersPolicies_AndBeforeTheHostsOwn()
    {
        var own = new Counting();
        await Start(o => o.Policy = own, Point());
        await Activate("""permit(principal, action, resource) when { context.input.text == "asked" };""");
        Assert.Equal("policy_denied", (await host.CallTool("echo", """{"text":"not asked"}""", server.Token())).Denial);
        Assert.Equal((0, 0), (first.Asked.Count, own.Calls));
        Assert.Null((await host.CallTool("echo", """{"text":"asked"}""", server.Token())).Denial);
        Assert.Equal((1, 1), (first.Asked.Count, own.Calls));
        first.Answer = (context, _) => FakeDecisionPoint.Decide(context, false);
        Assert.Equal("policy_denied", (await host.CallTool("echo", """{"text":"asked"}""", server.Token())).Denial);
        Assert.Equal((2, 1), (first.Asked.Count, own.Calls));
        // Both are on record: what the server's policies said, and what another decided.
        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Reason: "policy_denied: pdp_denied pdp" });
        Assert.Equal(("allow", "deny"), ((string?)e.Data!["policy"], (string?)e.Data["points"]!["pdp"]));
        server.VerifyChain();
    }

    [Fact]
    public async Task ResourcesAndPrompts_AreAskedAbout_ListsAreNot()
    {
        await Start(Point());
        string token = server.Token(new() { Scope = "tools:read resources:read prompts:read" });
        foreach (string list in new[] { "tools/list", "resources/list", "prompts/list" }) await host.Do(list, "", token);
        Assert.Empty(first.Asked);
        Assert.Null((await host.Do("resources/read", "\"uri\":\"file:///public/readme\"", token, "file:///public/readme")).Denial);
        Assert.Null((await host.Do("prompts/get", "\"name\":\"greet\"", token, "greet")).Denial);
        Assert.Equal(["resource:read", "prompt:get"], first.Asked.Select(a => (string)a.Body["action"]!["name"]!));
        Assert.Equal(["""{"uri":"file:///public/readme"}""", """{"name":"greet"}"""], first.Asked.Select(a => a.Body["context"]!["input"]!.ToJsonString()));
        first.Answer = (context, _) => FakeDecisionPoint.Decide(context, false);
        Assert.Equal("policy_denied", (await host.Do("resources/read", "\"uri\":\"file:///public/readme\"", token, "file:///public/readme")).Denial);
        Assert.Equal("policy_denied", (await host.Do("prompts/get", "\"name\":\"greet\"", token, "greet")).Denial);
    }

    [Theory]
    [InlineData("pdp", "http://pdp.example", 500, "must be https")]
    [InlineData("pdp", "https://pdp.example?x=1", 500, "no query")]
    [InlineData("pdp", "https://user@pdp.example", 500, "user information")]
    [InlineData("pdp", "/relative", 500, "absolute")]
    [InlineData("p d p", "https://pdp.example", 500, "not a name")]
    [InlineData("", "https://pdp.example", 500, "not a name")]
    [InlineData("twice", "https://pdp.example", 500, "more than once")]
    [InlineData("pdp", "https://pdp.example", 0, "timeout")]
    [InlineData("pdp", "https://pdp.example", 2001, "timeout")]
    public void Options_ThatAreWrong_StopTheStart(string name, string endpoint, int milliseconds, string fault)
    {
        var options = new McpGuardOptions { AuthorizationServer = "https://auth.example", Resource = "https://files.example/mcp" };
        options.DecisionPoints.Add(new("twice", new Uri("https://pdp.example/base")));
        options.DecisionPoints.Add(new(name, new Uri(endpoint, UriKind.RelativeOrAbsolute)) { Timeout = TimeSpan.FromMilliseconds(milliseconds) });
        ValidateOptionsResult result = new McpGuardOptionsValidator().Validate(null, options);
        Assert.Contains(fault, result.FailureMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void Handler_ThatFollowsRedirects_StopsTheStart()
    {
        using var follows = new HttpClientHandler();
        using var stays = new SocketsHttpHandler { AllowAutoRedirect = false };
        foreach ((HttpMessageHandler handler, bool right) in new (HttpMessageHandler, bool)[] { (follows, false), (new Passing(follows), false), (stays, true), (new Passing(stays), true) })
        {
            var options = new McpGuardOptions { AuthorizationServer = "https://auth.example", Resource = "https://files.example/mcp" };
            options.DecisionPoints.Add(new("pdp", new Uri("https://pdp.example")) { Handler = handler });
            Assert.Equal(right, new McpGuardOptionsValidator().Validate(null, options).Succeeded);
        }
    }

    private Task Start(params AuthZenDecisionPoint[] points) => Start(_ => { }, points);

    private async Task Start(Action<McpGuardOptions> configure, params AuthZenDecisionPoint[] points) => host = await ToolHost.StartAsync(server, o =>
    {
        foreach (AuthZenDecisionPoint point in points) o.DecisionPoints.Add(point);
        configure(o);
    });

    private AuthZenDecisionPoint Point(
        string name = "pdp", FakeDecisionPoint? at = null, TimeSpan? timeout = null, Func<CancellationToken, ValueTask<string?>>? token = null, bool arguments = true) =>
        new(name, (at ?? first).Endpoint) { Timeout = timeout ?? TimeSpan.FromSeconds(2), Token = token, IncludeArguments = arguments };

    private async Task<Answer> Refund(string order)
    {
        Answer answer = await host.CallTool("refund", $$"""{"order_id":"{{order}}"}""", server.Token(new() { Scope = "tool:refund" }));
        Assert.Equal((200, "policy_denied"), (answer.Status, answer.Denial));
        Assert.DoesNotContain(host.Runs.All, r => r.StartsWith("refund " + order, StringComparison.Ordinal));
        return answer;
    }

    private async Task RefusedAs(string reason)
    {
        await Refund("refused");
        await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" } && e.Reason == "policy_denied: " + reason);
    }

    private async Task Activate(string policies)
    {
        server.Activate(policies);
        for (int i = 0; i < 1000 && Interlocked.Read(ref server.PolicyServed) != server.PolicyVersion; i++) await Task.Delay(20);
        await host.Ready();
    }

    private sealed class Counting : CallPolicy
    {
        public int Calls;

        public override ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref Calls);
            return new(PolicyVerdict.Allow());
        }
    }

    private sealed class Passing(HttpMessageHandler inner) : DelegatingHandler(inner);
}
