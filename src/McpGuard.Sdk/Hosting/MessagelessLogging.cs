using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Hosting;

/// <summary>
/// The host's logging for the MCP SDK, without the level at which it writes whole messages: arguments and results stand in no log
/// (invariant 8), however the host is configured.
/// </summary>
internal sealed class MessagelessLogging(ILoggerFactory host) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new Logger(host.CreateLogger(categoryName));

    public void AddProvider(ILoggerProvider provider) => host.AddProvider(provider);

    public void Dispose()
    {
        // The host's factory is the host's to dispose.
    }

    private sealed class Logger(ILogger inner) : ILogger
    {
        public bool IsEnabled(LogLevel logLevel) => logLevel > LogLevel.Trace && inner.IsEnabled(logLevel);

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => inner.BeginScope(state);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel > LogLevel.Trace) inner.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
