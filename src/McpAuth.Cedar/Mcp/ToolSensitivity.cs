namespace McpAuth.Cedar.Mcp;

/// <summary>What calling a tool can do, as whoever approved it says. (A tool's own annotations are only a proposal.)</summary>
public enum ToolSensitivity
{
    /// <summary>Also when nobody said: the value of <c>default</c>.</summary>
    Destructive,
    Write,
    Read,
}
