using System.Collections.Concurrent;
using System.Text;
using McpAuth.Testing;
using McpGuard.Sdk.Tests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace McpGuard.Gateway.Tests;

/// <summary>A collector gets what the gateway's guards count.</summary>
public sealed class MetricsTests
{
    [Fact]
    public async Task Collector_GetsTheGuardsCounts_AtTheLatestWhenTheGatewayEnds()
    {
        string address = $"http://127.0.0.1:{FreePort.Next()}";
        var taken = new ConcurrentQueue<(string Type, string Body)>();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(address);
        await using WebApplication collector = builder.Build();
        collector.MapPost("/v1/metrics", async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            taken.Enqueue((context.Request.ContentType ?? "", Encoding.Latin1.GetString(body.ToArray())));
        });
        await collector.StartAsync();

        await using FakeAuthorizationServer server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        await using (TestGateway gateway = await TestGateway.StartAsync(server, change: (_, file) => file["metrics"] = address + "/v1/metrics"))
            Assert.Equal(200, (await gateway.CallTool("echo", """{"text":"counted"}""")).Status);

        (string type, string sent) = taken.Last();
        Assert.Equal("application/x-protobuf", type);
        Assert.All(["McpGuard", "mcpguard.decisions", "mcpguard.outcomes", "mcpguard.resource", "/fake", "echo", "allow"], said => Assert.Contains(said, sent, StringComparison.Ordinal));
        Assert.DoesNotContain("counted", sent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Collector_ThatIsNotThere_IsToldByTheLog_AndHoldsUpNothing()
    {
        await using FakeAuthorizationServer server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        ConcurrentQueue<string> logged;
        await using (TestGateway gateway = await TestGateway.StartAsync(server, change: (_, file) => file["metrics"] = $"http://127.0.0.1:{FreePort.Next()}/v1/metrics"))
        {
            Assert.Equal(200, (await gateway.CallTool("echo", """{"text":"counted"}""")).Status);
            logged = gateway.Logged;
        }
        Assert.Contains(logged, l => l.Contains("Metrics could not be sent", StringComparison.Ordinal));
    }
}
