using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>Tools that are found while the process runs, and change.</summary>
public sealed class ToolSetTests : IAsyncLifetime
{
    private readonly ToolSet set = new();
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Pins = true;
        foreach (string tool in new[] { "one", "two" }) server.Approve(tool, "read");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Fact]
    public async Task Set_ThatIsNotKnownYet_IsNotReported_AndEveryCallIsDenied()
    {
        await using ToolHost host = await Start(wait: false);
        await Until(async () => (await Call(host, "one")).Denial == "guard_unavailable");
        Assert.Equal(0, server.ManifestReports);
        set.Replace([Tool("one", "1")]);
        await host.Ready();
        Assert.Null((await Call(host, "one")).Denial);
        Assert.Equal("not_in_task", (await Call(host, "two")).Denial);
    }

    [Fact]
    public async Task Replaced_WhatIsAsItWasGoesOn_WhatChangedIsDeniedAtOnce_AndWhatIsGoneIsUnknown()
    {
        set.Replace([Tool("one", "1"), Tool("two", "1")]);
        await using ToolHost host = await Start();
        // The server says nothing any more: what is denied from here on, the guard denies by itself.
        server.Down = true;
        for (int i = 0; i < 20; i++)
        {
            set.Replace([Tool("one", "1"), Tool("two", "2"), Tool("three", i.ToString(System.Globalization.CultureInfo.InvariantCulture))]);
            Assert.Null((await Call(host, "one")).Denial);
            Assert.Equal("tool_drifted", (await Call(host, "two")).Denial);
            Assert.Equal("not_in_task", (await Call(host, "three")).Denial);
        }
        set.Replace([Tool("one", "1")]);
        Assert.Equal("not_in_task", (await Call(host, "two")).Denial);
        server.Down = false;
        set.Replace([Tool("one", "1"), Tool("two", "1")]);
        await Until(async () => (await Call(host, "two")).Denial is null);
        Assert.True(server.ManifestReports > 1);
    }

    /// <summary>The answer that a call waits for is outdated when it comes: the call waits for the next one, not for nothing.</summary>
    [Fact]
    public async Task Changed_WhileTheAnswerToAReportIsOnItsWay_CallsWaitForTheNextAnswer()
    {
        set.Replace([Tool("one", "1"), Tool("two", "1")]);
        await using ToolHost host = await Start();
        TaskCompletionSource held = new(), go = new();
        server.ManifestAnswered = () =>
        {
            held.TrySetResult();
            return go.Task;
        };
        set.Replace([Tool("one", "1"), Tool("two", "2")]);
        await held.Task.WaitAsync(TimeSpan.FromSeconds(30));
        server.ManifestAnswered = null;
        server.ApproveAgain("two");
        await host.Ready(false);
        Task<Answer> call = Call(host, "one");
        await Task.Delay(200);
        Assert.False(call.IsCompleted);
        go.SetResult();
        Assert.Null((await call).Denial);
    }

    /// <summary>A probe takes nobody out of service for an answer that calls wait for; once they no longer do, it says so.</summary>
    [Fact]
    public async Task Changed_IsNoProblem_UntilCallsNoLongerWaitForTheAnswer()
    {
        set.Replace([Tool("one", "1")]);
        await using ToolHost host = await Start();
        TaskCompletionSource go = new();
        bool ready = false;
        for (int i = 0; i < 10 && !ready; i++) // a machine that stands still for a second makes one of them late, not all
        {
            TaskCompletionSource held = new(), release = go = new();
            server.ManifestAnswered = () =>
            {
                held.TrySetResult();
                return release.Task;
            };
            server.Changed();
            await held.Task.WaitAsync(TimeSpan.FromSeconds(30));
            ready = host.Services.GetMcpGuardProblems().Count == 0;
            if (ready) continue;
            release.SetResult();
            await host.Ready();
        }
        Assert.True(ready);

        await host.Ready(false);
        Assert.Equal(["manifest_unknown"], host.Services.GetMcpGuardProblems());
        Assert.Equal("guard_unavailable", (await Call(host, "one")).Denial);
        go.SetResult();
        await host.Ready();
        Assert.Null((await Call(host, "one")).Denial);
    }

    [Fact]
    public async Task ToolsOfTheMcpServer_ThatComeAndGo_AreReportedToo()
    {
        McpServerPrimitiveCollection<McpServerTool> tools = [McpServerTool.Create(() => "1", new McpServerToolCreateOptions { Name = "one" })];
        await using ToolHost host = await ToolHost.StartAsync(server, services: s => s.Configure<McpServerOptions>(o => o.ToolCollection = tools));
        Assert.Equal("1", (await host.CallTool("one", "{}", server.Token())).Text);
        Assert.Equal("not_in_task", (await host.CallTool("two", "{}", server.Token())).Denial);
        tools.Add(McpServerTool.Create(() => "2", new McpServerToolCreateOptions { Name = "two" }));
        await Until(async () => (await host.CallTool("two", "{}", server.Token())).Denial is null);
        Assert.Equal("2", (await host.CallTool("two", "{}", server.Token())).Text);
        tools.Clear();
        Assert.Equal("not_in_task", (await host.CallTool("two", "{}", server.Token())).Denial);
    }

    [Fact]
    [Trait("Invariant", "7")]
    public async Task Tool_ThatChangesAfterTheDecision_DoesNotRun()
    {
        set.Replace([Tool("one", "1")]);
        bool change = false;
        int runs = 0;
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.ToolSet = set, s => s.AddMcpServer()
            .WithMessageFilters(f => f.AddIncomingFilter(next => (message, cancel) =>
            {
                if (change) set.Replace([Tool("one", "2")]);
                return next(message, cancel);
            }))
            .WithCallToolHandler((_, _) =>
            {
                runs++;
                return new(new CallToolResult { Content = [] });
            }));
        await host.CallTool("one", "{}", server.Token());
        Assert.Equal(1, runs);
        change = true;
        Assert.Equal(-32600, (await host.CallTool("one", "{}", server.Token())).Error);
        Assert.Equal(1, runs);
    }

    private Task<ToolHost> Start(bool wait = true) => ToolHost.StartAsync(server, o => o.ToolSet = set, wait: wait, pipeline: app =>
    {
        app.UseMcpGuard("/mcp");
        app.Map("/mcp", async context =>
        {
            JsonNode message = (await JsonNode.ParseAsync(context.Request.Body))!;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync($$"""{"jsonrpc":"2.0","id":{{message["id"]!.ToJsonString()}},"result":{"content":[] } }""");
        });
    });

    private Task<Answer> Call(ToolHost host, string tool) => host.CallTool(tool, "{}", server.Token(), Names.Mcp.V20251125);

    private static JsonElement Tool(string name, string version) =>
        JsonDocument.Parse($$"""{"name":"{{name}}","description":"{{version}}","inputSchema":{"type":"object"} }""").RootElement;

    private static async Task Until(Func<Task<bool>> condition)
    {
        for (int i = 0; i < 400; i++)
        {
            if (await condition()) return;
            await Task.Delay(25);
        }
        throw new TimeoutException("It never came to that.");
    }
}
