using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;

namespace McpGuard.Sdk.Tests;

/// <summary>What a token may do here: both forms of authority, approval, budget, drift, lists.</summary>
public sealed class DecisionTests(GuardFixture fixture) : IClassFixture<GuardFixture>
{
    private FakeAuthorizationServer Server => fixture.Server;
    private ToolHost Host => fixture.Host;

    [Fact]
    [Trait("Attack", "128")]
    [Trait("Spec", "RFC6750-3.1")]
    public async Task Scope_MissingOnATokenThatCanStepUp_IsChallengedWithAllThatIsNeeded()
    {
        Answer answer = await Host.CallTool("refund", """{"order_id":"step"}""", Server.Token(new() { StepUp = true, Scope = "tools:read offline_access" }));
        Assert.Equal(403, answer.Status);
        Assert.Equal(
            $"Bearer error=\"insufficient_scope\", scope=\"tool:refund tools:read\", resource_metadata=\"{Host.Url("/.well-known/oauth-protected-resource/mcp")}\", error_description=\"A further scope is needed\"",
            answer.Challenge);
        Assert.DoesNotContain(Host.Runs.All, r => r.StartsWith("refund step", StringComparison.Ordinal));
        await Server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny", Tool: "refund", Reason: "insufficient_scope" });
    }

    [Fact]
    public async Task Scope_MissingOnATokenThatCannotStepUp_IsADenialNoLoopCures()
    {
        Answer answer = await Host.CallTool("refund", """{"order_id":"no"}""", Server.Token());
        Assert.Equal((200, "not_in_task"), (answer.Status, answer.Denial));
    }

    [Fact]
    public async Task Scope_ForAToolThatDoesNotExist_IsNeverAskedFor()
    {
        Answer answer = await Host.CallTool("nothing", "{}", Server.Token(new() { StepUp = true }));
        Assert.Equal((200, "not_in_task"), (answer.Status, answer.Denial));
    }

    [Fact]
    public async Task Scope_NamingTheTool_RunsAWriteTool() =>
        Assert.Equal("refunded", (await Host.CallTool("refund", """{"order_id":"named"}""", Server.Token(new() { Scope = "tool:refund" }))).Text);

    [Fact]
    [Trait("Spec", "RFC9396-7")]
    public async Task Explicit_DecidesAlone_WhateverTheScopeSays()
    {
        string token = Server.Token(new() { Scope = "tools:read tool:echo", StepUp = true, Details = Details("""{"refund":{}}""") });
        Assert.Equal((200, "not_in_task"), await Denied("echo", """{"text":"scope"}""", token));
    }

    [Fact]
    [Trait("Spec", "RFC9396-7")]
    public async Task Explicit_ForAnotherToolServer_GrantsNothing() =>
        Assert.Equal((200, "not_in_task"), await Denied("echo", """{"text":"x"}""", Server.Token(new() { Details = MessageTests.Details("https://other.example/mcp", """{"echo":{}}""") })));

    [Fact]
    public async Task Explicit_WithoutTheAction_GrantsNothing() =>
        Assert.Equal((200, "not_in_task"), await Denied("echo", """{"text":"x"}""", Server.Token(new() { Details = MessageTests.Details(Host.Resource, """{"echo":{}}""", "\"prompts/get\"") })));

    [Fact]
    public async Task Explicit_ThatCannotBeRead_RefusesTheToken()
    {
        Answer answer = await Host.CallTool("echo", """{"text":"x"}""", Server.Token(new() { Details = Details("""{"echo":{"args":{"text":{"constraint_type":"magic"}}}}""") }));
        Assert.Equal(401, answer.Status);
    }

    [Theory]
    [InlineData("""{"order_id":"o-9","amount":500}""", true)]
    [InlineData("""{"order_id":"o-9","amount":500.01}""", false)]
    [InlineData("""{"order_id":"o-8","amount":1}""", false)]
    [InlineData("""{"order_id":"o-9"}""", true)] // the schema's default, 500, is filled in and is within
    public async Task Constraints_OnTheArguments_DecideByValue(string arguments, bool allowed)
    {
        string token = Server.Token(new() { Details = Details("""{"refund":{"args":{"order_id":{"constraint_type":"exact","value":"o-9"},"amount":{"constraint_type":"range","max":500}}}}""") });
        Answer answer = await Host.CallTool("refund", arguments, token);
        Assert.Equal(allowed ? null : "argument_denied", answer.Denial);
    }

