using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpGuard.Sdk.Hosting;
using McpGuard.Sdk.Http;
using McpGuard.Sdk.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>A server of the MCP SDK runs one request after the other, all of one token; each is as if it were the only one.</summary>
public sealed class RequestServerTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<string> seen = new();
    private readonly TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;
    private Visit? last;
    private IServiceProvider? kept;
    private bool slow;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        foreach (string tool in new[] { "look", "hold" }) server.Approve(tool, "read");
        host = await ToolHost.StartAsync(server, services: services =>
        {
            services.AddHttpContextAccessor().AddScoped<Visit>().AddKeyedScoped<Visit>("other");
            services.AddMcpServer()
                .WithTools([
                    McpServerTool.Create(Look, new McpServerToolCreateOptions { Name = "look" }),
                    McpServerTool.Create(
                        async (CancellationToken cancellationToken) =>
                        {
                            seen.Enqueue("began");
                            await go.Task.WaitAsync(cancellationToken);
                            return "held";
                        }, new McpServerToolCreateOptions { Name = "hold" }),
                ])
                .WithMessageFilters(filters => filters.AddIncomingFilter(next => async (message, cancellationToken) =>
                {
                    await next(message, cancellationToken);
                    if (!slow) return;
                    await Task.Delay(300, cancellationToken);
                    seen.Enqueue($"after {message.Services!.GetRequiredService<Visit>().Over}");
                }));
        });
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task Request_OfTheSameToken_RunsInTheSameServer_WithServicesAndContextOfItsOwn()
    {
        string token = server.Token(new() { Scope = "tool:look" });
        JsonElement one = await Visited("1", token);
        Visit first = last!;
        JsonElement two = await Visited("2", token), other = await Visited("3", server.Token(new() { Scope = "tool:look", Jti = "at_other" }));

        Assert.Equal(one.GetProperty("server").GetInt32(), two.GetProperty("server").GetInt32());
        Assert.NotEqual(one.GetProperty("server").GetInt32(), other.GetProperty("server").GetInt32());
        Assert.True(first.Over);
        Assert.NotSame(first, last);
        foreach ((JsonElement answer, string visit) in new[] { (one, "1"), (two, "2"), (other, "3") })
            Assert.Equal((visit, visit, true), (answer.GetProperty("visit").GetString(), answer.GetProperty("client").GetString(), answer.GetProperty("own").GetBoolean()));
    }

    /// <summary>What a tool keeps of a request is of no use to it afterwards: it is not the next one's.</summary>
    [Fact]
    public async Task Services_OfARequestThatIsOver_AreGone()
    {
        string token = server.Token(new() { Scope = "tool:look" });
        await Visited("1", token);
        IServiceProvider before = kept!;
        Assert.Throws<ObjectDisposedException>(before.GetService<Visit>);
        Assert.Throws<ObjectDisposedException>(() => before.GetKeyedService<Visit>("other"));
        await Visited("2", token);
        Assert.Throws<ObjectDisposedException>(before.GetService<Visit>);
    }

    [Fact]
    public async Task Filter_ThatGoesOnAfterTheAnswer_HasTheServicesOfItsRequest()
    {
        slow = true;
        await Visited("1", server.Token(new() { Scope = "tool:look" }));
        for (int i = 0; i < 500 && seen.IsEmpty; i++) await Task.Delay(20);
        Assert.Equal(["after False"], seen);
    }

    [Fact]
    public async Task Request_ThatWasStopped_LeavesNoServerBehind()
    {
        string token = server.Token(new() { Scope = "tool:look tool:hold" });
        JsonElement before = await Visited("1", token);
        using (var patience = new CancellationTokenSource())
        {
            using HttpRequestMessage request = Request("hold", token);
            Task held = host.Http.SendAsync(request, patience.Token);
            for (int i = 0; i < 500 && seen.IsEmpty; i++) await Task.Delay(20);
            await patience.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => held);
        }
        Assert.NotEqual(before.GetProperty("server").GetInt32(), (await Visited("2", token)).GetProperty("server").GetInt32());
    }

    [Fact]
    public async Task Requests_AtOnce_HaveAServerEach()
    {
        string token = server.Token(new() { Scope = "tool:look tool:hold" });
        Task<Answer>[] held = [.. Enumerable.Range(0, 40).Select(_ => host.CallTool("hold", "{}", token))];
        for (int i = 0; i < 500 && seen.Count < held.Length; i++) await Task.Delay(20);
        Assert.Equal("1", (await Visited("1", token)).GetProperty("visit").GetString());
        go.SetResult();
        Assert.All(await Task.WhenAll(held), answer => Assert.Equal("held", answer.Text));
        Assert.Equal("2", (await Visited("2", token)).GetProperty("visit").GetString());
    }

    /// <summary>A revocation may come at any time, also when everything is over.</summary>
    [Fact]
    public async Task Stopped_AfterItsEnd_NothingHappens()
    {
        using var stop = new CancellationTokenSource();
        var context = new DefaultHttpContext { RequestServices = host.Services };
        var one = new RequestServer(Validated(), new McpServerOptions(), NullLoggerFactory.Instance);
        await using var answer = new AnswerBody(context.Response, statuses: true, TimeProvider.System);
        Assert.False(await one.Run(context, new JsonRpcNotification { Method = "notifications/nothing" }, answer, answer, stop.Token));
        await one.DisposeAsync();
        stop.Cancel(throwOnFirstException: true);
    }

    [Fact]
    public void Idle_AreHandedOutOnce_AndToTheirTokenOnly()
    {
        IdleServers idle = new();
        ValidatedToken mine = Validated(), other = Validated();
        RequestServer[] all = [.. Enumerable.Range(0, 100).Select(_ => new RequestServer(mine, new McpServerOptions(), NullLoggerFactory.Instance))];
        foreach (RequestServer one in all) idle.Put(one);
        Assert.Null(idle.Take(other));

        var taken = new ConcurrentBag<RequestServer>();
        Parallel.For(0, 200, _ =>
        {
            if (idle.Take(mine) is { } one) taken.Add(one);
        });
        Assert.Equal(16, taken.Count);
        Assert.Equal(16, taken.Distinct().Count());
        Assert.Contains(all[^1], taken);
        Assert.Null(idle.Take(mine));
    }

    /// <summary>Of more tokens than there is room for, those that worked last keep a server.</summary>
    [Fact]
    public void Idle_OfManyTokens_AreForgottenForNewOnes()
    {
        IdleServers idle = new();
        RequestServer[] all = [.. Enumerable.Range(0, 3000).Select(_ => new RequestServer(Validated(), new McpServerOptions(), NullLoggerFactory.Instance))];
        foreach (RequestServer one in all) idle.Put(one);
        Assert.Same(all[^1], idle.Take(all[^1].Token));
        Assert.InRange(all.Count(one => idle.Take(one.Token) is not null), 1, 1023);
    }

    private static ValidatedToken Validated() => (ValidatedToken)RuntimeHelpers.GetUninitializedObject(typeof(ValidatedToken));

    private async Task<JsonElement> Visited(string visit, string token)
    {
        using HttpRequestMessage request = Request("look", token, visit);
        JsonElement answer = JsonElement.Parse((await host.Send(request)).Text);
        // The answer is there before all of its request is put away.
        Visit made = last!;
        for (int i = 0; i < 500 && !made.Over; i++) await Task.Delay(20);
        return answer;
    }

    private HttpRequestMessage Request(string tool, string token, string visit = "0")
    {
        HttpRequestMessage request = host.Request(
            ToolHost.Call(tool, "{}").Replace("\"_meta\":{", $$"""
                "_meta":{"io.modelcontextprotocol/clientInfo":{"name":"{{visit}}","version":"1"},
                """, StringComparison.Ordinal), token);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, tool);
        request.Headers.Add(nameof(Visit), visit);
        return request;
    }

    private string Look(McpServer server, IServiceProvider services)
    {
        (last, kept) = (services.GetRequiredService<Visit>(), services);
        HttpContext context = services.GetRequiredService<IHttpContextAccessor>().HttpContext!;
        return new JsonObject
        {
            ["server"] = RuntimeHelpers.GetHashCode(server.Services), ["visit"] = context.Request.Headers[nameof(Visit)].ToString(), ["client"] = server.ClientInfo?.Name,
            ["own"] = last == context.RequestServices.GetRequiredService<Visit>(),
        }.ToJsonString();
    }

    private sealed class Visit : IDisposable
    {
        public bool Over { get; private set; }

        public void Dispose() => Over = true;
    }
}
