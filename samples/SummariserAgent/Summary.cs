using System.Text.RegularExpressions;

namespace SummariserAgent;

/// <summary>An extractive summary: of each text the sentences whose words matter most across all of them.</summary>
internal static partial class Summary
{
    private static readonly HashSet<string> Common = new(
        "the and for with that this from was were are has have had its but not will our their they than into over which been more also".Split(' '),
        StringComparer.OrdinalIgnoreCase);

    /// <returns>Title and best sentences of each text, in the order given.</returns>
    public static IReadOnlyList<(string Title, IReadOnlyList<string> Sentences)> Of(IReadOnlyList<string> texts, int sentencesEach)
    {
        Dictionary<string, int> weights = new(StringComparer.OrdinalIgnoreCase);
        foreach (string word in texts.SelectMany(Words)) weights[word] = weights.GetValueOrDefault(word) + 1;

        return [.. texts.Select(text =>
        {
            string[] lines = [.. text.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0)];
            string title = lines.FirstOrDefault(l => l.StartsWith('#'))?.TrimStart('#', ' ') ?? lines.FirstOrDefault() ?? "(empty)";
            string[] sentences = SentenceEnd().Split(string.Join(' ', lines.Where(l => !l.StartsWith('#'))));
            // The mean, so that a long sentence is not better for being long.
            HashSet<string> best = [.. sentences.OrderByDescending(s => Words(s).Select(w => weights[w]).DefaultIfEmpty(0).Average()).Take(sentencesEach)];
            return (title, (IReadOnlyList<string>)[.. sentences.Where(best.Contains)]);
        })];
    }

    private static IEnumerable<string> Words(string text) =>
        Word().Matches(text).Select(m => m.Value).Where(w => !Common.Contains(w));

    [GeneratedRegex(@"\p{L}{3,}", RegexOptions.CultureInvariant)]
    private static partial Regex Word();

    [GeneratedRegex(@"(?<=[.!?])\s+", RegexOptions.CultureInvariant)]
    private static partial Regex SentenceEnd();
}
