using System.Globalization;

namespace Architecture.Tests.Documents;

/// <summary>
/// The table of hostile cases, <c>| number | case | outcome | state |</c>. A state is <c>tested</c>, <c>due</c> (defended, the test of
/// that number is still to be written) or <c>later</c>.
/// </summary>
internal static class Threats
{
    private static readonly HashSet<string> States = ["tested", "due", "later"];

    /// <param name="attacks">The values of every <c>Attack</c> trait, each with the name of its test.</param>
    public static IEnumerable<string> Violations(string text, IReadOnlyCollection<(string Number, string Test)> attacks)
    {
        var tested = attacks.Select(a => a.Number).ToHashSet();
        var known = new HashSet<string>();
        foreach (var row in MarkdownTable.Rows(text))
        {
            if (row.Cells.Count != 4 || row.Cells.Any(c => c.Length == 0) || !int.TryParse(row.Cells[0], NumberStyles.None, CultureInfo.InvariantCulture, out _))
            {
                yield return $"line {row.Line} is not | number | case | outcome | state |";
                continue;
            }
            var (number, state) = (row.Cells[0], row.Cells[3]);
            if (!known.Add(number))
                yield return $"case {number} stands twice (line {row.Line})";
            if (!States.Contains(state))
                yield return $"case {number} has the unknown state {state} (line {row.Line})";
            if (state == "tested" && !tested.Contains(number))
                yield return $"case {number} is called tested, but no test has the trait Attack={number}";
        }
        foreach (var (number, test) in attacks.Where(a => !known.Contains(a.Number)))
            yield return $"{test} tests case {number}, which the table does not have";
    }
}
