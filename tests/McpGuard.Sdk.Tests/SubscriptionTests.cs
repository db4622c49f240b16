using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Protocol;

namespace McpGuard.Sdk.Tests;

/// <summary><c>subscriptions/listen</c>: decided like a read, on record, and over when the authority is.</summary>
public sealed class SubscriptionTests : IAsyncLifetime
{
    private const string Listen = "subscriptions/listen", Readme = "file:///public/readme";
    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;
    private Action<JsonNode> meddle = _ => { };
    private int begun;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        host = await ToolHost.StartAsync(server, services: s => s.AddMcpServer()
            .WithMessageFilters(filters => filters.AddIncomingFilter(next => (message, cancel) =>
            {
                meddle((message.JsonRpcMessage as JsonRpcRequest)?.Params!);
                return next(message, cancel);
            }))
            .WithSubscriptionsListenHandler(async (request, cancel) =>
            {
                Interlocked.Increment(ref begun);
                await request.Server.SendMessageAsync(new JsonRpcNotification { Method = NotificationMethods.SubscriptionsAcknowledgedNotification, Params = new JsonObject() }, cancel);
                await Task.Delay(Timeout.InfiniteTimeSpan, cancel);
                return new EmptyResult();
            }));
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    [Theory]
    [Trait("Attack", "142")]
    [InlineData("""{"resourceSubscriptions":["file:///public/readme"]}""", "scope_not_granted")]
    [InlineData("""{"toolsListChanged":true,"resourceSubscriptions":["file:///public/readme"]}""", "scope_not_granted")]
    [InlineData("""{"resourceSubscriptions":"file:///public/readme"}""", "unknown_subscription")]
    [InlineData("""{"resourceSubscriptions":[1]}""", "unknown_subscription")]
    [InlineData("""{"toolsListChanged":"yes"}""", "unknown_subscription")]
    [InlineData("""{"everything":true}""", "unknown_subscription")]
    [InlineData("[]", "nothing_named")]
    public async Task Listen_ToWhatTheTokenMayNotRead_OrNobodyKnows_IsDeniedOnRecord(string notifications, string reason)
    {
        Answer answer = await host.Do(Listen, $"\"notifications\":{notifications}", server.Token());
        Assert.Equal((200, -32602), (answer.Status, answer.Error));
        Assert.Equal("not_in_task", answer.Json!.Value.GetProperty("error").GetProperty("data").GetProperty(Names.Mcp.DenialMeta).GetProperty("code").GetString());
        await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" } && e.Reason == "not_in_task: " + reason && (string?)e.Data?["method"] == Listen);
        Assert.Equal(0, begun);
    }

    [Fact]
    [Trait("Attack", "142")]
    public async Task Listen_ToNothing_OrWithoutParameters_IsDenied()
    {
        Assert.Equal(-32602, (await host.Do(Listen, "", server.Token())).Error);
        Assert.Equal(0, begun);
    }

