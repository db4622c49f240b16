using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Data;

/// <summary>What was found wrong so far; the first ones are kept.</summary>
internal sealed class DataFindings
{
    private readonly List<Diagnostic> errors = [];
    private readonly List<Diagnostic> warnings = [];

    public bool Any => errors.Count > 0;

    public void Error(string code, string message, string? path, string? help = null)
    {
        if (errors.Count < Limits.Errors) errors.Add(new(code, message, Path: path, Help: help));
    }

    public void Warning(string code, string message, string? path, string? help = null)
    {
        if (warnings.Count < Limits.Errors) warnings.Add(new(code, message, Path: path, Help: help) { Severity = Severity.Warning });
    }

    /// <summary>The value when nothing is wrong.</summary>
    public Parsed<T> Result<T>(T? value)
        where T : class =>
        value is not null && !Any ? new(value, warnings) : new Parsed<T>([.. errors]);

    /// <summary>The errors alone.</summary>
    public IReadOnlyList<Diagnostic> Errors => errors;
}
