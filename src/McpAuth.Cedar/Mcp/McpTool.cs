using System.Buffers;

namespace McpAuth.Cedar.Mcp;

/// <summary>A tool of a tool server, as policies see it.</summary>
/// <param name="Name"><c>[A-Za-z0-9_./-]{1,128}</c>.</param>
/// <param name="InputSchema">Its <c>inputSchema</c>: JSON Schema 2020-12 in UTF-8.</param>
/// <param name="Class">A name for tools of one kind, such as <c>payments</c>, in the same characters; null for none.</param>
public sealed record McpTool(string Name, ReadOnlyMemory<byte> InputSchema, ToolSensitivity Sensitivity = ToolSensitivity.Destructive, string? Class = null)
{
    private const int Longest = 128;

    private static readonly SearchValues<char> Allowed = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-");

    /// <summary>Whether a tool or class may be called so. There is no colon among the characters: with one, groups of actions are named, and no tool can be.</summary>
    internal static bool IsName(string name) => name.Length is > 0 and <= Longest && !name.AsSpan().ContainsAnyExcept(Allowed);
}
