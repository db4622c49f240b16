using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpGuard.Sdk.Tests;

namespace McpGuard.Gateway.Tests;

/// <summary>What goes to an upstream, and what comes back.</summary>
public sealed class RelayTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private readonly FakeAuthorizationServer server = fixture.Server;
    private readonly TestGateway gateway = fixture.Gateway;

    public static TheoryData<string> Versions => [Names.Mcp.V20260728, Names.Mcp.V20251125, Names.Mcp.V20250618];

    [Theory, MemberData(nameof(Versions))]
    public async Task Call_ThatIsAllowed_RunsAtTheUpstream_AndIsOnRecord(string version)
    {
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        Answer answer = await gateway.CallTool("echo", """{"text":"hällo"}""", server.Token(new() { Jti = jti }), version);
        Assert.Equal((200, "hällo"), (answer.Status, answer.Text));
        AuditEvent decided = await server.Event(e => e.Type == AuditTypes.CallDecided && e.Jti == jti);
        Assert.Equal(("echo", "allow"), (decided.Tool, decided.Decision));
        Assert.Equal("success", (await server.Event(e => e.Type == AuditTypes.CallFinished && e.Cause == decided.Id)).Outcome);
    }

    [Fact]
    [Trait("Attack", "149")]
    [Trait("Spec", "MCP-authorization")]
    [Trait("Invariant", "8")]
    public async Task NothingOfTheCallers_ButItsArguments_ReachesTheUpstream()
    {
        string token = server.Token();
        string body = TestGateway.Call("echo", """{"text":"wire"}""").Replace("\"_meta\":{", "\"requestState\":\"secret-state\",\"_meta\":{\"secret\":\"secret-meta\",\"progressToken\":\"secret-progress\",", StringComparison.Ordinal);
        using HttpRequestMessage request = gateway.Request(body, token, "tools/call", "echo");
        request.Headers.Add("baggage", "secret=secret-baggage");
        request.Headers.Add("traceparent", "00-5ec8e75ec8e75ec8e75ec8e75ec8e75e-5ec8e75ec8e75ec8-01");
        request.Headers.Add("X-Secret", "secret-header");
        request.Headers.Add("Cookie", "a=secret-cookie");
        using HttpResponseMessage response = await gateway.Http.SendAsync(request);
        Assert.Equal("wire", (await Answer.Read(response)).Text);
        string sent = gateway.Read("stdin");
        Assert.Contains("wire", sent, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", sent, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("5ec8e7", sent, StringComparison.Ordinal);
        Assert.DoesNotContain("Bearer", sent, StringComparison.Ordinal);
        Assert.DoesNotContain(token.Split('.')[1], sent, StringComparison.Ordinal);
        Assert.DoesNotContain(gateway.Logged, l => l.Contains(token.Split('.')[1], StringComparison.Ordinal) || l.Contains("wire", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Call_ThatIsDenied_NeverReachesTheUpstream()
    {
        string other = server.Token(new() { Details = Details("""{"who":{}}""") });
        Assert.Equal("not_in_task", (await gateway.CallTool("echo", """{"text":"unseen"}""", other)).Denial);
        string narrow = server.Token(new() { Details = Details("""{"echo":{"args":{"text":{"constraint_type":"prefix","value":"ok"}}}}""") });
        Assert.Equal("argument_denied", (await gateway.CallTool("echo", """{"text":"unseen"}""", narrow)).Denial);
        Assert.Equal("not_in_task", (await gateway.CallTool("bad", "{}")).Denial);
        Assert.Equal(401, (await gateway.CallTool("echo", """{"text":"unseen"}""", "no.token.atall")).Status);
        Assert.Equal("ok then", (await gateway.CallTool("echo", """{"text":"ok then"}""", narrow)).Text);
        Assert.DoesNotContain("unseen", gateway.Read("stdin"), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Versions))]
    public async Task Result_WithWhatNobodyHereKnows_IsRelayedAsItCame(string version)
    {
        Answer answer = await gateway.CallTool("odd", version: version);
        JsonElement result = answer.Result;
        Assert.Equal("""[{"type":"hologram","depth":1.50,"é":"\"id\":9}"}]""", Raw(result, "content"));
        Assert.Equal("""{"a":[1,2.0,null]}""", Raw(result, "structuredContent"));
        Assert.Equal("""{"x":true}""", Raw(result, "futureMember"));
        Assert.Equal(1, result.GetProperty("_meta").GetProperty("theirs").GetInt32());
        // Only the guard says what the guard denied.
        Assert.Null(answer.Denial);
        Assert.Equal(version == Names.Mcp.V20260728, result.TryGetProperty("resultType", out JsonElement type) && type.ValueEquals("complete"));
    }

    [Theory, MemberData(nameof(Versions))]
    public async Task ToolsList_ShowsWhatTheTokenHolds_AsTheUpstreamListsIt(string version)
    {
        Answer all = await gateway.Do("tools/list", "", server.Token(), version: version);
        JsonElement[] tools = [.. all.Result.GetProperty("tools").EnumerateArray()];
        Assert.Equal(GatewayFixture.Tools.Order(), tools.Select(t => t.GetProperty("name").GetString()).Order());
        Assert.All(tools, t => Assert.Equal("kept", t.GetProperty("x-odd").GetString()));
        Assert.Contains(gateway.Logged, l => l.Contains("The tool bad?name! is not offered", StringComparison.Ordinal));
        Answer one = await gateway.Do("tools/list", "", server.Token(new() { Details = Details("""{"echo":{}}""") }), version: version);
        Assert.Equal("echo", Assert.Single(one.Result.GetProperty("tools").EnumerateArray()).GetProperty("name").GetString());
        if (version == Names.Mcp.V20260728) Assert.Equal("private", one.Result.GetProperty("cacheScope").GetString());
    }

    [Fact]
    public async Task Progress_ReachesItsCaller_WithTheCallersToken_AndNoOtherNewsDoes()
    {
        Task<string> Run(string tool, string token) => Raw(tool, $"\"progressToken\":\"{token}\"");
        string[] told = await Task.WhenAll(Run("progress", "mine"), Run("progress", "yours"), Run("noise", "third"));
        for (int i = 1; i <= 3; i++)
        {
            Assert.Contains($"\"step {i}\"", told[0], StringComparison.Ordinal);
            Assert.Contains($"\"step {i}\"", told[1], StringComparison.Ordinal);
        }
        Assert.Contains("\"mine\"", told[0], StringComparison.Ordinal);
        Assert.DoesNotContain("yours", told[0], StringComparison.Ordinal);
        Assert.Contains("\"yours\"", told[1], StringComparison.Ordinal);
        Assert.DoesNotContain("mine", told[1], StringComparison.Ordinal);
        Assert.Contains("quiet", told[2], StringComparison.Ordinal);
        Assert.All(told, t => Assert.DoesNotContain("leak", t, StringComparison.Ordinal));
        // Who asks for none gets none, and the upstream is not asked for any.
        Assert.Equal("none", (await gateway.CallTool("progress")).Text);

        async Task<string> Raw(string tool, string meta)
        {
            using HttpRequestMessage request = gateway.Request(TestGateway.Call(tool).Replace("\"_meta\":{", $"\"_meta\":{{{meta},", StringComparison.Ordinal), server.Token(), "tools/call", tool);
            using HttpResponseMessage response = await gateway.Http.SendAsync(request);
            return await response.Content.ReadAsStringAsync();
        }
    }

    [Fact]
    public async Task RequestOfTheUpstreams_IsRefused() => Assert.Equal("answered -32601", (await gateway.CallTool("ask")).Text);

    [Fact]
    public async Task Result_ThatIsTooLarge_IsRefused_AndNobodyElsePays()
    {
        string before = (await gateway.CallTool("who")).Text;
        Task<Answer> beside = gateway.CallTool("progress");
        Answer answer = await gateway.CallTool("big");
        Assert.True(answer.IsError);
        Assert.Contains("larger than is allowed", answer.Text, StringComparison.Ordinal);
        Assert.False((await beside).IsError);
        Assert.Equal(before, (await gateway.CallTool("who")).Text);
    }

    [Theory]
    [InlineData("fails", "it broke")]
    [InlineData("malformed", "could not be understood")]
    public async Task Result_ThatIsAnError_IsForTheModel_AndOnRecord(string tool, string text)
    {
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        Answer answer = await gateway.CallTool(tool, token: server.Token(new() { Jti = jti }));
        Assert.True(answer.IsError);
        Assert.Contains(text, answer.Text, StringComparison.Ordinal);
        Assert.Equal("error", (await server.Event(e => e.Type == AuditTypes.CallFinished && e.Jti == jti)).Outcome);
    }

    [Fact]
    public async Task Error_WithACodeOfTheGuards_ArrivesAsTheUpstreamsFailure()
    {
        Answer answer = await gateway.CallTool("rpc_error");
        Assert.Equal((200, -32603), (answer.Status, answer.Error));
        Assert.Contains("Not your header.", answer.Body, StringComparison.Ordinal);
        Assert.DoesNotContain("(remote)", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Caller_WhoGoesAway_CancelsItsCallAtTheUpstream()
    {
        using HttpRequestMessage request = gateway.Request(TestGateway.Call("hang"), server.Token(), "tools/call", "hang");
        using var leave = new CancellationTokenSource();
        Task<HttpResponseMessage> call = gateway.Http.SendAsync(request, HttpCompletionOption.ResponseContentRead, leave.Token);
        await gateway.FileHolds("stdin", "\"hang\"");
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        JsonNode sent = JsonNode.Parse(gateway.Read("stdin").Split('\n').Last(l => l.Contains("\"hang\"", StringComparison.Ordinal)))!;
        await gateway.FileHolds("cancelled", $"\"requestId\":{sent["id"]!.ToJsonString()}");
    }

    [Theory, MemberData(nameof(Versions))]
    [Trait("Attack", "142")]
    public async Task ResourcesPromptsAndCompletion_AreGovernedAndRelayed(string version)
    {
        string token = server.Token(new() { Details =
            $$"""[{"type":"mcp_tool_call","locations":["{{gateway.Resource}}"],"actions":["resources/read","prompts/get"],"resources":[{"constraint_type":"prefix","value":"file:///public/"}],"prompts":["greet"]}]""" });
        Answer list = await gateway.Do("resources/list", "", token, version: version);
        JsonElement shown = Assert.Single(list.Result.GetProperty("resources").EnumerateArray());
        Assert.Equal("""{"uri":"file:///public/a","name":"a","odd":1}""", shown.GetRawText());
        Assert.Equal("more", list.Result.GetProperty("nextCursor").GetString());
        Answer read = await gateway.Do("resources/read", "\"uri\":\"file:///public/a\"", token, "file:///public/a", version);
        Assert.Equal("""[{"uri":"file:///public/a","text":"read it","odd":true}]""", Raw(read.Result, "contents"));
        Answer denied = await gateway.Do("resources/read", "\"uri\":\"file:///private/b\"", token, "file:///private/b", version);
        Assert.Equal(-32602, denied.Error);
        Assert.DoesNotContain("private/b", gateway.Read("stdin"), StringComparison.Ordinal);

        Answer prompts = await gateway.Do("prompts/list", "", token, version: version);
        Assert.Equal("""[{"name":"greet"}]""", Raw(prompts.Result, "prompts"));
        Assert.Contains("Say hello.", (await gateway.Do("prompts/get", "\"name\":\"greet\"", token, "greet", version)).Body, StringComparison.Ordinal);
        Assert.Equal(-32602, (await gateway.Do("prompts/get", "\"name\":\"other\"", token, "other", version)).Error);

        Answer completed = await gateway.Do("completion/complete", """ "ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"a","value":"h"}""", token, version: version);
        Assert.Equal("""{"values":["hello"],"total":1,"hasMore":false}""", Raw(completed.Result, "completion"));
        Assert.Equal(-32602, (await gateway.Do("completion/complete", """ "ref":{"type":"ref/prompt","name":"other"},"argument":{"name":"a","value":"h"}""", token, version: version)).Error);
        // The upstream has no templates, and says so in its own way.
        Assert.Equal(version == Names.Mcp.V20260728 ? 404 : 200, (await gateway.Do("resources/templates/list", "", token, version: version)).Status);
    }

    [Fact]
    public async Task WhatWouldReachOtherCallers_IsNotForwarded()
    {
        string token = server.Token();
        await gateway.Do("logging/setLevel", "\"level\":\"debug\"", token, version: Names.Mcp.V20251125);
        Assert.Equal(-32601, (await gateway.Do("resources/subscribe", "\"uri\":\"file:///public/a\"", token, version: Names.Mcp.V20251125)).Error);
        using HttpRequestMessage listen = gateway.Request(
            ToolHost.Message("subscriptions/listen", "\"notifications\":{\"resourceSubscriptions\":[\"file:///public/a\"]}"), server.Token(new() { Scope = "resources:read" }), "subscriptions/listen", null);
        using var leave = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            using HttpResponseMessage response = await gateway.Http.SendAsync(listen, HttpCompletionOption.ResponseContentRead, leave.Token);
        }
        catch (OperationCanceledException)
        {
            // A stream on which nothing comes.
        }
        string sent = gateway.Read("stdin");
        Assert.DoesNotContain("setLevel", sent, StringComparison.Ordinal);
        Assert.DoesNotContain("subscri", sent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Discover_SaysNothingOfTheUpstreams()
    {
        Answer discovered = await gateway.Do("server/discover", "", server.Token());
        Assert.Equal(200, discovered.Status);
        Assert.Contains("mcpguard-gateway", discovered.Body, StringComparison.Ordinal);
        // Instructions are words for the model that nobody approved.
        Assert.DoesNotContain("Ignore the guard", discovered.Body, StringComparison.Ordinal);
        Answer initialized = await gateway.Do("initialize", """ "protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}""", server.Token(), version: Names.Mcp.V20251125);
        Assert.DoesNotContain("Ignore the guard", initialized.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StandardError_IsInTheLog_BoundedAndWithoutSecrets()
    {
        Assert.Equal("said", (await gateway.CallTool("loud")).Text);
        await TestGateway.Until(() => Task.FromResult(gateway.Logged.Any(l => l.StartsWith("stderr: token=***", StringComparison.Ordinal))), "stderr in the log");
        string[] lines = [.. gateway.Logged.Where(l => l.StartsWith("stderr:", StringComparison.Ordinal))];
        Assert.All(lines, l => Assert.True(l.Length < 1100 && !l.Any(char.IsControl), l));
        Assert.InRange(lines.Length, 1, 100);
        Assert.DoesNotContain(gateway.Logged, l => l.Contains(TestGateway.Token, StringComparison.Ordinal) || l.Contains(FakeAuthorizationServer.Secret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Environment_OfTheProcess_IsWhatWasConfigured_AndNoOther()
    {
        JsonObject seen = JsonNode.Parse(gateway.Read("env"))!.AsObject();
        Assert.Equal("plain", seen["PLAIN"]!.GetValue<string>());
        Assert.Equal("passed on", seen["PASSED"]!.GetValue<string>());
        Assert.Equal(TestGateway.Token, seen["UPSTREAM_TOKEN"]!.GetValue<string>());
        string[] allowed = ["PLAIN", "PASSED", "UPSTREAM_TOKEN", "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "DOTNET_TieredPGO"];
        Assert.Empty(seen.Select(v => v.Key).Except(allowed));
        await Task.CompletedTask;
    }

    private string Details(string tools) => $$"""[{"type":"mcp_tool_call","locations":["{{gateway.Resource}}"],"actions":["tools/call"],"tools":{{tools}}}]""";

    /// <summary>A member, as it was written but for escapes.</summary>
    private static string Raw(JsonElement result, string member) => JsonNode.Parse(result.GetProperty(member).GetRawText())!.ToJsonString(Readable);

    private static readonly JsonSerializerOptions Readable = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
