using System.Text.Json;

namespace McpGuard.Sdk;

/// <summary>
/// Tools that are found while the process runs, and that may change: of an endpoint that is somewhere else. Until they are first
/// known, no tool is reported and every call of one is denied.
/// </summary>
public sealed class ToolSet
{
    private IReadOnlyList<JsonElement>? current;

    internal IReadOnlyList<JsonElement>? Current => Volatile.Read(ref current);

    internal event Action? Replaced;

    /// <summary>
    /// From here on these are the tools, as <c>tools/list</c> shows them. A tool that is as it was stays approved and no call of it is
    /// interrupted; one that changed is denied until it is approved again, and one that is missing does not exist.
    /// </summary>
    /// <param name="definitions">Objects with <c>name</c> and <c>inputSchema</c>; one that cannot be read is logged and left out.</param>
    public void Replace(IEnumerable<JsonElement> definitions)
    {
        ArgumentNullException.ThrowIfNull(definitions);
        Volatile.Write(ref current, [.. definitions]);
        Replaced?.Invoke();
    }
}
