namespace McpAuth.Cedar.Mcp.ToolHive;

/// <summary>A tool, with the hints that policies may read of it (<c>resource.readOnlyHint</c>): as whoever approved it confirms them, not as the caller says.</summary>
/// <param name="Name"><c>[A-Za-z0-9_./-]{1,128}</c>.</param>
/// <param name="ReadOnly"><c>readOnlyHint</c>; null where nothing was said, and then it is not there.</param>
/// <param name="Destructive"><c>destructiveHint</c>.</param>
/// <param name="Idempotent"><c>idempotentHint</c>.</param>
/// <param name="OpenWorld"><c>openWorldHint</c>.</param>
public sealed record ToolHiveTool(string Name, bool? ReadOnly = null, bool? Destructive = null, bool? Idempotent = null, bool? OpenWorld = null);
