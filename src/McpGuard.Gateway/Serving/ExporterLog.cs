using System.Diagnostics.Tracing;
using System.Globalization;

namespace McpGuard.Gateway.Serving;

/// <summary>What goes wrong while metrics are sent, in the gateway's log: the exporter tells it to event listeners alone.</summary>
internal sealed partial class ExporterLog(ILogger logger) : EventListener
{
    private const string Source = "OpenTelemetry-Exporter-OpenTelemetryProtocol";

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == Source) EnableEvents(eventSource, EventLevel.Warning);
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        // The base class tells of sources that are there already before this one has its logger.
        if (logger is null || eventData.Level > EventLevel.Warning) return;
        Log.NotSent(logger, string.Format(CultureInfo.InvariantCulture, eventData.Message ?? eventData.EventName ?? "", [.. eventData.Payload ?? []]));
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Metrics could not be sent: {Reason}")]
        public static partial void NotSent(ILogger logger, string reason);
    }
}
