namespace McpAuthServer;

/// <summary>Why the server refuses to start; the message is the whole explanation for the operator.</summary>
internal sealed class StartupException(string message) : Exception(message);
