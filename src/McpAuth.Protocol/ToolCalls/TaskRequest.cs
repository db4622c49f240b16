namespace McpAuth.Protocol.ToolCalls;

/// <summary>The <c>task</c> member of a request: a running task's id, or a new one's purpose and end.</summary>
/// <param name="Id">Of a running task; then the others are null.</param>
/// <param name="Purpose">Of a new task: free text, shown and logged, never parsed.</param>
/// <param name="ExpiresAt">Of a new task; null leaves it to the server's default.</param>
/// <param name="Resumable">Of a new task: whether it outlives the instance that works on it, suspended until another of the same agent takes it up.</param>
public sealed record TaskRequest(string? Id, string? Purpose, DateTimeOffset? ExpiresAt, bool Resumable = false);
