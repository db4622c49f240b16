using Microsoft.Extensions.Logging.Abstractions;
using ModelContextProtocol.Server;

namespace FakeUpstream;

internal static class Modern
{
    public static async Task Run()
    {
        McpServerPrimitiveCollection<McpServerTool> tools = [];
        tools.Add(McpServerTool.Create((string text) => text, new McpServerToolCreateOptions { Name = "echo" }));
        tools.Add(McpServerTool.Create(() => tools.TryAdd(McpServerTool.Create(() => "grown", new McpServerToolCreateOptions { Name = "grown" })), new McpServerToolCreateOptions { Name = "grow" }));
        await using var transport = new StdioServerTransport("modern", NullLoggerFactory.Instance);
        await using McpServer server = McpServer.Create(transport, new McpServerOptions { ToolCollection = tools }, NullLoggerFactory.Instance);
        await server.RunAsync();
    }
}
