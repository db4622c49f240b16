using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Policy;
using Microsoft.Extensions.DependencyInjection;

namespace McpGuard.Sdk.Tests;

/// <summary>Calls, lists, resources and prompts, decided by the policies that the server sends.</summary>
public sealed class PolicyTests : IAsyncLifetime
{
    private const string All = """@id("all") permit(principal, action, resource);""";

    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "write");
        host = await ToolHost.StartAsync(server);
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task Policies_WhereThereAreNone_LeaveItToAuthority()
    {
        Assert.Null((await host.CallTool("echo", """{"text":"a"}""", server.Token())).Denial);
        AuditEvent e = await server.Event(e => e.Type == AuditTypes.CallDecided);
        Assert.Null(e.PolicyHash);
        Assert.Null(e.Data);
    }

    [Fact]
    public async Task Call_IsDecidedByItsArguments_AndTheRecordNamesThePolicy()
    {
        await Activate("""@id("small") permit(principal, action == Mcp::Action::"refund", resource) when { context.input.amount.lessThanOrEqual(decimal("100.0")) };""");
        string token = server.Token(new() { Scope = "tool:refund" });
        Assert.Equal("refunded", (await host.CallTool("refund", """{"order_id":"p1","amount":100}""", token)).Text);
        Answer denied = await host.CallTool("refund", """{"order_id":"p2","amount":100.5}""", token);
        Assert.Equal((200, "policy_denied"), (denied.Status, denied.Denial));
        Assert.DoesNotContain("small", denied.Body, StringComparison.Ordinal);
        Assert.DoesNotContain(host.Runs.All, r => r.StartsWith("refund p2", StringComparison.Ordinal));

        AuditEvent allow = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "allow", Tool: "refund" });
        Assert.Equal(["small"], allow.PolicyIds);
        Assert.Equal("allow", (string?)allow.Data!["policy"]);
        Assert.StartsWith("sha-256:", allow.PolicyHash, StringComparison.Ordinal);
        AuditEvent deny = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" });
        Assert.Equal(("policy_denied: not_permitted", "deny"), (deny.Reason, (string?)deny.Data!["policy"]));
    }

    /// <summary>What policies read of a call is kept with its record, however large the call may be; and a record that would be too large for the server is one without it.</summary>
    [Theory]
    [InlineData(900_000, true), InlineData(2_500_000, false)]
    public async Task Request_OfALargeCall_DoesNotHoldUpTheRecord(int length, bool kept)
    {
        await host.DisposeAsync();
        server.ManyGuards = true;
        host = await ToolHost.StartAsync(server, o => o.Limits.ArgumentBytes = 4 << 20);
        await Activate("""permit(principal, action, resource) when { context.input.text like "a*" };""");
        Assert.Null((await host.CallTool("echo", $$"""{"text":"{{new string('a', length)}}"}""", server.Token())).Denial);
        Assert.Null((await host.CallTool("echo", """{"text":"after"}""", server.Token())).Denial);
        AuditEvent[] decided = [await server.Event(e => e.Type == AuditTypes.CallDecided && e.Data?["request"] is null != kept && e.ArgsDigest is not null), await server.Event(e => e.Type == AuditTypes.CallDecided && e.Data?["request"] is { } r && ((string)r!).Length < 10_000)];
        Assert.Equal(kept, decided[0].Data!["request"] is { } whole && ((string)whole!).Length > length);
        Assert.Equal("allow", decided[1].Decision);
    }

    [Fact]
    public async Task DefaultsOfTheSchema_AreWhatPoliciesSee()
    {
        await Activate("""permit(principal, action, resource) when { context.input.amount.lessThan(decimal("500.0")) };""");
        Assert.Equal("policy_denied", (await host.CallTool("refund", """{"order_id":"d"}""", server.Token(new() { Scope = "tool:refund" }))).Denial); // the default is 500
    }

    [Fact]
    public async Task Token_IsWhatPoliciesSee()
    {
        await Activate("""
            permit(principal == Mcp::User::"usr_7", action, resource) when {
              principal in Mcp::Group::"support" && context.session has agent && context.session.agent == Mcp::Agent::"agt_42" && context.session.chain == [Mcp::Agent::"agt_1"]
              && context.session.task.id == "tsk_1" && context.session.task.parent == "tsk_0" && context.session.scopes.contains("tools:read") && context.session.client == "app"
              && context.session.address.isLoopback() };
            """);
        var shape = new TokenShape { Sub = "usr_7", Client = "app", Task = "tsk_1", Lineage = ["grt_4", "tsk_0"], Groups = ["support"], Actors = ["agt_42", "agt_1"], Scope = "tools:read" };
        Assert.Null((await host.CallTool("echo", """{"text":"a"}""", server.Token(shape))).Denial);
        foreach (TokenShape other in new[]
        {
            shape with { Sub = "usr_8" }, shape with { Groups = ["staff"] }, shape with { Actors = ["agt_42"] }, shape with { Actors = ["agt_1", "agt_42"] }, shape with { Task = "tsk_2" },
            shape with { Lineage = [] }, shape with { Client = "other" }, shape with { Actors = [] },
        })
            Assert.Equal("policy_denied", (await host.CallTool("echo", """{"text":"a"}""", server.Token(other with { Jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow) }))).Denial);
    }

    [Fact]
    [Trait("Attack", "142")]
    public async Task Lists_ShowWhatACallCouldBeAllowed()
    {
        await Activate("""
            permit(principal, action == Mcp::Action::"echo", resource) when { context.input.text == "x" };
            permit(principal, action == Mcp::Action::"refund", resource) when { context.session has agent };
            """);
        string token = server.Token(new() { Actors = [], Scope = "tools:read tool:refund resources:read prompts:read" });
        Assert.Equal(["echo"], Listed(await host.Do("tools/list", "", token), "tools", "name"));
        Assert.Empty(Listed(await host.Do("resources/list", "", token), "resources", "uri"));
        Assert.Empty(Listed(await host.Do("resources/templates/list", "", token), "resourceTemplates", "uriTemplate"));
        Assert.Empty(Listed(await host.Do("prompts/list", "", token), "prompts", "name"));
        await Activate("""permit(principal, action in [Mcp::Action::"resource:read", Mcp::Action::"prompt:get"], resource) when { context.session.scopes.contains("prompts:read") };""");
        Assert.Empty(Listed(await host.Do("tools/list", "", token), "tools", "name"));
        Assert.Equal(["file:///public/readme"], Listed(await host.Do("resources/list", "", token), "resources", "uri"));
        Assert.Equal(["file:///public/notes/{name}"], Listed(await host.Do("resources/templates/list", "", token), "resourceTemplates", "uriTemplate"));
        Assert.Equal(["greet"], Listed(await host.Do("prompts/list", "", token), "prompts", "name"));
        // What a template stands for is not known yet: it is shown where some reading could be allowed.
        await Activate("""permit(principal, action == Mcp::Action::"resource:read", resource) when { context.input.uri == "file:///public/notes/mine" };""");
        Assert.Empty(Listed(await host.Do("resources/list", "", token), "resources", "uri"));
        Assert.Equal(["file:///public/notes/{name}"], Listed(await host.Do("resources/templates/list", "", token), "resourceTemplates", "uriTemplate"));
    }

    [Fact]
    [Trait("Attack", "142")]
    public async Task ResourcesPromptsCompletionsAndSubscriptions_AreDecidedByTheSamePolicies()
    {
        string token = server.Token(new() { Scope = "resources:read prompts:read" });
        (string Method, string Parameters, string? Name)[] all =
        [
            ("resources/read", "\"uri\":\"file:///public/readme\"", "file:///public/readme"), ("prompts/get", "\"name\":\"greet\"", "greet"),
            ("completion/complete", """ "ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"a","value":""}""", null),
            ("subscriptions/listen", """ "notifications":{"resourceSubscriptions":["file:///public/readme"]}""", null),
        ];
        await Activate("""permit(principal, action in Mcp::Action::"tools:all", resource);""");
        foreach ((string method, string parameters, string? name) in all) Assert.Equal((method, "policy_denied"), (method, (await host.Do(method, parameters, token, name)).Denial));

        await Activate("""permit(principal, action == Mcp::Action::"resource:read", resource) when { context.input.uri like "file:///public/*" };""");
        Assert.Null((await host.Do(all[0].Method, all[0].Parameters, token, all[0].Name)).Denial);
        Assert.Equal("policy_denied", (await host.Do(all[1].Method, all[1].Parameters, token, all[1].Name)).Denial);
        AuditEvent read = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "allow" });
        Assert.Equal("allow", (string?)read.Data!["policy"]);
    }

    [Fact]
    public async Task Approval_ThatCouldHelp_IsWhatTheDenialNames()
    {
        await Activate("""
            permit(principal, action, resource) when { context.input.amount.lessThanOrEqual(decimal("10.0")) };
            permit(principal, action, resource) when { context.session has approval && context.input.amount.lessThanOrEqual(decimal("100.0")) };
            """);
        string token = server.Token(new() { Scope = "tool:refund" });
        Assert.Null((await host.CallTool("refund", """{"order_id":"a","amount":10}""", token)).Denial);
        Assert.Equal("approval_required", (await host.CallTool("refund", """{"order_id":"a","amount":11}""", token)).Denial);
        Assert.Equal("policy_denied", (await host.CallTool("refund", """{"order_id":"a","amount":101}""", token)).Denial);
    }

    [Fact]
    public async Task Shadow_DecidesNothing_AndItsWordIsOnRecord()
    {
        await Activate(All, shadow: """permit(principal, action, resource) when { context.input.text == "calm" };""");
        foreach (string text in new[] { "calm", "wild" }) Assert.Null((await host.CallTool("echo", $$"""{"text":"{{text}}"}""", server.Token())).Denial);
        await server.Event(e => e is { Type: AuditTypes.CallDecided } && (string?)e.Data?["shadow"]?["decision"] == "allow");
        AuditEvent other = await server.Event(e => e is { Type: AuditTypes.CallDecided } && (string?)e.Data?["shadow"]?["decision"] == "deny");
        Assert.Equal(("allow", server.PolicyVersion + 1), ((string?)other.Data!["policy"], (long?)other.Data["shadow"]!["version"]));
        await Activate(null, shadow: "forbid(principal, action, resource);");
        Assert.Null((await host.CallTool("echo", """{"text":"alone"}""", server.Token())).Denial);
    }

    /// <summary>What a decision was made on is enough to make it again, and unreadable on the way.</summary>
    [Fact]
    public async Task Request_IsSealedForTheDecision_AndDecidesTheSameAgain()
    {
        const string Policies = """@id("small") permit(principal, action, resource) when { context.input.amount.lessThanOrEqual(decimal("100.0")) && context.session has task };""";
        await Activate(Policies);
        foreach (int amount in new[] { 100, 101 })
            await host.CallTool("refund", $$"""{"order_id":"secret-order","amount":{{amount}}}""", server.Token(new() { Scope = "tool:refund", Task = "tsk_1" }));
        await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" });

        var key = new SealedRequest(new ArgsKey(1, Base64Url.Encode(new byte[32])));
        PolicyRelease release = server.Release(1, 1).Release.Deserialize(ProtocolJson.Default.PolicyRelease)!;
        ToolServerModel model = ToolServerModel.Create(release.Tools.Select(t => new McpTool(t.Name, Encoding.UTF8.GetBytes(t.InputSchema.GetRawText()), t.Sensitivity == "read" ? ToolSensitivity.Read : ToolSensitivity.Write))).Value;
        var policies = new ToolCallAuthorizer(PolicySet.Parse(Policies, PolicyIds.FromAnnotation).Value, model);
        AuditEvent[] decided = [.. server.Events().Where(e => e.Type == AuditTypes.CallDecided)];
        Assert.Equal(2, decided.Length);
        foreach (AuditEvent e in decided)
        {
            string request = (string)e.Data!["request"]!;
            Assert.Null(key.Open(Id.New(Id.Decision, DateTimeOffset.UtcNow), request));
            byte[] opened = key.Open(e.Id, request)!;
            Assert.DoesNotContain("secret-order", Encoding.UTF8.GetString(opened), StringComparison.Ordinal); // no policy reads it
            Explanation again = RecordedCall.Parse(opened)!.Decide(policies);
            Assert.Equal(e.Decision, again.Response.Decision == Decision.Allow ? "allow" : "deny");
            Assert.Equal(e.PolicyIds ?? [], again.Response.Reasons);
        }
    }

    [Fact]
    public async Task Policies_AreReplaced_WithoutACallBeingLost()
    {
        await Activate(All);
        string token = server.Token();
        using var stop = new CancellationTokenSource();
        int calls = 0;
        Task[] callers = [.. Enumerable.Range(0, 4).Select(async _ =>
        {
            while (!stop.IsCancellationRequested)
            {
                Answer answer = await host.CallTool("echo", """{"text":"on"}""", token);
                Assert.Equal((200, null), (answer.Status, answer.Denial));
                Interlocked.Increment(ref calls);
            }
        })];
        for (int i = 0; i < 10; i++) await Activate($$"""@id("all-{{i}}") permit(principal, action, resource);""");
        await stop.CancelAsync();
        await Task.WhenAll(callers);
        Assert.InRange(calls, 10, int.MaxValue);
        await host.CallTool("echo", """{"text":"last"}""", token);
        await server.Event(e => e.PolicyIds is ["all-9"]);
        Assert.True(server.Events().Where(e => e.Type == AuditTypes.CallDecided).SelectMany(e => e.PolicyIds ?? []).Distinct().Count() > 2);
    }

    [Fact]
    [Trait("Attack", "147")]
    public async Task Policies_ThatForbidWhatWasJustAllowed_HoldWithinTheBound()
    {
        await Activate(All);
        string token = server.Token();
        Assert.Null((await host.CallTool("echo", """{"text":"primed"}""", token)).Denial);
        server.Activate("""@id("over") forbid(principal, action, resource);""", null);
        long activated = TimeProvider.System.GetTimestamp();
        while ((await host.CallTool("echo", """{"text":"primed"}""", token)).Denial is null)
            Assert.InRange(TimeProvider.System.GetElapsedTime(activated), TimeSpan.Zero, 5 * Limits.RevocationBound);
        for (int i = 0; i < 20; i++) Assert.Equal("policy_denied", (await host.CallTool("echo", """{"text":"primed"}""", token)).Denial);
    }

    private async Task Activate(string? policies, string? shadow = null)
    {
        server.Activate(policies, shadow);
        // The word comes with the next poll; until the guard has asked, it may go on with what it has.
        PolicySource source = host.Services.GetRequiredService<PolicySource>();
        for (int i = 0; i < 400 && source.Current.Snapshot?.Version != server.PolicyVersion; i++) await Task.Delay(25);
        await host.Ready();
    }

    private static string[] Listed(Answer answer, string list, string member) =>
        [.. answer.Result.GetProperty(list).EnumerateArray().Select(i => i.GetProperty(member).GetString()!).Order(StringComparer.Ordinal)];
}
