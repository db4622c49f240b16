using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Calls;

/// <summary>The definitions of all tools of this process, as clients are shown them: those that the MCP SDK hosts, and those of the options.</summary>
internal sealed class ToolDefinitions : IDisposable
{
    private static readonly System.Text.Json.Serialization.Metadata.JsonTypeInfo<Tool> ToolJson =
        (System.Text.Json.Serialization.Metadata.JsonTypeInfo<Tool>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(Tool));

    private readonly McpGuardOptions options;
    private readonly McpServerPrimitiveCollection<McpServerTool>? hosted;

    public ToolDefinitions(IServiceProvider services, IOptions<McpGuardOptions> options)
    {
        this.options = options.Value;
        // Without AddMcpServer there are none: the host names its tools in the options.
        hosted = services.GetService<IOptions<McpServerOptions>>()?.Value.ToolCollection;
        if (hosted is not null) hosted.Changed += OnChanged;
        if (this.options.ToolSet is { } set) set.Replaced += OnReplaced;
    }

    public event Action? Changed;

    /// <summary>Null while the tools of a <see cref="ToolSet"/> are not known yet.</summary>
    public IEnumerable<JsonElement>? All() => options.ToolSet is { Current: null } ? null
        : [.. (hosted ?? []).Select(t => JsonSerializer.SerializeToElement(t.ProtocolTool, ToolJson)), .. options.Tools, .. options.ToolSet?.Current ?? []];

    private void OnChanged(object? sender, EventArgs e) => Changed?.Invoke();

    private void OnReplaced() => Changed?.Invoke();

    public void Dispose()
    {
        if (hosted is not null) hosted.Changed -= OnChanged;
        if (options.ToolSet is { } set) set.Replaced -= OnReplaced;
    }
}
