using System.Text.RegularExpressions;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Conformance;

/// <summary>
/// What the runner says and we leave: <c>expected-failures.txt</c>, one check a line (revision, scenario, check, status). Nothing that is not
/// there may fail, and nothing that is there may pass.
/// </summary>
internal static partial class ExpectedFailures
{
    public static IReadOnlyList<(string Revision, string Scenario, string Check, string Status)> Listed { get; } =
        [.. Lines("tests/EndToEnd/Conformance/expected-failures.txt").Where(l => l.Length > 0 && !l.StartsWith('#')).Select(l => l.Split(' ')).Select(w => (w[0], w[1], w[2], w[3]))];

    /// <summary>The rows of a table in <c>docs/conformance.md</c>, by the words of its heading; the cells trimmed.</summary>
    public static IReadOnlyList<string[]> Table(string heading) =>
    [
        .. Lines("docs/conformance.md").SkipWhile(l => !l.StartsWith("| " + heading, StringComparison.Ordinal)).TakeWhile(l => l.StartsWith('|')).Skip(2)
            .Select(l => l.Trim('|').Split('|').Select(c => c.Trim()).ToArray()),
    ];

    /// <summary>The scenarios a cell names, in <c>`</c>.</summary>
    public static IEnumerable<string> Named(string cell) => Code().Matches(cell).Select(m => m.Groups[1].Value);

    private static string[] Lines(string file) => File.ReadAllLines(Path.Combine(RepositoryRoot.Path, file));

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Code();
}
