using System.IO.Pipelines;
using McpAuth.Protocol;
using McpGuard.Sdk.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>When what a handler sends leaves: at once, but for the last of it, which leaves with the end of the answer.</summary>
public sealed class AnswerBodyTests : IAsyncLifetime
{
    private readonly TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FakeAuthorizationServer server = null!;
    private Watched watched = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        foreach (string tool in new[] { "say", "tell", "hold", "nothing", "late" }) server.Approve(tool, "read");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Theory]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20250618)]
    public async Task LastMessage_LeavesWithTheEndOfTheAnswer(string version)
    {
        await using ToolHost host = await Start();
        Assert.Equal("said", (await host.CallTool("say", "{}", server.Token(), version)).Text);
        Assert.Equal((0, 1), (watched.Flushes, watched.Completions));
    }

    [Fact]
    public async Task Headers_LeaveByThemselvesWhenNothingElseDoes()
    {
        await using ToolHost host = await Start();
        using HttpResponseMessage response = await Begin(host, "hold", server.Token());
        Assert.Equal((1, 0), (watched.Flushes, watched.Completions));
        go.SetResult();
        Assert.Contains("\"held\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal((1, 1), (watched.Flushes, watched.Completions));
    }

    /// <summary>Before 2026-07-28 a status is of the transport alone; where the headers have left, it is what it is.</summary>
    [Theory]
    [InlineData(Names.Mcp.V20260728, "nothing", 404)]
    [InlineData(Names.Mcp.V20250618, "nothing", 200)]
    [InlineData(Names.Mcp.V20260728, "late", 200)]
    public async Task Error_IsToldByTheStatusWhereItComesFirst(string version, string tool, int status)
    {
        await using ToolHost host = await Start();
        Answer answer = await host.CallTool(tool, "{}", server.Token(), version);
        Assert.Equal(status, answer.Status);
        Assert.Contains("-32601", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Progress_LeavesAtOnce()
    {
        await using ToolHost host = await Start();
        using HttpResponseMessage response = await Begin(host, "tell", server.Token());
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await reader.ReadLineAsync() is { } line && !line.Contains("notifications/progress", StringComparison.Ordinal)) Assert.DoesNotContain("\"result\"", line, StringComparison.Ordinal);
        go.SetResult();
        Assert.Contains("\"told\"", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "143")]
    public async Task Revoked_WhenSomethingWasSent_TheConnectionEnds()
    {
        await using ToolHost host = await Start();
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        using HttpResponseMessage response = await Begin(host, "tell", server.Token(new() { Jti = jti }));
        Assert.Equal(200, (int)response.StatusCode);
        server.Revoke(jti);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsStringAsync());
        go.SetResult();
    }

    /// <summary>An answer that was written and has not left can still give way to a refusal, whatever status it had asked for.</summary>
    [Fact]
    public async Task Last_UntilItIsComplete_LeavesNothingInTheResponse()
    {
        (HttpContext context, MemoryStream sent) = Exchange();
        await using var answer = new AnswerBody(context.Response, statuses: true, TimeProvider.System);
        await answer.Last(new JsonRpcError { Error = new JsonRpcErrorDetail { Code = McpError.MethodNotFound, Message = "No." } });
        await answer.WriteAsync(new byte[3000]);
        await answer.WriteAsync(new byte[5000]);
        await answer.FlushAsync();
        Assert.True(await answer.GiveWay());
        await context.Response.BodyWriter.FlushAsync();
        Assert.Equal((404, 0), (context.Response.StatusCode, sent.Length));
    }

    /// <summary>A handler that does not stop writes on; the refusal that has taken its place stays whole.</summary>
    [Fact]
    [Trait("Attack", "143")]
    public async Task AfterItGaveWay_NothingLeaves()
    {
        (HttpContext context, MemoryStream sent) = Exchange();
        await using var answer = new AnswerBody(context.Response, statuses: true, TimeProvider.System);
        Assert.True(await answer.GiveWay());
        await answer.WriteAsync(new byte[10]);
        await answer.FlushAsync();
        await answer.Complete();
        await context.Response.BodyWriter.FlushAsync();
        Assert.Equal(0, sent.Length);
    }

    /// <summary>A handler that was stopped says so, when its call was refused already.</summary>
    [Fact]
    [Trait("Attack", "143")]
    public async Task AfterItGaveWay_AnErrorDoesNotChangeTheStatus()
    {
        (HttpContext context, _) = Exchange();
        await using var answer = new AnswerBody(context.Response, statuses: true, TimeProvider.System);
        Assert.True(await answer.GiveWay());
        context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        await answer.Last(new JsonRpcError { Error = new JsonRpcErrorDetail { Code = McpError.Internal, Message = "An error occurred." } });
        Assert.Equal(401, context.Response.StatusCode);
    }

    [Fact]
    public async Task OfWhichSomethingLeft_DoesNotGiveWay()
    {
        (HttpContext context, _) = Exchange();
        await using var answer = new AnswerBody(context.Response, statuses: true, TimeProvider.System);
        await answer.WriteAsync(new byte[10]);
        await answer.FlushAsync();
        Assert.False(await answer.GiveWay());
    }

    [Fact]
    public async Task Complete_SendsWhatWasKept()
    {
        (HttpContext context, MemoryStream sent) = Exchange();
        byte[] all = [.. Enumerable.Range(0, 20_000).Select(i => (byte)i)];
        await using var answer = new AnswerBody(context.Response, statuses: true, TimeProvider.System);
        await answer.WriteAsync(all.AsMemory(0, 100));
        await answer.FlushAsync();
        Assert.Equal(100, sent.Length);
        await answer.Last(new JsonRpcResponse { Result = null });
        await answer.WriteAsync(all.AsMemory(100, 7));
        await answer.WriteAsync(all.AsMemory(107));
        await answer.FlushAsync();
        Assert.Equal(100, sent.Length);
        await answer.Complete();
        Assert.Equal(all, sent.ToArray());
    }

    private static (HttpContext Context, MemoryStream Sent) Exchange()
    {
        var (context, sent) = (new DefaultHttpContext(), new MemoryStream());
        context.Response.Body = sent;
        return (context, sent);
    }

    /// <summary>A call whose headers have come.</summary>
    private static async Task<HttpResponseMessage> Begin(ToolHost host, string tool, string token)
    {
        string body = ToolHost.Call(tool, "{}").Replace("\"_meta\":{", "\"_meta\":{\"progressToken\":\"p\",", StringComparison.Ordinal);
        using HttpRequestMessage request = host.Request(body, token);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, tool);
        return await host.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private Task<ToolHost> Start() => ToolHost.StartAsync(
        server,
        services: services =>
        {
            services.AddMcpServer().WithTools([
                McpServerTool.Create(() => "said", new McpServerToolCreateOptions { Name = "say" }),
                McpServerTool.Create(async (IProgress<ProgressNotificationValue> progress) =>
                {
                    progress.Report(new ProgressNotificationValue { Progress = 1 });
                    await go.Task.WaitAsync(TimeSpan.FromSeconds(30));
                    return "told";
                }, new McpServerToolCreateOptions { Name = "tell" }),
                McpServerTool.Create(async () =>
                {
                    await go.Task.WaitAsync(TimeSpan.FromSeconds(30));
                    return "held";
                }, new McpServerToolCreateOptions { Name = "hold" }),
                McpServerTool.Create(string () => throw new McpProtocolException("No.", McpErrorCode.MethodNotFound), new McpServerToolCreateOptions { Name = "nothing" }),
                McpServerTool.Create(async Task<string> () =>
                {
                    for (int i = 0; i < 1000 && watched.Flushes == 0; i++) await Task.Delay(20);
                    throw new McpProtocolException("No.", McpErrorCode.MethodNotFound);
                }, new McpServerToolCreateOptions { Name = "late" }),
            ]);
        },
        pipeline: app =>
        {
            app.Use((context, next) =>
            {
                if (context.Request.Path != "/mcp") return next(context);
                watched = new Watched(context.Features.GetRequiredFeature<IHttpResponseBodyFeature>());
                context.Features.Set<IHttpResponseBodyFeature>(watched);
                return next(context);
            });
            app.UseRouting();
            app.MapGuardedMcp("/mcp");
        });

    /// <summary>Counts what is sent before the end.</summary>
    private sealed class Watched(IHttpResponseBodyFeature inner) : PipeWriter, IHttpResponseBodyFeature
    {
        public int Flushes, Completions;

        public Stream Stream => inner.Stream;

        public PipeWriter Writer => this;

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
        {
            Flushes++;
            return inner.Writer.FlushAsync(cancellationToken);
        }

        public Task CompleteAsync()
        {
            Completions++;
            return inner.CompleteAsync();
        }

        public override void Advance(int bytes) => inner.Writer.Advance(bytes);
        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.Writer.GetMemory(sizeHint);
        public override Span<byte> GetSpan(int sizeHint = 0) => inner.Writer.GetSpan(sizeHint);
        public override void CancelPendingFlush() => inner.Writer.CancelPendingFlush();
        public override void Complete(Exception? exception = null) => inner.Writer.Complete(exception);
        public Task StartAsync(CancellationToken cancellationToken = default) => inner.StartAsync(cancellationToken);
        public void DisableBuffering() => inner.DisableBuffering();
        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => inner.SendFileAsync(path, offset, count, cancellationToken);
    }
}
