using System.Collections.Concurrent;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>Callers of every kind at once, whose authority ends, or who leave, at any moment of their calls.</summary>
public sealed class ManyAtOnceTests : IAsyncLifetime
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(4);
    private static readonly string[] Tools = ["now", "slow", "deaf", "talk", "fail"], Versions = [Names.Mcp.V20260728, Names.Mcp.V20251125, Names.Mcp.V20250618];
    private readonly ConcurrentDictionary<string, int> runs = new(), answers = new();
    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;
    private int tasks;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        foreach (string tool in Tools) server.Approve(tool, tool == "slow" ? "write" : "read");
        host = await ToolHost.StartAsync(
            server,
            services: services => services.AddMcpServer().WithTools([
                Tool("now", (_, _) => Task.CompletedTask),
                Tool("slow", (_, stop) => Task.Delay(Random.Shared.Next(60), stop)),
                Tool("deaf", (_, _) => Task.Delay(Random.Shared.Next(400), CancellationToken.None)),
                Tool("talk", async (progress, stop) =>
                {
                    for (int i = 0; i < 5; i++)
                    {
                        progress.Report(new ProgressNotificationValue { Progress = i });
                        await Task.Delay(Random.Shared.Next(10), stop);
                    }
                }),
                Tool("fail", async (_, stop) =>
                {
                    await Task.Delay(Random.Shared.Next(20), stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    throw new McpProtocolException("No.", McpErrorCode.MethodNotFound);
                }),
            ]),
            pipeline: app => app.MapGuardedMcp("/mcp"));
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    [Trait("Attack", "143")]
    [Trait("Attack", "147")]
    [Trait("Invariant", "4")]
    [Trait("Invariant", "6")]
    public async Task EveryAnswerIsWhole_AndEveryAllowedCallHasOneEndOnRecord()
    {
        DateTimeOffset end = DateTimeOffset.UtcNow + Duration;
        await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
        {
            while (DateTimeOffset.UtcNow < end) await OneTask();
        }));
        Assert.Empty(answers.Keys.Except(["200 x", "404 -32601", "200 -32601", "401", "left", "broken"]));

        List<AuditEvent> allowed = [], finished = [];
        for (int i = 0; i < 200 && (i == 0 || finished.Count < allowed.Count); i++)
        {
            if (i > 0) await Task.Delay(100);
            IReadOnlyList<AuditEvent> events = server.Events();
            (allowed, finished) = ([.. events.Where(e => e is { Type: AuditTypes.CallDecided, Outcome: "allow" })], [.. events.Where(e => e.Type == AuditTypes.CallFinished)]);
        }
        Assert.Equal(allowed.Select(e => e.Id).Order(), finished.Select(e => e.Cause).Order());
        foreach (string tool in Tools)
        {
            int began = finished.Count(e => e.Tool == tool && e.Reason != "not_run"), succeeded = finished.Count(e => e.Tool == tool && e.Outcome == "success");
            Assert.InRange(runs[tool], succeeded, began);
        }
    }

    /// <summary>Four callers with one token, until each is refused.</summary>
    private async Task OneTask()
    {
        string task = $"tsk_{Interlocked.Increment(ref tasks)}", token = server.Token(new() { Task = task, Jti = "at_" + task, Scope = string.Join(' ', Tools.Select(t => "tool:" + t)) });
        Task[] callers = [.. Enumerable.Range(0, 4).Select(async _ =>
        {
            while (await One(token) is var answer && answer != "401") answers.AddOrUpdate(answer, 1, (_, n) => n + 1);
            answers["401"] = 1;
        })];
        await Task.Delay(Random.Shared.Next(20, 300));
        server.Revoke(task);
        await Task.WhenAll(callers);
    }

    /// <returns>The status and what the message says; an answer that is not whole looks like none that is expected.</returns>
    private async Task<string> One(string token)
    {
        string tool = Tools[Random.Shared.Next(Tools.Length)], version = Versions[Random.Shared.Next(Versions.Length)];
        using HttpRequestMessage request = host.Request(ToolHost.Call(tool, "{}", version).Replace("\"_meta\":{", "\"_meta\":{\"progressToken\":\"p\",", StringComparison.Ordinal), token, version);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, tool);
        using var patience = new CancellationTokenSource();
        if (Random.Shared.Next(8) == 0) patience.CancelAfter(Random.Shared.Next(40));
        try
        {
            using HttpResponseMessage response = await host.Http.SendAsync(request, patience.Token);
            Answer answer = await Answer.Read(response);
            return answer.Status == 401 ? "401" : $"{answer.Status} {(answer.Json is null ? $"'{answer.Body}'" : answer.Error?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? answer.Text)}";
        }
        catch (HttpRequestException)
        {
            return "broken"; // something was sent when its authority ended
        }
        catch (OperationCanceledException)
        {
            return "left";
        }
    }

    private McpServerTool Tool(string name, Func<IProgress<ProgressNotificationValue>, CancellationToken, Task> work) => McpServerTool.Create(
        async (IProgress<ProgressNotificationValue> progress, CancellationToken stop) =>
        {
            runs.AddOrUpdate(name, 1, (_, n) => n + 1);
            await work(progress, stop);
            return "x";
        }, new McpServerToolCreateOptions { Name = name });
}
