using System.Diagnostics;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>What becomes of a call whose authority ends while its handler runs.</summary>
public sealed class RunningCallTests : IAsyncLifetime
{
    private readonly TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Runs runs = new();
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("wait", "read");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Theory]
    [Trait("Attack", "143")]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    public async Task Revocation_WhileACallRuns_EndsItWithinTheBound(string version)
    {
        await using ToolHost host = await ToolHost.StartAsync(server);
        int? status = null;
        for (int i = 0; i < 5 && status is null; i++) // a machine that stands still lets the headers go before the revocation comes
        {
            Task<Answer> running = host.CallTool("wait", "{}", server.Token(new() { Task = $"tsk_run{i}" }), version);
            await host.Ran("wait", times: i + 1);
            long revoked = Stopwatch.GetTimestamp();
            server.Revoke($"tsk_run{i}");
            try
            {
                status = (await running).Status;
            }
            catch (HttpRequestException)
            {
                // The connection broke, as it must once something was sent.
            }
            await host.Ran("stopped", times: i + 1);
            Assert.True(Stopwatch.GetElapsedTime(revoked) < 5 * Limits.RevocationBound);
        }
        Assert.Equal(401, status);
    }

    /// <summary>The caller is told at once, and need not wait for a handler that does not stop; on a connection that ends with it nothing else is sent.</summary>
    [Fact]
    [Trait("Attack", "143")]
    public async Task Revocation_WhileAHandlerRunsThatDoesNotStop_IsToldAllTheSame()
    {
        await using ToolHost deaf = await Deaf(app => app.MapGuardedMcp("/mcp"));
        Answer? answer = null;
        for (int i = 0; i < 5 && answer is null; i++) // a machine that stands still lets the headers go before the revocation comes
        {
            Task<Answer> running = deaf.CallTool("wait", "{}", server.Token(new() { Task = $"tsk_deaf{i}" }));
            for (int n = 0; n < 2000 && runs.All.Count <= i; n++) await Task.Delay(5);
            server.Revoke($"tsk_deaf{i}");
            try
            {
                answer = await running;
            }
            catch (HttpRequestException)
            {
            }
        }
        Assert.Equal((401, true), (answer?.Status, answer?.Headers.ConnectionClose));
        go.SetResult();
    }

    /// <summary>Its context serves the connection's next request once it is over: what aborts it must not come after that.</summary>
    [Fact]
    [Trait("Attack", "143")]
    public async Task Revocation_WhileACallIsBeingAborted_HoldsItUntilThatIsDone()
    {
        var lifetime = new SlowAbort();
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using ToolHost deaf = await Deaf(app =>
        {
            app.Use(async (context, next) =>
            {
                bool call = HttpMethods.IsPost(context.Request.Method);
                if (call) context.Features.Set<IHttpRequestLifetimeFeature>(lifetime);
                lifetime.Own.Value = true;
                await next(context);
                if (call) over.SetResult();
            });
            app.UseRouting();
            app.MapGuardedMcp("/mcp");
        });
        Task<Answer> running = deaf.CallTool("wait", "{}", server.Token(new() { Task = "tsk_abort" }));
        await server.Event(e => e.Type == AuditTypes.CallDecided);
        server.Revoke("tsk_abort");
        await lifetime.Began.Task.WaitAsync(5 * Limits.RevocationBound);
        go.SetResult();
        await Task.Delay(200);
        Assert.False(over.Task.IsCompleted);
        lifetime.End.Set();
        await over.Task.WaitAsync(TimeSpan.FromSeconds(10));
        await running;
    }

    /// <summary>With a handler that does not stop.</summary>
    private Task<ToolHost> Deaf(Action<WebApplication> pipeline) => ToolHost.StartAsync(
        server,
        services: services => services.AddMcpServer().WithTools([McpServerTool.Create(
            async () =>
            {
                runs.All.Enqueue("wait");
                await go.Task;
                return "never";
            }, new McpServerToolCreateOptions { Name = "wait" })]),
        pipeline: pipeline);

    /// <summary>One that does not come from the request itself takes its time.</summary>
    private sealed class SlowAbort : IHttpRequestLifetimeFeature
    {
        public AsyncLocal<bool> Own { get; } = new();
        public TaskCompletionSource Began { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public ManualResetEventSlim End { get; } = new();
        public CancellationToken RequestAborted { get; set; }

        public void Abort()
        {
            if (Own.Value) return;
            Began.SetResult();
            End.Wait(TimeSpan.FromSeconds(10));
        }
    }
}
