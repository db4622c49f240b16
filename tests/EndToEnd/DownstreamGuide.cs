using McpGuard.Sdk;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpAuth.EndToEnd;

/// <summary>The code of docs/downstream.md: it stands there as it stands here, and is run from here.</summary>
internal static class DownstreamGuide
{
    public static void Configure(WebApplicationBuilder builder, string archive)
    {
        builder.Services.AddMcpServer().WithTools<ReportTools>();
        builder.Services.AddHttpClient("archive", http => http.BaseAddress = new Uri(archive))
            .AddMcpDownstreamTokens(archive, "read_file");
    }

    public static void Limit(McpGuardOptions options)
    {
        options.Limits.PerAgent = new CallRate(perMinute: 600, burst: 50);
        options.Limits.PerUser = new CallRate(perMinute: 1200);
        options.Limits.Tools["mark"] = new ToolLimits { PerTool = new CallRate(perMinute: 6000), ArgumentBytes = 10_000, ResultBytes = 100_000 };
    }
}

[McpServerToolType]
internal sealed class ReportTools(IHttpClientFactory clients)
{
    [McpServerTool(Name = "mark")]
    public async Task<string> Mark(string path, CancellationToken cancellationToken)
    {
        HttpClient http = clients.CreateClient("archive");
        await using McpClient archive = await McpClient.CreateAsync(
            new HttpClientTransport(new() { Endpoint = http.BaseAddress!, TransportMode = HttpTransportMode.StreamableHttp }, http), cancellationToken: cancellationToken);
        CallToolResult file = await archive.CallToolAsync("read_file", new Dictionary<string, object?> { ["path"] = path }, cancellationToken: cancellationToken);
        return $"seen: {file.Content.OfType<TextContentBlock>().Single().Text}";
    }
}
