using System.Text.RegularExpressions;

namespace Architecture.Tests.Documents;

/// <summary>
/// Requirement → file → tests, one row each; the last cell names its tests as <c>Class.Method</c>. And what is not done, with the reason: a table of
/// its own, by its header.
/// </summary>
internal static partial class SpecMap
{
    /// <param name="document">Its path, for the message.</param>
    /// <param name="tests">Every test there is, as <c>Class.Method</c>.</param>
    /// <param name="files">Every file there is, by path from the root.</param>
    public static IEnumerable<string> Violations(string document, string text, IReadOnlySet<string> tests, IReadOnlySet<string> files)
    {
        foreach (var row in MarkdownTable.Rows(text))
        {
            var at = $"{document}:{row.Line}";
            if (row.Header is ["not done", "why"])
            {
                if (row.Cells.Count != 2 || row.Cells.Any(c => c.Length == 0))
                    yield return $"{at} is not | not done | why |";
                continue;
            }
            if (row.Cells.Count != 3 || row.Cells.Any(c => c.Length == 0))
            {
                yield return $"{at} is not | requirement | file | test |";
                continue;
            }
            foreach (var file in Names(row.Cells[1]).Where(f => !files.Contains(f)))
                yield return $"{at} names {file}, which does not exist";
            foreach (var test in Names(row.Cells[2]))
            {
                if (!TestName().IsMatch(test))
                    yield return $"{at} names {test}, which is not Class.Method";
                else if (!tests.Contains(LastTwo(test)))
                    yield return $"{at} names the test {test}, which does not exist";
            }
        }
    }

    private static string[] Names(string cell) =>
        cell.Replace("<br>", " ", StringComparison.Ordinal).Split([' ', ',', ';', '`'], StringSplitOptions.RemoveEmptyEntries);

    private static string LastTwo(string test) => string.Join('.', test.Split('.', '+')[^2..]);

    [GeneratedRegex(@"^(\w+[.+])+\w+$")]
    private static partial Regex TestName();
}
