using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Calls;

/// <summary>The definitions of the tools that the MCP SDK hosts in this process, as it lists them to clients.</summary>
internal sealed class ToolDefinitions(IServiceProvider services)
{
    public IEnumerable<JsonElement> All()
    {
        // Without AddMcpServer there are none: the host names its tools in the options.
        if (services.GetService<IOptions<McpServerOptions>>()?.Value.ToolCollection is not { } tools) yield break;
        foreach (McpServerTool tool in tools)
            yield return JsonSerializer.SerializeToElement(tool.ProtocolTool, (System.Text.Json.Serialization.Metadata.JsonTypeInfo<Tool>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(Tool)));
    }
}
