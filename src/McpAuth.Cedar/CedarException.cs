using McpAuth.Cedar.Text;

namespace McpAuth.Cedar;

/// <summary>Thrown only where the caller asks for a value that could not be read (<see cref="Parsed{T}.Value"/>).</summary>
public sealed class CedarException(IReadOnlyList<Diagnostic> diagnostics)
    : Exception(string.Join('\n', diagnostics.Select(d => d.Render())))
{
    public IReadOnlyList<Diagnostic> Diagnostics { get; } = diagnostics;
}
