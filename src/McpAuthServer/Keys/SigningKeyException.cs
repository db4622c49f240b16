namespace McpAuthServer.Keys;

/// <summary>A signing key is missing, or cannot be read; the message is the whole explanation for the operator.</summary>
internal sealed class SigningKeyException(string message) : Exception(message);
