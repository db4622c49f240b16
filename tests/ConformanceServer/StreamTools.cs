using System.ComponentModel;
using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>Tools that say something before they answer.</summary>
[McpServerToolType]
internal sealed class StreamTools
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    [McpServerTool(Name = "test_tool_with_progress", ReadOnly = true), Description("Reports progress.")]
    public static async Task<string> Progress(IProgress<ProgressNotificationValue> progress, CancellationToken cancellationToken)
    {
        foreach (int done in new[] { 0, 50, 100 })
        {
            if (done > 0) await Task.Delay(Pause, cancellationToken);
            progress.Report(new() { Progress = done, Total = 100 });
        }
        return "Progress was reported.";
    }

    [McpServerTool(Name = "test_tool_with_logging", ReadOnly = true), Description("Logs while it runs.")]
    public static async Task<string> Logging(RequestContext<CallToolRequestParams> call, CancellationToken cancellationToken)
    {
        await Log(call, "Tool execution started", cancellationToken);
        await Task.Delay(Pause, cancellationToken);
        await Log(call, "Tool processing data", cancellationToken);
        await Task.Delay(Pause, cancellationToken);
        await Log(call, "Tool execution completed", cancellationToken);
        return "Messages were logged.";
    }

    [McpServerTool(Name = "test_logging_tool", ReadOnly = true), Description("Logs, if it was asked to.")]
    public static async Task<string> LoggingIfAsked(RequestContext<CallToolRequestParams> call, CancellationToken cancellationToken)
    {
        await Log(call, "One message", cancellationToken);
        return "Done.";
    }

    /// <summary>
    /// A stateless server remembers no level: on older revisions every message is sent (they leave the choice to the server), since 2026-07-28
    /// only to a request that names a level.
    /// </summary>
    private static async Task Log(RequestContext<CallToolRequestParams> call, string text, CancellationToken cancellationToken)
    {
        bool modern = call.Params?.Meta?.ContainsKey(MetaKeys.ProtocolVersion) is true;
        if (modern && call.Params!.Meta![MetaKeys.LogLevel] is null) return;
        await call.Server.SendNotificationAsync(
            NotificationMethods.LoggingMessageNotification,
            new LoggingMessageNotificationParams { Level = LoggingLevel.Info, Logger = "conformance", Data = JsonSerializer.SerializeToElement(text) },
            cancellationToken: cancellationToken);
    }
}
