using System.Diagnostics.CodeAnalysis;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar;

/// <summary>What was read, or all that is wrong with it. Malformed input is expected, so it is a value and no exception.</summary>
public sealed class Parsed<T>
    where T : class
{
    private readonly T? value;

    internal Parsed(T value, IReadOnlyList<Diagnostic>? warnings = null) => (this.value, Diagnostics) = (value, warnings ?? []);

    internal Parsed(IReadOnlyList<Diagnostic> errors) => Diagnostics = errors;

    /// <summary>The errors when there is no value; else the warnings, if any.</summary>
    public IReadOnlyList<Diagnostic> Diagnostics { get; }

    public bool Ok => value is not null;

    /// <exception cref="CedarException">There are errors instead.</exception>
    public T Value => value ?? throw new CedarException(Diagnostics);

    public bool TryGet([NotNullWhen(true)] out T? result)
    {
        result = value;
        return result is not null;
    }
}
