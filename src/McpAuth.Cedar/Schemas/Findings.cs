using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas;

/// <summary>What was found wrong with one schema; the first <see cref="Limits.Errors"/> are kept.</summary>
internal sealed class Findings(string? text)
{
    private readonly List<Diagnostic> errors = [];
    private readonly List<Diagnostic> warnings = [];

    public bool HasErrors => errors.Count > 0;

    public int Count => errors.Count;

    /// <summary>Whether there is no use in going on.</summary>
    public bool Full => errors.Count >= Limits.Errors;

    public void Error(string code, string message, Place place, string? help = null)
    {
        if (!Full) errors.Add(Make(code, message, place, help));
    }

    public void Warning(string code, string message, Place place, string? help = null)
    {
        if (warnings.Count < Limits.Errors) warnings.Add(Make(code, message, place, help) with { Severity = Severity.Warning });
    }

    /// <summary>The value, unless something stands in its way.</summary>
    public Parsed<T> Or<T>(Func<T> value)
        where T : class => HasErrors ? new(errors) : new(value(), warnings);

    private Diagnostic Make(string code, string message, Place place, string? help) =>
        new(code, message, text is null ? null : new SourceLocation(text, place.Span), place.Json?.ToString(), help);
}
