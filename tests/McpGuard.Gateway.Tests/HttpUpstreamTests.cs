using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using McpAuth.Testing;
using McpGuard.Sdk.Tests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace McpGuard.Gateway.Tests;

/// <summary>An upstream over Streamable HTTP, written by hand, on a real socket.</summary>
public sealed class HttpUpstreamTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<string> seen = new();
    private readonly string address = $"http://127.0.0.1:{FreePort.Next()}";
    private FakeAuthorizationServer server = null!;
    private WebApplication? app;

    public async Task InitializeAsync()
    {
        server = await GatewayFixture.ServerAsync();
        await Start();
    }

    public async Task DisposeAsync()
    {
        await Stop();
        await server.DisposeAsync();
    }

    [Fact]
    [Trait("Attack", "149")]
    public async Task Call_GoesWithTheUpstreamsOwnCredential_AndNothingOfTheCallers()
    {
        await using TestGateway gateway = await StartGateway();
        string token = server.Token();
        using HttpRequestMessage request = gateway.Request(TestGateway.Call("echo", """{"text":"over http"}""").Replace("\"_meta\":{", "\"_meta\":{\"secret\":\"secret-meta\",", StringComparison.Ordinal), token, "tools/call", "echo");
        request.Headers.Add("baggage", "secret=secret-baggage");
        request.Headers.Add("traceparent", "00-5ec8e75ec8e75ec8e75ec8e75ec8e75e-5ec8e75ec8e75ec8-01");
        request.Headers.Add("X-Secret", "secret-header");
        using HttpResponseMessage response = await gateway.Http.SendAsync(request);
        Assert.Equal("over http", (await Answer.Read(response)).Text);
        string call = seen.Last(s => s.Contains("tools/call", StringComparison.Ordinal));
        Assert.Contains("Authorization: Bearer " + TestGateway.Token, call, StringComparison.Ordinal);
        Assert.Contains("over http", call, StringComparison.Ordinal);
        foreach (string one in seen)
        {
            Assert.DoesNotContain("secret", one, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("5ec8e7", one, StringComparison.Ordinal);
            Assert.DoesNotContain("DPoP", one, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(token.Split('.')[1], one, StringComparison.Ordinal);
        }
        Assert.DoesNotContain(gateway.Logged, l => l.Contains(TestGateway.Token, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("big")]
    [InlineData("big-events")]
    public async Task Result_ThatIsTooLarge_IsRefused_AndTheNextCallRuns(string how)
    {
        await using TestGateway gateway = await StartGateway(new JsonObject { ["result_bytes"] = 64 << 10 });
        Answer answer = await gateway.CallTool("echo", $$"""{"text":"{{how}}"}""");
        Assert.True(answer.IsError);
        Assert.Contains("larger than is allowed", answer.Text, StringComparison.Ordinal);
        Assert.Equal("next", (await gateway.CallTool("echo", """{"text":"next"}""")).Text);
    }

    [Fact]
    public async Task Redirect_IsNotFollowed_WithTheCredential()
    {
        await using TestGateway gateway = await StartGateway();
        Assert.True((await gateway.CallTool("echo", """{"text":"redirect"}""")).IsError);
        Assert.DoesNotContain(seen, s => s.Contains("/elsewhere", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Upstream_ThatIsGone_FailsItsCalls_TurnsReadinessFalse_AndIsFoundAgain()
    {
        await using TestGateway gateway = await StartGateway(new JsonObject { ["restart_seconds"] = 1, ["relist_seconds"] = 600 });
        Assert.Equal("here", (await gateway.CallTool("echo", """{"text":"here"}""")).Text);
        await Stop();
        Assert.True((await gateway.CallTool("echo", """{"text":"gone"}""")).IsError);
        await gateway.Ready(false);
        await Start();
        await gateway.Ready();
        Assert.Equal("back", (await gateway.CallTool("echo", """{"text":"back"}""")).Text);
    }

    private Task<TestGateway> StartGateway(JsonObject? limits = null) => TestGateway.StartAsync(server, new JsonObject
    {
        ["http"] = new JsonObject
        {
            ["url"] = address + "/mcp", ["headers"] = new JsonObject { ["Authorization"] = new JsonObject { ["env"] = "UPSTREAM_TOKEN", ["prefix"] = "Bearer " } },
        },
        ["limits"] = limits ?? new JsonObject { ["relist_seconds"] = 600 },
    });

    private async Task Start()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(address);
        app = builder.Build();
        app.Run(Answer);
        await app.StartAsync();

        async Task Answer(HttpContext context)
        {
            string body = await new StreamReader(context.Request.Body).ReadToEndAsync();
            seen.Enqueue($"{context.Request.Path}\n{string.Join('\n', context.Request.Headers.Select(h => $"{h.Key}: {h.Value}"))}\n\n{body}");
            if (!HttpMethods.IsPost(context.Request.Method))
            {
                context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
                return;
            }
            JsonNode message = JsonNode.Parse(body)!;
            if (message["id"] is not { } id)
            {
                context.Response.StatusCode = StatusCodes.Status202Accepted;
                return;
            }
            string text = message["params"]?["arguments"]?["text"]?.GetValue<string>() ?? "";
            if (text == "redirect")
            {
                context.Response.Redirect("/elsewhere", permanent: true, preserveMethod: true);
                return;
            }
            string? result = message["method"]!.GetValue<string>() switch
            {
                "initialize" => """{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"http","version":"1"}}""",
                "tools/list" => """{"tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}]}""",
                "tools/call" => new JsonObject { ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = text.StartsWith("big", StringComparison.Ordinal) ? new string('x', 300_000) : text }) }.ToJsonString(),
                _ => null,
            };
            string answer = result is null ? $$$"""{"jsonrpc":"2.0","id":{{{id.ToJsonString()}}},"error":{"code":-32601,"message":"no"}}""" : $$"""{"jsonrpc":"2.0","id":{{id.ToJsonString()}},"result":{{result}}}""";
            bool events = text == "big-events";
            context.Response.ContentType = events ? "text/event-stream" : "application/json";
            await context.Response.WriteAsync(events ? $"event: message\ndata: {answer}\n\n" : answer);
        }
    }

    private async Task Stop()
    {
        if (app is null) return;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await app.StopAsync(limit.Token);
        await app.DisposeAsync();
        app = null;
    }
}
