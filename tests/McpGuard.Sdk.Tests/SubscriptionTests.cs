using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Protocol;

namespace McpGuard.Sdk.Tests;

/// <summary><c>subscriptions/listen</c>: decided like a read, on record, and over when the authority is.</summary>
public sealed class SubscriptionTests : IAsyncLifetime
{
    private const string Listen = "subscriptions/listen", Readme = "file:///public/readme", Lists = """{"toolsListChanged":true}""";
    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;
    private Action<JsonNode> meddle = _ => { };
    private TaskCompletionSource news = new(TaskCreationOptions.RunContinuationsAsynchronously);
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
                while (true)
                {
                    await Volatile.Read(ref news).Task.WaitAsync(cancel);
                    await request.Server.SendMessageAsync(new JsonRpcNotification { Method = NotificationMethods.ToolListChangedNotification }, cancel);
                }
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
        using (await OpenAsync(notifications, server.Token(new() { Scope = scope, Jti = jti })))
        {
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
        using Listening stream = await OpenAsync(Lists, server.Token(new() { Expires = end }));
        await stream.EndsAsync();
        Assert.InRange(DateTimeOffset.UtcNow, end - TimeSpan.FromMilliseconds(500), DateTimeOffset.MaxValue);
    }

    [Theory]
    [Trait("Attack", "143")]
    [Trait("Invariant", "6")]
    [InlineData("at_x", "jti")]
    [InlineData("grt_5", null)]
    [InlineData("grt_4", null)]
    [InlineData("tsk_1", null)]
    [InlineData("tsk_0", null)]
    [InlineData("ins_3", null)]
    [InlineData("agt_42", null)]
    [InlineData("agt_inner", null)]
    [InlineData("https://agent.example/client.json", null)]
    [InlineData("usr_7", "user")]
    [InlineData("the key", null)]
    public async Task Listen_WhenAnythingTheTokenNamesIsRevoked_BreaksWithinTheBound_AndOthersGoOn(string id, string? kind)
    {
        using Listening stream = await OpenAsync(Lists, server.Token(new() { Jti = "at_x", Actors = ["agt_42", "agt_inner"] }));
        using Listening other = await OpenAsync(Lists, server.Token(Other));
        long revoked = Stopwatch.GetTimestamp();
        if (id == "the key") server.RevokeKey();
        else server.Revoke(id, kind);
        await stream.BreaksAsync();
        Assert.True(Stopwatch.GetElapsedTime(revoked) < 5 * Limits.RevocationBound);
        await server.Event(e => e is { Type: AuditTypes.CallRefused, Reason: Names.Reasons.Revoked });
        if (id != "the key") await StillOpenAsync(other);
    }

    /// <summary>What was revoked while the guard's own connection was cut is found when that comes back.</summary>
    [Fact]
    [Trait("Attack", "143")]
    [Trait("Invariant", "6")]
    public async Task Listen_RevokedWhileTheFeedWasCut_BreaksWhenItIsBack()
    {
        using Listening stream = await OpenAsync(Lists, server.Token()), other = await OpenAsync(Lists, server.Token(Other));
        int opened = server.StreamsOpened;
        // It comes in the snapshot of the new stream alone: the feed itself never told.
        server.Snapshot.Add(new Denied("task", "tsk_1", DateTimeOffset.UtcNow.AddMinutes(10).ToUnixTimeMilliseconds()));
        Task broken = stream.BreaksAsync();
        // As long as it takes: what is cut once is only asked again.
        while (server.StreamsOpened == opened && !broken.IsCompleted)
        {
            server.BreakPolls();
            await Task.Delay(5);
        }
        await broken;
        Assert.True(server.StreamsOpened > opened);
        await StillOpenAsync(other);
    }

    /// <summary>A guard without word from the server asks at every call; of a stream it could not ask, so no stream outlasts the word.</summary>
    [Fact]
    [Trait("Attack", "143")]
    [Trait("Invariant", "6")]
    public async Task Listen_WithoutWordFromTheServer_EndsInTime_AndIsAskedAboutWhenOpenedAgain()
    {
        string token = server.Token(new() { Jti = "at_cut" });
        using Listening stream = await OpenAsync(Lists, token);
        long cut = Stopwatch.GetTimestamp();
        server.FeedDown = true;
        server.Inactive["at_cut"] = true;
        // Not broken: the stream ends as it does with its token, and the client listens again.
        await stream.EndsAsync();
        Assert.True(Stopwatch.GetElapsedTime(cut) < Limits.GuardStale + (5 * Limits.RevocationBound));
        Assert.Equal(401, (await host.Do(Listen, $"\"notifications\":{Lists}", token)).Status);
        // Another's too, while the server cannot say more; it may listen again, and again it ends.
        using Listening other = await OpenAsync(Lists, server.Token(Other));
        await other.EndsAsync();
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

    private static TokenShape Other => new() { Sub = "usr_8", Client = "c2", Grant = "grt_other", Lineage = [], Task = "tsk_other", Instance = null };

    /// <summary>What happens from now on still comes.</summary>
    private async Task StillOpenAsync(Listening stream)
    {
        Interlocked.Exchange(ref news, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        Assert.Equal(NotificationMethods.ToolListChangedNotification, await stream.NextAsync());
    }

    private async Task<Listening> OpenAsync(string notifications, string token)
    {
        using HttpRequestMessage request = host.Request(ToolHost.Message(Listen, $"\"notifications\":{notifications}"), token);
        request.Headers.Add(Names.Mcp.MethodHeader, Listen);
        HttpResponseMessage response = await host.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(200, (int)response.StatusCode);
        var stream = new Listening(response, await response.Content.ReadAsStreamAsync());
        Assert.Equal(NotificationMethods.SubscriptionsAcknowledgedNotification, await stream.NextAsync());
        return stream;
    }

    private sealed class Listening(HttpResponseMessage response, Stream content) : IDisposable
    {
        private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
        private readonly StreamReader reader = new(content);

        /// <summary>The method of the next message; null = the stream has ended.</summary>
        public async Task<string?> NextAsync()
        {
            while (await reader.ReadLineAsync().WaitAsync(Patience) is { } line)
            {
                if (line.StartsWith("data:", StringComparison.Ordinal) && JsonDocument.Parse(line[5..]).RootElement.TryGetProperty("method", out JsonElement method)) return method.GetString();
            }
            return null;
        }

        public async Task BreaksAsync() => await Assert.ThrowsAnyAsync<IOException>(NextAsync);

        public async Task EndsAsync() => Assert.Null(await NextAsync());

        public void Dispose()
        {
            reader.Dispose();
            response.Dispose();
        }
    }
}
