using System.Globalization;

namespace McpAuth.Cedar.Text;

/// <summary>A place in a text: line and column count from 1, columns in UTF-16 code units.</summary>
public sealed class SourceLocation
{
    private readonly string text;

    internal SourceLocation(string text, SourceSpan span) => (this.text, Span) = (text, span);

    public SourceSpan Span { get; }

    // Counted only for who asks: a text may have as many places worth a word as it has lines.
    public int Line => Before.Count('\n') + 1;

    public int Column => Before.Length - (Before.LastIndexOf('\n') + 1) + 1;

    private ReadOnlySpan<char> Before => text.AsSpan(0, Math.Min(Span.Start, text.Length));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Line}:{Column}");

    /// <summary>The line, and a second one with carets under the place. Long lines are cut around it.</summary>
    public string Excerpt()
    {
        const int Before = 60, After = 60;
        int from = Math.Max(Span.Start - (Column - 1), Span.Start - Before);
        int lineEnd = text.AsSpan(Math.Min(Span.Start, text.Length)).IndexOfAny('\r', '\n');
        int end = lineEnd < 0 ? text.Length : Span.Start + lineEnd;
        end = Math.Min(end, Span.Start + After);
        string line = text[Math.Min(from, text.Length)..Math.Max(Math.Min(from, text.Length), end)];
        // A tab stays a tab below, so that the caret stands under its character in any editor.
        string indent = string.Concat(text[Math.Min(from, text.Length)..Math.Min(Span.Start, text.Length)].Select(c => c == '\t' ? '\t' : ' '));
        return $"  {line}\n  {indent}{new string('^', Math.Max(1, Math.Min(Span.Length, end - Span.Start)))}";
    }
}