    [Fact]
    public async Task Default_OutsideTheConstraint_IsDeniedThoughTheArgumentIsAbsent()
    {
        string token = Server.Token(new() { Details = Details("""{"refund":{"args":{"order_id":{"constraint_type":"wildcard"},"amount":{"constraint_type":"range","max":100}},"optional":["amount"]}}""") });
        Assert.Equal((200, "argument_denied"), await Denied("refund", """{"order_id":"hidden"}""", token));
        Assert.DoesNotContain(Host.Runs.All, r => r.StartsWith("refund hidden", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"text":"x","other":1}""")]
    [InlineData("""{}""")]
    [InlineData("""{"text":5}""")]
    [InlineData("""{"Text":"x"}""")]
    public async Task Arguments_OutsideTheSchema_AreDenied(string arguments) =>
        Assert.Equal((200, "argument_denied"), await Denied("echo", arguments, Server.Token()));

    [Fact]
    public async Task Approval_Required_FailsClosed()
    {
        Answer answer = await Host.CallTool("refund", """{"order_id":"approve"}""", Server.Token(new() { Details = Details("""{"refund":{"approval":"required"}}""") }));
        Assert.Equal("approval_required", answer.Denial);
        Assert.Equal("approval", answer.Result.GetProperty("_meta").GetProperty("mcpauth/denial").GetProperty("remedy").GetString());
        Assert.DoesNotContain(Host.Runs.All, r => r.StartsWith("refund approve", StringComparison.Ordinal));
    }

    /// <summary>An answer to an elicitation comes with the caller's own token: it is the caller's word, nobody's approval.</summary>
    [Fact]
    [Trait("Spec", "MCP-2026-07-28-mrtr")]
    public async Task Approval_ThatTheCallerBringsAlong_CountsForNothing()
    {
        string body = ToolHost.Call("refund", """{"order_id":"elicited"}""").Replace(
            "\"arguments\":", "\"inputResponses\":{\"approval\":{\"action\":\"accept\",\"content\":{\"approved\":true}}},\"requestState\":\"approved\",\"arguments\":", StringComparison.Ordinal);
        using HttpRequestMessage request = Host.Request(body, Server.Token(new() { Details = Details("""{"refund":{"approval":"required"}}""") }));
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "refund");
        Assert.Equal("approval_required", (await Host.Send(request)).Denial);
        Assert.DoesNotContain(Host.Runs.All, r => r.StartsWith("refund elicited", StringComparison.Ordinal));
    }

    [Fact]
    [Trait("Invariant", "11")]
    public async Task Budget_IsSpentAtTheServerAndThenDenied()
    {
        Server.Budgets["echo"] = 2;
        string token = Server.Token(new() { Details = Details("""{"echo":{"max_calls":2}}""") });
        Assert.Equal("1", (await Host.CallTool("echo", """{"text":"1"}""", token)).Text);
        Assert.Equal("2", (await Host.CallTool("echo", """{"text":"2"}""", token)).Text);
        Assert.Equal((200, "budget_spent"), await Denied("echo", """{"text":"3"}""", token));
    }

    [Fact]
    public async Task DefinitionDigest_OfAnotherDefinition_IsDrift()
    {
        string digest = "sha-256:" + Base64Url.Encode(new byte[32]);
        Assert.Equal((200, "tool_drifted"), await Denied("echo", """{"text":"x"}""", Server.Token(new() { Details = Details($$$"""{"echo":{"def_digest":"{{{digest}}}"}}""") })));
    }

    [Theory]
    [Trait("Attack", "142")]
    [InlineData(null, "echo,fail,region")]
    [InlineData("step", "echo,fail,refund,region")]
    [InlineData("""{"refund":{}}""", "refund")]
    [InlineData("""{}""", "")]
    public async Task ToolsList_ShowsWhatTheCallerHolds(string? details, string names)
    {
        string token = Server.Token(details switch { null => new(), "step" => new() { StepUp = true }, _ => new() { Details = Details(details) } });
        Answer answer = await Host.Do("tools/list", "", token);
        Assert.Equal(names, string.Join(',', answer.Result.GetProperty("tools").EnumerateArray().Select(t => t.GetProperty("name").GetString()).Order(StringComparer.Ordinal)));
        Assert.Equal("private", answer.Result.GetProperty("cacheScope").GetString());
    }

    [Theory]
    [Trait("Attack", "142")]
    [InlineData("resources/read", "\"uri\":\"file:///public/readme\"", "file:///public/readme", "resources:read")]
    [InlineData("prompts/get", "\"name\":\"greet\"", "greet", "prompts:read")]
    [InlineData("completion/complete", "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"greet\"},\"argument\":{\"name\":\"a\",\"value\":\"\"}", null, "prompts:read")]
    public async Task ResourcesPromptsCompletion_AreGovernedLikeTools(string method, string parameters, string? name, string scope)
    {
        Answer without = await Host.Do(method, parameters, Server.Token(), name);
        Assert.Equal((200, -32602), (without.Status, without.Error));
        Assert.Equal("not_in_task", without.Json!.Value.GetProperty("error").GetProperty("data").GetProperty("mcpauth/denial").GetProperty("code").GetString());
        Answer stepUp = await Host.Do(method, parameters, Server.Token(new() { StepUp = true }), name);
        Assert.Equal(403, stepUp.Status);
        Assert.Contains($"scope=\"{scope} tools:read\"", stepUp.Challenge, StringComparison.Ordinal);
        Answer with = await Host.Do(method, parameters, Server.Token(new() { Scope = scope }), name);
        // The host has no completions of its own: what is asked here is that the guard let it through.
        Assert.True(method == "completion/complete" ? with.Json is { } json && !json.ToString().Contains("mcpauth/denial", StringComparison.Ordinal) : with.Result.ValueKind == JsonValueKind.Object, with.Body);
        await Server.Event(e => e.Type == AuditTypes.CallDecided && e.Decision == "allow" && (string?)e.Data?["method"] == method);
    }

    [Fact]
    [Trait("Attack", "142")]
    public async Task ResourceLists_WithoutAuthority_AreEmpty()
    {
        Assert.Empty((await Host.Do("resources/list", "", Server.Token())).Result.GetProperty("resources").EnumerateArray());
        Assert.Empty((await Host.Do("prompts/list", "", Server.Token())).Result.GetProperty("prompts").EnumerateArray());
        Assert.Single((await Host.Do("prompts/list", "", Server.Token(new() { Scope = "prompts:read" }))).Result.GetProperty("prompts").EnumerateArray());
    }

    [Fact]
    [Trait("Spec", "RFC9396-7")]
    public async Task Resources_ByConstraint_AreReadWhereItAdmits()
    {
        string details = $$"""[{"type":"mcp_tool_call","locations":["{{Host.Resource}}"],"actions":["resources/read"],"resources":[{"constraint_type":"prefix","value":"file:///public/"}]}]""";
        Answer allowed = await Host.Do("resources/read", "\"uri\":\"file:///public/readme\"", Server.Token(new() { Details = details }), "file:///public/readme");
        Assert.Equal("read me", allowed.Result.GetProperty("contents")[0].GetProperty("text").GetString());
        Answer denied = await Host.Do("resources/read", "\"uri\":\"file:///secret\"", Server.Token(new() { Details = details }), "file:///secret");
        Assert.Equal(-32602, denied.Error);
    }

    [Fact]
    [Trait("Invariant", "4")]
    public async Task Record_OfDecisionAndOutcome_HoldsADigestAndNoArgument()
    {
        string secret = "s3cret-" + Guid.NewGuid().ToString("N");
        string token = Server.Token();
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        using HttpRequestMessage request = Host.Request(
            $$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"traceparent":"00-{{{Trace}}}-b7ad6b7169203331-01"},"name":"echo","arguments":{"text":"{{{secret}}}"} } }""",
            token, Names.Mcp.V20251125);
        Assert.Equal(secret, (await Host.Send(request)).Text);
        AuditEvent decided = await Server.Event(e => e.Type == AuditTypes.CallDecided && e.TraceId == Trace);
        AuditEvent finished = await Server.Event(e => e.Type == AuditTypes.CallFinished && e.Cause == decided.Id);
        Assert.Equal(("allow", "echo", "success", "grd_1"), (decided.Decision, decided.Tool, finished.Outcome, decided.Node));
        byte[] mac = System.Security.Cryptography.HMACSHA256.HashData(new byte[32], System.Text.Encoding.UTF8.GetBytes($$"""{"text":"{{secret}}"}"""));
        Assert.Equal("v1:" + Base64Url.Encode(mac), decided.ArgsDigest);
        Assert.DoesNotContain(Server.Events(), e => JsonSerializer.Serialize(e).Contains(secret, StringComparison.Ordinal) || JsonSerializer.Serialize(e).Contains(token, StringComparison.Ordinal));
        Server.VerifyChain();
    }

    [Fact]
    public async Task Handler_ThatFails_IsRecordedAsAnError()
    {
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        Assert.True((await Host.CallTool("fail", "{}", Server.Token(new() { Jti = jti }))).IsError);
        AuditEvent finished = await Server.Event(e => e.Type == AuditTypes.CallFinished && e.Jti == jti);
        Assert.Equal("error", finished.Outcome);
    }

    private async Task<(int, string?)> Denied(string tool, string arguments, string token)
    {
        Answer answer = await Host.CallTool(tool, arguments, token);
        return (answer.Status, answer.Denial);
    }

    private string Details(string tools) => MessageTests.Details(Host.Resource, tools);
}