    [Fact]
    [Trait("Attack", "142")]
    public async Task Listen_ToAResource_OnATokenThatCanStepUp_IsChallenged()
    {
        Answer answer = await host.Do(Listen, $$"""
            "notifications":{"resourceSubscriptions":["{{Readme}}"]}
            """, server.Token(new() { StepUp = true }));
        Assert.Equal(403, answer.Status);
        Assert.Contains("scope=\"resources:read tools:read\"", answer.Challenge, StringComparison.Ordinal);
        Assert.Equal(0, begun);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-methods")]
    [InlineData(Names.Mcp.V20251125)]
    [InlineData(Names.Mcp.V20250618)]
    public async Task Listen_OnAnOlderRevision_IsNotFound(string version)
    {
        Answer answer = await host.Do(Listen, "\"notifications\":{\"toolsListChanged\":true}", server.Token(), version: version);
        Assert.Equal(-32601, answer.Error);
        // Not by the SDK behind the guard: nothing was decided.
        await server.Event(e => e is { Type: AuditTypes.CallRefused, Reason: "unknown_method" });
        Assert.DoesNotContain(server.Events(), e => e.Type == AuditTypes.CallDecided);
        Assert.Equal(0, begun);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-subscriptions")]
    [Trait("Invariant", "4")]
    [InlineData("""{"toolsListChanged":true,"promptsListChanged":false,"resourcesListChanged":true}""", "tools:read")]
    [InlineData("""{"resourceSubscriptions":["file:///public/readme"]}""", "resources:read")]
    public async Task Listen_Allowed_IsOnRecordBeforeItRuns_AndWhenTheCallerLeft(string notifications, string scope)
    {
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        using (HttpResponseMessage response = await OpenAsync(notifications, server.Token(new() { Scope = scope, Jti = jti })))
        {
            Assert.Contains("acknowledged", await LineAsync(response), StringComparison.Ordinal);
            await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "allow" } && e.Jti == jti && (string?)e.Data?["method"] == Listen);
            Assert.DoesNotContain(server.Events(), e => e.Type == AuditTypes.CallFinished && e.Jti == jti);
        }
        AuditEvent finished = await server.Event(e => e.Type == AuditTypes.CallFinished && e.Jti == jti);
        Assert.Equal("success", finished.Outcome);
    }

    [Fact]
    [Trait("Invariant", "3")]
    public async Task Listen_WhenTheTokenEnds_Ends()
    {
        DateTimeOffset end = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 3);
        using HttpResponseMessage response = await OpenAsync("""{"toolsListChanged":true}""", server.Token(new() { Expires = end }));
        await response.Content.LoadIntoBufferAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.InRange(DateTimeOffset.UtcNow, end - TimeSpan.FromMilliseconds(500), DateTimeOffset.MaxValue);
    }

    [Fact]
    [Trait("Attack", "143")]
    [Trait("Invariant", "6")]
    public async Task Listen_WhenTheTokenIsRevoked_BreaksWithinTheBound()
    {
        using HttpResponseMessage response = await OpenAsync("""{"toolsListChanged":true}""", server.Token());
        Assert.Contains("acknowledged", await LineAsync(response), StringComparison.Ordinal);
        long revoked = Stopwatch.GetTimestamp();
        server.Revoke("tsk_1");
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.LoadIntoBufferAsync().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.True(Stopwatch.GetElapsedTime(revoked) < 5 * Limits.RevocationBound);
        await server.Event(e => e is { Type: AuditTypes.CallRefused, Reason: Names.Reasons.Revoked });
    }

    [Fact]
    [Trait("Invariant", "7")]
    public async Task Listen_ChangedAfterTheDecision_DoesNotRun()
    {
        meddle = parameters => parameters["notifications"]!["resourceSubscriptions"] = new JsonArray(Readme);
        Answer answer = await host.Do(Listen, "\"notifications\":{\"toolsListChanged\":true}", server.Token());
        Assert.Equal(-32600, answer.Error);
        Assert.Equal(0, begun);
        await server.Event(e => e is { Type: AuditTypes.CallFinished, Reason: "not_run" });
    }

    private async Task<HttpResponseMessage> OpenAsync(string notifications, string token)
    {
        using HttpRequestMessage request = host.Request(ToolHost.Message(Listen, $"\"notifications\":{notifications}"), token);
        request.Headers.Add(Names.Mcp.MethodHeader, Listen);
        HttpResponseMessage response = await host.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(200, (int)response.StatusCode);
        return response;
    }

    private static async Task<string> LineAsync(HttpResponseMessage response)
    {
        var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(20)) is { } line)
        {
            if (line.StartsWith("data:", StringComparison.Ordinal) && JsonDocument.Parse(line[5..]).RootElement.TryGetProperty("method", out JsonElement method)) return method.GetString()!;
        }
        throw new EndOfStreamException("The stream ended before it said anything.");
    }
}
