using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Validation;

/// <summary>What is wrong with one policy. The same thing is found again for other kinds of requests, and kept once.</summary>
internal sealed class PolicyFindings(Policy policy, List<Diagnostic> all)
{
    private readonly HashSet<(string Code, string Message, SourceSpan Span)> seen = [];

    /// <summary>Whether a search for what was meant is worth its time: it goes through all that the schema declares.</summary>
    public bool WantsHelp => all.Count < Limits.Errors;

    public void Error(string code, string message, SourceSpan span, string? help = null) => Add(code, message, span, help, Severity.Error);

    public void Warning(string code, string message, SourceSpan span, string? help = null) => Add(code, message, span, help, Severity.Warning);

    private void Add(string code, string message, SourceSpan span, string? help, Severity severity)
    {
        if (seen.Count >= Limits.Errors || !seen.Add((code, message, span))) return;
        PolicySource? source = policy.Body.Source;
        SourceLocation? where = source?.Locate(span == default ? source.Span : span);
        all.Add(new(code, message, where, policy.Id, help) { Severity = severity });
    }
}
