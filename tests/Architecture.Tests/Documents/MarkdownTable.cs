namespace Architecture.Tests.Documents;

/// <param name="Line">One-based.</param>
/// <param name="Header">The cells above the rule.</param>
internal sealed record MarkdownRow(int Line, IReadOnlyList<string> Cells, IReadOnlyList<string> Header);

/// <summary>The rows of all tables in a document, without headers.</summary>
internal static class MarkdownTable
{
    public static IEnumerable<MarkdownRow> Rows(string text)
    {
        var lines = text.ReplaceLineEndings("\n").Split('\n');
        var inTable = false;
        List<string> header = [];
        for (var i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith('|'))
            {
                inTable = false;
                continue;
            }
            if (!inTable)
            {
                // The first line is the header; the line under it is the rule.
                inTable = true;
                header = Cells(lines[i]);
                if (i + 1 < lines.Length && IsRule(lines[i + 1]))
                    i++;
                continue;
            }
            yield return new MarkdownRow(i + 1, Cells(lines[i]), header);
        }
    }

    private static bool IsRule(string line) => line.StartsWith('|') && line.All(c => c is '|' or '-' or ':' or ' ');

    private static List<string> Cells(string line)
    {
        var cells = new List<string>();
        var start = 1;
        for (var i = 1; i < line.Length; i++)
        {
            if (line[i] != '|' || line[i - 1] == '\\')
                continue;
            cells.Add(line[start..i].Trim().Replace("\\|", "|", StringComparison.Ordinal));
            start = i + 1;
        }
        if (line[start..].Trim() is { Length: > 0 } unclosed)
            cells.Add(unclosed);
        return cells;
    }
}
