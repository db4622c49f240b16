using McpAuth.Protocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpGuard.Sdk.Tests;

/// <summary>The C# client of the MCP SDK against MapGuardedMcp, in every protocol revision.</summary>
public sealed class HostingTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "write");
        host = await ToolHost.StartAsync(server);
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    [Theory]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    [InlineData(Names.Mcp.V20250618)]
    [Trait("Spec", "MCP-transports")]
    public async Task McpClient_ValidToken_ListsAndCalls(string version)
    {
        await using McpClient client = await Connect(server.Token(), version);
        Assert.Equal(version, client.NegotiatedProtocolVersion);
        IList<McpClientTool> tools = await client.ListToolsAsync();
        Assert.Equal(["echo"], tools.Select(t => t.Name));
        CallToolResult result = await client.CallToolAsync("echo", new Dictionary<string, object?> { ["text"] = "hello" });
        Assert.Equal("hello", Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text);
        Assert.Equal(["echo hello"], host.Runs.All);
    }

    [Theory]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    [InlineData(Names.Mcp.V20250618)]
    public async Task McpClient_ToolOutsideItsAuthority_GetsAResultTheModelCanRead(string version)
    {
        await using McpClient client = await Connect(server.Token(), version);
        CallToolResult result = await client.CallToolAsync("refund", new Dictionary<string, object?> { ["order_id"] = "o-1" });
        Assert.True(result.IsError);
        Assert.Equal("not_in_task", result.Meta![Names.Mcp.DenialMeta]!["code"]!.GetValue<string>());
        Assert.Empty(host.Runs.All);
    }

    [Fact]
    public async Task McpClient_WithoutToken_IsRefused()
    {
        await Assert.ThrowsAnyAsync<Exception>(() => Connect(null, Names.Mcp.V20260728));
        Assert.Empty(host.Runs.All);
    }

    private async Task<McpClient> Connect(string? token, string version)
    {
        var transport = new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(host.Resource), TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = token is null ? new Dictionary<string, string>() : new Dictionary<string, string> { ["Authorization"] = "Bearer " + token },
        });
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        return await McpClient.CreateAsync(transport, new McpClientOptions { ProtocolVersion = version }, cancellationToken: limit.Token);
    }
}
