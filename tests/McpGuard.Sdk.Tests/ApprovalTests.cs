using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Policy;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace McpGuard.Sdk.Tests;

/// <summary>A call that needs a person's yes is held, asked about, and runs once a person said yes to exactly it.</summary>
public sealed class ApprovalTests : IAsyncLifetime
{
    private const string Opens = """{"elicitation":{"url":{}}}""", Arguments = """{"order_id":"o-9","amount":5}""";

    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "destructive", approval: "required");
        host = await ToolHost.StartAsync(server);
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    private string Token => server.Token(new() { Scope = "tool:refund tools:read" });

    [Fact]
    public async Task Server_GetsTheArgumentsThemselves_EncryptedForTheDecision()
    {
        string token = Token;
        Answer answer = await host.CallTool("refund", """{ "amount":5e0, "order_id":"o-9" }""", token);
        Assert.Equal((200, "approval_required"), (answer.Status, answer.Denial));
        ApprovalRequest held = Assert.Single(server.Held);
        JsonElement denial = answer.Result.GetProperty("_meta").GetProperty(Names.Mcp.DenialMeta);
        Assert.Equal(denial.GetProperty("decision_id").GetString(), held.Decision);
        byte[] opened = new SealedRequest(FakeAuthorizationServer.ArgsKey, SealedRequest.ForApproval).Open(held.Decision, held.Arguments)!;
        Assert.Equal("""{"amount":5,"order_id":"o-9"}""", Encoding.UTF8.GetString(opened));
        Assert.Equal(new ArgumentDigest(FakeAuthorizationServer.ArgsKey).Of(opened), held.ArgsDigest);
        Assert.Null(new SealedRequest(FakeAuthorizationServer.ArgsKey).Open(held.Decision, held.Arguments));
        Assert.Equal("refund", held.Tool);
        Assert.StartsWith("sha-256:", held.DefDigest, StringComparison.Ordinal);
        Assert.StartsWith("sha-256:", held.PolicyHash, StringComparison.Ordinal);
        Assert.Contains(held.Jti, Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(token.Split('.')[1])), StringComparison.Ordinal);
        AuditEvent e = await server.Event(e => e.Id == held.Decision);
        Assert.Equal(("deny", "approval_required", held.ArgsDigest, null), (e.Decision, e.Reason, e.ArgsDigest, e.Approval));
        Assert.DoesNotContain(host.Logged, l => l.Contains("o-9", StringComparison.Ordinal));
        Assert.Empty(host.Runs.All);
    }

    /// <summary>As the MCP SDK reads it, so that its clients lead their user there.</summary>
    [Fact]
    [Trait("Spec", "MCP-2026-07-28-mrtr")]
    public async Task Client_ThatOpensAddresses_IsAskedToOpenThePage()
    {
        Answer answer = await host.CallTool("refund", Arguments, Token, capabilities: Opens);
        InputRequiredResult result = answer.Result.Deserialize((System.Text.Json.Serialization.Metadata.JsonTypeInfo<InputRequiredResult>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(InputRequiredResult)))!;
        Assert.Equal("input_required", answer.Result.GetProperty("resultType").GetString());
        (string key, InputRequest input) = Assert.Single(result.InputRequests!);
        Assert.Equal((Names.Mcp.ApprovalInput, "elicitation/create"), (key, input.Method));
        JsonElement asked = answer.Result.GetProperty("inputRequests").GetProperty(key).GetProperty("params");
        Assert.Equal(("url", FakeAuthorizationServer.ApprovalUrl, "apr_1"), (asked.GetProperty("mode").GetString(), asked.GetProperty("url").GetString(), asked.GetProperty("elicitationId").GetString()));
        Assert.DoesNotContain("http", asked.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Null(result.RequestState);
        Assert.False(answer.Result.TryGetProperty("isError", out _));
        Assert.Equal("approval_required", answer.Denial);
        Assert.Empty(host.Runs.All);
    }

    [Theory]
    [InlineData(Names.Mcp.V20260728, "{}")]
    [InlineData(Names.Mcp.V20260728, """{"elicitation":{}}""")]
    [InlineData(Names.Mcp.V20260728, """{"elicitation":{"form":{}}}""")]
    [InlineData(Names.Mcp.V20260728, """{"elicitation":{"url":true}}""")]
    [InlineData(Names.Mcp.V20251125, "{}")]
    public async Task Client_ThatOpensNone_GetsTheAddressInTheText(string version, string capabilities)
    {
        Answer answer = await host.CallTool("refund", Arguments, Token, version, capabilities);
        Assert.True(answer.IsError);
        Assert.Contains(FakeAuthorizationServer.ApprovalUrl, answer.Text, StringComparison.Ordinal);
        JsonElement denial = answer.Result.GetProperty("_meta").GetProperty(Names.Mcp.DenialMeta);
        Assert.Equal(("approval", FakeAuthorizationServer.ApprovalUrl), (denial.GetProperty("remedy").GetString(), denial.GetProperty("url").GetString()));
    }

    /// <summary>Whose page it is is told elsewhere.</summary>
    [Fact]
    public async Task Client_OfAUserWhoMayNotApprove_LearnsNoAddress()
    {
        server.Approval = _ => Task.FromResult<ApprovalResponse?>(FakeAuthorizationServer.Waiting(own: false));
        Answer answer = await host.CallTool("refund", Arguments, Token, capabilities: Opens);
        Assert.True(answer.IsError);
        Assert.Equal("approval_required", answer.Denial);
        Assert.DoesNotContain("apr_1", answer.Body, StringComparison.Ordinal);
        Assert.DoesNotContain("http", answer.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Names.Reasons.DeniedLately, "refused it")]
    [InlineData(Names.Reasons.TooManyWaiting, "Too many")]
    [InlineData("foreign_issuer", "nobody can be asked")]
    public async Task Call_ThatNobodyIsAskedAbout_SaysWhy(string reason, string words)
    {
        server.Approval = _ => Task.FromResult<ApprovalResponse?>(new(ApprovalStates.Refused, Reason: reason));
        Answer answer = await host.CallTool("refund", Arguments, Token, capabilities: Opens);
        Assert.True(answer.IsError);
        Assert.Contains(words, answer.Text, StringComparison.Ordinal);
        Assert.Equal("approval_required", answer.Denial);
        await server.Event(e => e.Reason == $"approval_required: {reason}");
    }

    [Fact]
    public async Task Yes_RunsTheCall_AndTheRecordNamesIt()
    {
        string? used = null;
        server.Approval = r => Task.FromResult<ApprovalResponse?>(Interlocked.CompareExchange(ref used, r.Decision, null) is null ? new(ApprovalStates.Used, "apr_7", By: "usr_8", At: 1_795_000_000_000) : FakeAuthorizationServer.Waiting());
        Assert.Equal("refunded", (await host.CallTool("refund", Arguments, Token)).Text);
        Assert.Equal("approval_required", (await host.CallTool("refund", Arguments, Token)).Denial);
        Assert.Equal(2, server.Held.Select(h => h.Decision).Distinct().Count());
        AuditEvent e = await server.Event(e => e.Id == used);
        Assert.Equal(("allow", "apr_7"), (e.Decision, e.Approval));
        Assert.Single(host.Runs.All);
    }

    [Fact]
    public async Task Tool_OrToken_AsksForIt_AlsoWhereTheOtherDoesNot()
    {
        Assert.Null((await host.CallTool("echo", """{"text":"a"}""", Token)).Denial);
        Assert.Empty(server.Held);
        string token = server.Token(new() { Details = MessageTests.Details(host.Resource, """{"echo":{"approval":"required"}}""") });
        Assert.Equal("approval_required", (await host.CallTool("echo", """{"text":"a"}""", token)).Denial);
        Assert.Single(server.Held);
        server.Approve("echo", "read", approval: "required");
        for (int i = 0; i < 400 && (await host.CallTool("echo", """{"text":"b"}""", Token)).Denial is null; i++) await Task.Delay(25);
        Assert.Equal("approval_required", (await host.CallTool("echo", """{"text":"b"}""", Token)).Denial);
    }

    /// <summary>The call is decided again with the yes: policies say whose counts.</summary>
    [Theory]
    [InlineData("usr_8", null)]
    [InlineData("usr_7", "policy_denied")]
    public async Task Policies_SeeWhoSaidYes(string by, string? denial)
    {
        await Activate("""@id("four-eyes") permit(principal, action, resource) when { context.session has approval && context.session.approval.by != principal && context.session.approval.id == "apr_7" };""");
        server.Approval = _ => Task.FromResult<ApprovalResponse?>(new(ApprovalStates.Used, "apr_7", By: by));
        Assert.Equal(denial, (await host.CallTool("refund", Arguments, Token)).Denial);
        Assert.Equal(denial is null ? 1 : 0, host.Runs.All.Count);
        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Tool: "refund" });
        Assert.Equal("apr_7", e.Approval);
    }

    [Fact]
    public async Task Call_ThatPolicyDeniesAnyway_IsNotAskedAbout()
    {
        await Activate("""forbid(principal, action == Mcp::Action::"refund", resource);""");
        Assert.Equal("policy_denied", (await host.CallTool("refund", Arguments, Token)).Denial);
        Assert.Empty(server.Held);
    }

    [Fact]
    public async Task Yes_UnderPoliciesThatChangedMeanwhile_RunsNothing()
    {
        await Activate("""@id("one") permit(principal, action, resource);""");
        server.Approval = async _ =>
        {
            await Activate("""@id("two") permit(principal, action, resource);""");
            return new(ApprovalStates.Used, "apr_7", By: "usr_8");
        };
        Assert.Equal("guard_unavailable", (await host.CallTool("refund", Arguments, Token)).Denial);
        Assert.Empty(host.Runs.All);
        await server.Event(e => e.Reason == "guard_unavailable: policy_changed");
    }

    [Fact]
    public async Task Server_ThatDoesNotAnswer_OrNotSensibly_RunsNothing()
    {
        foreach (ApprovalResponse? answer in new ApprovalResponse?[] { null, new("perhaps"), new(ApprovalStates.Used), new(ApprovalStates.Used, "apr_7") })
        {
            server.Approval = _ => Task.FromResult(answer);
            Assert.Equal("guard_unavailable", (await host.CallTool("refund", Arguments, Token)).Denial);
        }
        Assert.Empty(host.Runs.All);
    }

    [Fact]
    public async Task Arguments_ThatNobodyCouldLookThrough_AreNotSent()
    {
        Answer answer = await host.CallTool("refund", $$"""{"order_id":"{{new string('x', Limits.ApprovalArguments)}}","amount":5}""", Token);
        Assert.Equal("approval_required", answer.Denial);
        Assert.Contains("too large", answer.Text, StringComparison.Ordinal);
        Assert.Empty(server.Held);
    }

    [Fact]
    public async Task Call_ThatTheHostsOwnPolicyDenies_IsNotAskedAbout()
    {
        FakeAuthorizationServer other = await FakeAuthorizationServer.StartAsync();
        other.Approve("refund", "destructive", approval: "required");
        await using ToolHost strict = await ToolHost.StartAsync(other, o => o.Policy = new Never());
        Assert.Equal("policy_denied", (await strict.CallTool("refund", Arguments, other.Token(new() { Scope = "tool:refund" }))).Denial);
        Assert.Empty(other.Held);
        await other.DisposeAsync();
    }

    /// <summary>A person saw the arguments, and nothing of what else a retry brings.</summary>
    [Fact]
    public async Task Handler_OfAnApprovedCall_GetsTheArgumentsAlone()
    {
        const string Drop = """{"name":"drop","inputSchema":{"type":"object","properties":{"a":{"type":"integer"}}}}""";
        var reached = new List<string>();
        FakeAuthorizationServer other = await FakeAuthorizationServer.StartAsync();
        other.Approve("drop", "destructive", approval: "required");
        other.Approval = _ => Task.FromResult<ApprovalResponse?>(new(ApprovalStates.Used, "apr_7", By: "usr_8"));
        await using ToolHost raw = await ToolHost.StartAsync(other, o => o.Tools.Add(JsonDocument.Parse(Drop).RootElement), pipeline: app =>
        {
            app.UseMcpGuard("/mcp");
            app.MapPost("/mcp", async (HttpContext c) =>
            {
                using var reader = new StreamReader(c.Request.Body);
                reached.Add(await reader.ReadToEndAsync());
                return Results.Text("""{"jsonrpc":"2.0","id":1,"result":{"content":[]}}""", "application/json");
            });
        });
        string body = ToolHost.Call("drop", """{"a":1}""").Replace("\"arguments\":", "\"inputResponses\":{\"q\":{\"action\":\"accept\"}},\"requestState\":\"s\",\"arguments\":", StringComparison.Ordinal);
        using HttpRequestMessage request = raw.Request(body, other.Token(new() { Scope = "tool:drop" }));
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "drop");
        Assert.Equal(200, (await raw.Send(request)).Status);
        JsonElement got = JsonDocument.Parse(Assert.Single(reached)).RootElement.GetProperty("params");
        Assert.Equal(["name", "arguments", "_meta"], got.EnumerateObject().Select(m => m.Name));
        await other.DisposeAsync();
    }

    private async Task Activate(string policies)
    {
        server.Activate(policies);
        PolicySource source = host.Services.GetRequiredService<PolicySource>();
        for (int i = 0; i < 400 && source.Current.Snapshot?.Version != server.PolicyVersion; i++) await Task.Delay(25);
        await host.Ready();
    }

    private sealed class Never : CallPolicy
    {
        public override ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken) => ValueTask.FromResult(PolicyVerdict.Deny("never"));
    }
}
