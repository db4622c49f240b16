using System.Net;
using McpAuth.Client;
using McpAuth.Protocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace TwoAgents;

/// <summary>The guarded file server, as a task may use it.</summary>
internal sealed class Tools(McpClient mcp) : IAsyncDisposable
{
    public static async Task<Tools> Connect(AgentTask task, string resource, CancellationToken cancellationToken)
    {
        var transport = new HttpClientTransport(
            new HttpClientTransportOptions { Endpoint = new Uri(resource), TransportMode = HttpTransportMode.StreamableHttp },
            new HttpClient(task.CreateHandler(resource)), ownsHttpClient: true);
        return new Tools(await McpClient.CreateAsync(transport, cancellationToken: cancellationToken));
    }

    /// <returns>The text; or the code of the guard's denial, or null where the tool itself failed.</returns>
    public async Task<(string? Text, string? Denied)> Call(string tool, string path, CancellationToken cancellationToken)
    {
        CallToolResult result = await mcp.CallToolAsync(tool, new Dictionary<string, object?> { ["path"] = path }, cancellationToken: cancellationToken);
        return result.IsError == true ? (null, result.Meta?[Names.Mcp.DenialMeta]?["code"]?.GetValue<string>())
            : (string.Join('\n', result.Content.OfType<TextContentBlock>().Select(b => b.Text)), null);
    }

    /// <summary>Calls until the guard lets nobody in any more.</summary>
    /// <returns>How often it still ran.</returns>
    public async Task<int> CallUntilRefused(string tool, string path, CancellationToken cancellationToken)
    {
        for (int ran = 0; ; ran++)
        {
            try
            {
                if ((await Call(tool, path, cancellationToken)).Text is null) return ran;
                await Task.Delay(5, cancellationToken);
            }
            catch (Exception e) when (IsRefused(e))
            {
                return ran;
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                // Cut off half-way: the next call tells.
            }
        }
    }

    public ValueTask DisposeAsync() => mcp.DisposeAsync();

    private static bool IsRefused(Exception? e) => e is HttpRequestException { StatusCode: HttpStatusCode.Unauthorized } or OAuthErrorException
        || (e?.InnerException is { } inner && IsRefused(inner));
}
