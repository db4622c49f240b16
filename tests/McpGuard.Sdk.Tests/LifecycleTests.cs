using System.Collections.Concurrent;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>Enrolment, restart, the audit's absence, and policies that misbehave.</summary>
public sealed class LifecycleTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "write");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Fact]
    public async Task Restart_UsesTheSameIdentityAndCarriesTheChainOn()
    {
        using var state = new TempDirectory();
        string resource;
        await using (ToolHost first = await ToolHost.StartAsync(server, state: state))
        {
            resource = first.Resource;
            Assert.Equal(200, (await first.CallTool("echo", """{"text":"1"}""", server.Token())).Status);
            await server.Event(e => e.Type == AuditTypes.CallFinished);
        }
        await using ToolHost second = await ToolHost.StartAsync(server, o => (o.Resource, o.EnrolmentSecret) = (resource, null), state: state);
        server.Resource = resource;
        Assert.Equal(1, server.Enrolments);
        Assert.Equal(200, (await second.CallTool("echo", """{"text":"2"}""", server.Token())).Status);
        await server.Event(e => e.Type == AuditTypes.CallFinished && server.Events().Count(f => f.Type == AuditTypes.CallFinished) == 2);
        server.VerifyChain();
        if (!OperatingSystem.IsWindows())
        {
            foreach (string file in new[] { "guard.key", "guard.json" })
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(state[file]));
        }
        Assert.DoesNotContain(FakeAuthorizationServer.Secret, await File.ReadAllTextAsync(state["guard.json"]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task StateDirectory_InUse_StopsTheSecondProcess()
    {
        using var state = new TempDirectory();
        await using ToolHost first = await ToolHost.StartAsync(server, state: state);
        await Assert.ThrowsAsync<InvalidOperationException>(() => ToolHost.StartAsync(server, state: state));
    }

    [Fact]
    [Trait("Invariant", "4")]
    public async Task Start_WithoutAServer_RefusesUntilTheSnapshotIsThere()
    {
        using var state = new TempDirectory();
        server.Down = true;
        await using ToolHost host = await ToolHost.StartAsync(server, state: state, wait: false);
        Assert.Equal(401, (await host.CallTool("echo", """{"text":"early"}""", null)).Status);
        Assert.Equal(503, (await host.CallTool("echo", """{"text":"early"}""", server.Token())).Status);
        using HttpResponseMessage health = await host.Http.GetAsync(host.Url(Names.Paths.HealthReady));
        Assert.Equal(503, (int)health.StatusCode);
        Assert.Contains("not_enrolled", await health.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(200, (int)(await host.Http.GetAsync(host.Url(Names.Paths.HealthLive))).StatusCode);
        server.Down = false;
        await host.Ready();
        Assert.Equal(200, (await host.CallTool("echo", """{"text":"late"}""", server.Token())).Status);
        Assert.DoesNotContain("echo early", host.Runs.All);
    }

    [Fact]
    [Trait("Invariant", "4")]
    public async Task Audit_ThatCannotBeWritten_DeniesAndTurnsReadinessFalse()
    {
        await using ToolHost host = await ToolHost.StartAsync(server);
        host.Services.GetRequiredService<Sdk.Audit.Spool>().Dispose();
        Answer answer = await host.CallTool("echo", """{"text":"unrecorded"}""", server.Token());
        Assert.Equal("guard_unavailable", answer.Denial);
        Assert.DoesNotContain("echo unrecorded", host.Runs.All);
        await host.Ready(ready: false);
    }

    [Fact]
    public async Task Audit_NotAcknowledged_IsDeliveredAgainInOrder()
    {
        await using ToolHost host = await ToolHost.StartAsync(server);
        server.AuditRefused = true;
        for (int i = 0; i < 5; i++) await host.CallTool("echo", $$"""{"text":"{{i}}"}""", server.Token());
        await Task.Delay(500);
        Assert.Empty(server.Events());
        server.AuditRefused = false;
        await server.Event(_ => server.Events().Count(e => e.Type == AuditTypes.CallDecided) == 5);
        server.VerifyChain();
    }

    [Fact]
    public async Task Refusals_InAFlood_AreCountedNotMultiplied()
    {
        await using ToolHost host = await ToolHost.StartAsync(server);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; i < 50; i++) await host.CallTool("echo", "{}", "not.a.token");
        })));
        // In the next second one is recorded again, with the count of those that were not.
        await Task.Delay(1100);
        await host.CallTool("echo", "{}", "not.a.token");
        // The record is in order: behind this, no refusal is still on its way.
        await host.CallTool("echo", """{"text":"last"}""", server.Token(new() { Jti = "at_last" }));
        await server.Event(e => e.Jti == "at_last");
        var refused = server.Events().Where(e => e.Type == AuditTypes.CallRefused).ToList();
        Assert.True(refused.Count < 401, $"{refused.Count} events");
        Assert.Equal(401, refused.Sum(e => (int?)e.Data?["count"] ?? 1));
    }

    [Theory]
    [Trait("Attack", "145")]
    [InlineData("throws", "policy_denied: policy_error")]
    [InlineData("null", "policy_denied: policy_error")]
    [InlineData("slow", "policy_denied: policy_timeout")]
    [InlineData("blocks", "policy_denied: policy_timeout")]
    [InlineData("denies", "policy_denied: too_late_in_the_day")]
    public async Task Policy_ThatDoesNotAllow_Denies(string how, string reason)
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Policy = new Misbehaving(how));
        Answer answer = await host.CallTool("echo", """{"text":"policy"}""", server.Token());
        Assert.Equal("policy_denied", answer.Denial);
        Assert.DoesNotContain("too_late", answer.Body, StringComparison.Ordinal);
        Assert.Empty(host.Runs.All);
        AuditEvent decided = await server.Event(e => e.Type == AuditTypes.CallDecided);
        Assert.Equal(reason, decided.Reason);
        if (how == "denies") Assert.Equal(("hash-1", "p1"), (decided.PolicyHash, decided.PolicyIds!.Single()));
    }

    [Fact]
    public async Task Policy_SeesWhatTheHandlerGets_AndOnlyAfterTheAuthority()
    {
        var policy = new Watching();
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Policy = policy);
        Assert.Equal("not_in_task", (await host.CallTool("refund", """{"order_id":"o"}""", server.Token())).Denial);
        Assert.Empty(policy.Seen);
        string token = server.Token(new() { Scope = "tool:refund", Actors = ["agt_42", "agt_1"], Groups = ["grp_support", "grp_all"] });
        Assert.Equal("refunded", (await host.CallTool("refund", """{"order_id":"o-1"}""", token)).Text);
        CallContext seen = Assert.Single(policy.Seen);
        Assert.Equal(("refund", "write", "usr_7", "agt_42", 500), (seen.Tool, seen.Sensitivity, seen.Subject, seen.Agent, seen.Arguments.GetProperty("amount").GetInt32()));
        Assert.Equal(["agt_42", "agt_1"], seen.Chain);
        Assert.Equal(["grp_support", "grp_all"], seen.Groups);
    }

    [Fact]
    [Trait("Attack", "162")]
    [Trait("Invariant", "8")]
    public async Task Secrets_OfCallsAndRefusals_AreInNoLogAndNoEvent()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Policy = new Misbehaving("allows"));
        string good = server.Token(), expired = server.Token(new() { Expires = DateTimeOffset.UtcNow.AddMinutes(-2) });
        Assert.Equal(200, (await host.CallTool("echo", """{"text":"hush-hush"}""", good)).Status);
        Assert.Equal("argument_denied", (await host.CallTool("echo", """{"text":"hush-hush","hush-name":1}""", good)).Denial);
        await host.CallTool("hush-tool", """{"text":"hush-hush"}""", good);
        await host.CallTool("echo", """{"text":"hush-hush"}""", expired);
        server.Inactive["x"] = true;
        server.FeedDown = true;
        await Task.Delay(Limits.GuardStale + TimeSpan.FromSeconds(1));
        await host.CallTool("echo", """{"text":"hush-hush"}""", good);
        await server.Event(e => e.Type == AuditTypes.CallRefused && e.Reason == "expired");
        string[] secrets = [FakeAuthorizationServer.Secret, "hush-hush", "hush-name", "hush-tool", good.Split('.')[2], expired.Split('.')[2], good.Split('.')[1]];
        foreach (string secret in secrets)
        {
            Assert.DoesNotContain(host.Logged, l => l.Contains(secret, StringComparison.Ordinal));
            Assert.DoesNotContain(server.Events(), e => JsonSerializer.Serialize(e).Contains(secret, StringComparison.Ordinal));
        }
    }

    [Fact]
    [Trait("Invariant", "7")]
    public async Task Filter_ThatChangesTheCallAfterTheDecision_IsCaughtNextToTheHandler()
    {
        string change = "";
        await using ToolHost host = await ToolHost.StartAsync(server, services: s => s.AddMcpServer().WithRequestFilters(f => f.AddCallToolFilter(next => (call, ct) =>
        {
            if (change == "argument") call.Params!.Arguments!["text"] = JsonSerializer.SerializeToElement("changed");
            if (change == "extra") call.Params!.Arguments!["more"] = JsonSerializer.SerializeToElement(1);
            if (change == "tool") call.Params!.Name = "refund";
            return next(call, ct);
        })));
        string token = server.Token();
        Assert.Equal("same", (await host.CallTool("echo", """{"text":"same"}""", token)).Text);
        foreach (string one in new[] { "argument", "extra", "tool" })
        {
            change = one;
            Answer answer = await host.CallTool("echo", """{"text":"decided"}""", token);
            Assert.Equal(-32600, answer.Error);
        }
        Assert.Equal(["echo same"], host.Runs.All);
        await server.Event(e => e.Type == AuditTypes.CallFinished && e.Reason == "not_run");
    }

    /// <summary>A call that is made again, also after a failure, is another call: it has its own decision, its place in the budget and its line on record.</summary>
    [Theory]
    [Trait("Invariant", "4")]
    [Trait("Invariant", "7")]
    [InlineData("echo", """{"text":"once"}"""), InlineData("fail", "{}")]
    public async Task Filter_ThatCallsOnTwice_RunsTheHandlerOnce(string tool, string arguments)
    {
        server.Approve("fail", "read");
        await using ToolHost host = await ToolHost.StartAsync(server, services: s => s.AddMcpServer().WithRequestFilters(f => f.AddCallToolFilter(next => async (call, ct) =>
        {
            try
            {
                await next(call, ct);
            }
            catch (InvalidOperationException)
            {
            }
            return await next(call, ct);
        })));
        Assert.Equal(-32600, (await host.CallTool(tool, arguments, server.Token())).Error);
        Assert.Single(host.Runs.All);
    }

    /// <summary>A filter of the host that does not look at its token is between the decision and the handler when the authority ends, or the caller leaves.</summary>
    [Theory]
    [Trait("Invariant", "6")]
    [Trait("Invariant", "7")]
    [InlineData("revoked"), InlineData("left")]
    public async Task Handler_ThatHasNotBegunWhenTheRequestWasOver_DoesNotRun(string how)
    {
        server.Approve("own", "write");
        var runs = new ConcurrentQueue<string>();
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waits = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using ToolHost host = await ToolHost.StartAsync(server, services: s => s.AddSingleton<McpServerTool>(new Own(runs)).AddMcpServer().WithRequestFilters(f => f.AddCallToolFilter(next => async (call, ct) =>
        {
            waits.TrySetResult();
            await go.Task;
            return await next(call, ct);
        })));
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow), token = server.Token(new() { Scope = "tool:own", Jti = jti });
        using var patience = new CancellationTokenSource();
        using HttpRequestMessage request = host.Request(ToolHost.Call("own", "{}"), token);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "own");
        Task<HttpResponseMessage> sent = host.Http.SendAsync(request, patience.Token);
        await waits.Task;
        if (how == "revoked") server.Revoke(jti);
        else await patience.CancelAsync();
        AuditEvent finished = await server.Event(e => e.Type == AuditTypes.CallFinished && e.Jti == jti);
        Assert.Equal("not_run", finished.Reason);
        go.SetResult();
        try
        {
            (await sent).Dispose();
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
        }
        await Task.Delay(1000);
        Assert.Empty(runs);
    }

    /// <summary>An operator does what a damaged spool's message says. The server takes the numbers that come for those it has.</summary>
    [Fact]
    [Trait("Attack", "159")]
    public async Task Spool_MovedAway_ItsSuccessorsEntriesAreNotTakenForDelivered()
    {
        using var state = new TempDirectory();
        string resource;
        await using (ToolHost first = await ToolHost.StartAsync(server, state: state))
        {
            resource = first.Resource;
            for (int i = 0; i < 5; i++) await first.CallTool("echo", """{"text":"a"}""", server.Token(new() { Jti = $"at_{i}" }));
            await server.Event(e => e is { Type: AuditTypes.CallFinished, Jti: "at_4" });
        }
        foreach (string segment in Directory.GetFiles(state.Path, "*.spool", SearchOption.AllDirectories)) File.Delete(segment);
        await using ToolHost second = await ToolHost.StartAsync(server, o => o.Resource = resource, state: state);
        server.Resource = resource;
        await second.CallTool("echo", """{"text":"b"}""", server.Token(new() { Jti = "at_later" }));
        await Task.Delay(3000);
        bool delivered = server.Events().Any(e => e.Jti == "at_later");
        long waiting = second.Services.GetRequiredService<McpGuard.Sdk.Audit.AuditDelivery>().Waiting;
        Assert.True(delivered || waiting > 0, "The call's record is neither at the server nor waiting.");
    }

    [Fact]
    [Trait("Spec", "MCP-2026-07-28-mrtr")]
    public async Task InputRequired_IsNoFailure_AndWhatComesBackIsDecidedAnew()
    {
        server.Approve("ask", "write");
        await using ToolHost host = await ToolHost.StartAsync(server, services: s => s.AddMcpServer().WithTools([McpServerTool.Create(
            (RequestContext<CallToolRequestParams> call) => call.Params!.RequestState is "asked" ? "answered"
                : throw new InputRequiredException(new Dictionary<string, InputRequest> { ["who"] = InputRequest.ForElicitation(new() { Message = "Who?", RequestedSchema = new() }) }, "asked"),
            new() { Name = "ask" })]));
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow), token = server.Token(new() { Scope = "tool:ask", Jti = jti });
        Answer first = await Ask(host, token, "");
        Assert.Equal("input_required", first.Result.GetProperty("resultType").GetString());
        AuditEvent asked = await server.Event(e => e.Type == AuditTypes.CallFinished && e.Jti == jti);
        Assert.Equal(("success", "input_required"), (asked.Outcome, asked.Reason));

        // The state that was given out is no permission.
        const string Retry = "\"requestState\":\"asked\",\"inputResponses\":{\"who\":{\"action\":\"accept\",\"content\":{}}},";
        Assert.Equal("not_in_task", (await Ask(host, server.Token(), Retry)).Denial);
        Assert.Equal("answered", (await Ask(host, token, Retry)).Text);
        await server.Event(e => e.Type == AuditTypes.CallFinished && e.Jti == jti && e.Cause != asked.Cause && e is { Outcome: "success", Reason: null });

        static async Task<Answer> Ask(ToolHost host, string token, string retry)
        {
            using HttpRequestMessage request = host.Request(ToolHost.Call("ask", "{}").Replace("\"arguments\":", retry + "\"arguments\":", StringComparison.Ordinal), token);
            request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
            request.Headers.Add(Names.Mcp.NameHeader, "ask");
            return await host.Send(request);
        }
    }

    [Fact]
    public async Task Schema_WithAnUnsupportedKeyword_MakesTheToolUncallableNotUnchecked()
    {
        server.Approve("odd", "read");
        await using ToolHost host = await ToolHost.StartAsync(server, services: s => s.AddSingleton<McpServerTool>(new Odd()));
        Answer answer = await host.CallTool("odd", "{}", server.Token());
        Assert.Equal("not_in_task", answer.Denial);
    }

    [Theory]
    [InlineData("", "https://files.example/mcp", 0)]
    [InlineData("http://auth.example", "https://files.example/mcp", 0)]
    [InlineData("https://auth.example", "http://files.example/mcp", 0)]
    [InlineData("https://auth.example", "https://files.example/mcp?x=1", 0)]
    [InlineData("https://auth.example", "https://files.example/mcp#f", 0)]
    [InlineData("https://auth.example", "https://files.example/mcp", 61)]
    [InlineData("https://auth.example", "https://files.example/mcp", -1)]
    public void Options_ThatAreWrong_StopTheStart(string issuer, string resource, int grace) =>
        Assert.True(new McpGuardOptionsValidator().Validate(null, new McpGuardOptions { AuthorizationServer = issuer, Resource = resource, StaleReadGrace = TimeSpan.FromSeconds(grace) }).Failed);

    [Theory]
    [InlineData("")]
    [InlineData("tools:read resources:read")]
    [InlineData("tool:\"x\"")]
    [InlineData("tool:\\")]
    [InlineData("tool:\u00e9")]
    [InlineData("offline_access")]
    [Trait("Spec", "RFC6750-3")]
    public void Options_ScopeThatAChallengeMayNotName_StopsTheStart(string scope)
    {
        var options = new McpGuardOptions { AuthorizationServer = "https://auth.example", Resource = "https://files.example/mcp" };
        options.Scopes.Add(scope);
        Assert.True(new McpGuardOptionsValidator().Validate(null, options).Failed);
    }

    [Fact]
    public void Options_ThatNameOfflineAccess_StopTheStart()
    {
        var options = new McpGuardOptions { AuthorizationServer = "https://auth.example", Resource = "https://files.example/mcp", Scopes = { Names.Scopes.OfflineAccess } };
        Assert.Contains("offline_access", new McpGuardOptionsValidator().Validate(null, options).FailureMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_ThatAreRight_Pass() => Assert.Equal(
        ValidateOptionsResult.Success, new McpGuardOptionsValidator().Validate(null, new McpGuardOptions { AuthorizationServer = "https://auth.example", Resource = "https://files.example/mcp" }));

    private sealed class Misbehaving(string how) : CallPolicy
    {
        public override async ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken)
        {
            if (how == "throws") throw new InvalidOperationException("argument text must not be logged");
            if (how == "blocks") Thread.Sleep(1200);
            if (how == "slow") await Task.Delay(TimeSpan.FromSeconds(20), cancellationToken);
            return how == "null" ? null! : how == "denies" ? PolicyVerdict.Deny("too_late_in_the_day", "hash-1", ["p1"]) : PolicyVerdict.Allow();
        }
    }

    private sealed class Watching : CallPolicy
    {
        public List<CallContext> Seen { get; } = [];

        public override ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken)
        {
            Seen.Add(call);
            return new(PolicyVerdict.Allow("hash-1"));
        }
    }

    /// <summary>A tool that is no method: nothing of the SDK stands before it.</summary>
    private sealed class Own(ConcurrentQueue<string> runs) : McpServerTool
    {
        public override Tool ProtocolTool { get; } = new() { Name = "own", InputSchema = JsonElement.Parse("""{"type":"object"}""") };

        public override IReadOnlyList<object> Metadata => [];

        public override ValueTask<CallToolResult> InvokeAsync(RequestContext<CallToolRequestParams> request, CancellationToken cancellationToken = default)
        {
            runs.Enqueue("own");
            return new(new CallToolResult { Content = [new TextContentBlock { Text = "ran" }] });
        }
    }

    private sealed class Odd : McpServerTool
    {
        public override ModelContextProtocol.Protocol.Tool ProtocolTool { get; } = new()
        {
            Name = "odd", InputSchema = JsonDocument.Parse("""{"type":"object","unevaluatedProperties":false}""").RootElement,
        };

        public override IReadOnlyList<object> Metadata => [];

        public override ValueTask<ModelContextProtocol.Protocol.CallToolResult> InvokeAsync(RequestContext<ModelContextProtocol.Protocol.CallToolRequestParams> request, CancellationToken cancellationToken = default) =>
            new(new ModelContextProtocol.Protocol.CallToolResult());
    }
}
