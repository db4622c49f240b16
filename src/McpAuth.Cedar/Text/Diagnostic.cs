using System.Text;

namespace McpAuth.Cedar.Text;

/// <summary>Whether a finding stands in the way.</summary>
public enum Severity
{
    Error,
    Warning,
}

/// <summary>One finding about a policy, a schema or data.</summary>
/// <param name="Code">A short, stable, machine-readable name such as <c>unexpected_token</c>.</param>
/// <param name="Message">One sentence for a person.</param>
/// <param name="Where">In a text: the place. In JSON or in data made by a program: null.</param>
/// <param name="Path">In JSON: the path, e.g. <c>$.entityTypes.User.shape</c>. In a policy set: the policy's id. Else null.</param>
/// <param name="Help">What to do about it, such as the name that was probably meant; null when nothing is known.</param>
public sealed record Diagnostic(string Code, string Message, SourceLocation? Where = null, string? Path = null, string? Help = null)
{
    public Severity Severity { get; init; } = Severity.Error;

    /// <summary>The message in one line; <see cref="Render"/> also shows the place.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Where is not null) text.Append(Where).Append(": ");
        else if (Path is not null) text.Append(Path).Append(": ");
        text.Append(Severity == Severity.Error ? "error: " : "warning: ").Append(Message);
        if (Help is not null) text.Append(" (").Append(Help).Append(')');
        return text.ToString();
    }

    /// <summary>The message, and below it the line it is about with a caret under the place.</summary>
    public string Render() => Where is null ? ToString() : $"{ToString()}\n{Where.Excerpt()}";
}
