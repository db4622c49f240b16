using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>
/// Generated cases, put to this engine and to the reference. A new seed each run; a failure names it and shows the smallest case that still differs.
/// <c>MCPAUTH_SEED</c> repeats a run, <c>MCPAUTH_CASES</c> sets the number of decisions.
/// </summary>
[Trait("Spec", "Cedar-Authorization")]
public class DifferentialTests(ITestOutputHelper output)
{
    /// <summary>Of one case.</summary>
    private const int Requests = 8;

    private const int MostFailures = 5;

    private static readonly TimeSpan Shrinking = TimeSpan.FromSeconds(20);

    private static int Seed { get; } = Number("MCPAUTH_SEED") ?? Environment.TickCount & 0xFFFFFFF;

    private static int Decisions { get; } = Number("MCPAUTH_CASES") ?? 24_000; // of which more than 20,000 are decided

    [ReferenceFact]
    public void Engine_OnGeneratedCases_AnswersAsTheReference()
    {
        IReadOnlyDictionary<string, int> counts =
            Run(Decisions / Requests, extremes: true, (comparison, @case, reference) => comparison.Differences(@case, reference.Ask(@case.ToJson())));
        if (Decisions < 2000) return; // somebody repeats a case
        int Of(string start) => counts.Where(c => c.Key.StartsWith(start, StringComparison.Ordinal)).Sum(c => c.Value);
        Assert.InRange(Of("decisions: "), Decisions * 3 / 4, Decisions);
        foreach (string answer in new[] { "decisions: allow", "decisions: forbidden", "policies valid" }) Assert.True(Of(answer) > Decisions / 20, $"{answer}: {Of(answer)}");
    }

    [ReferenceFact]
    public void Policies_WrittenByOneAndReadByTheOther_DecideTheSame() =>
        Run(Decisions / Requests / 5, extremes: false, (comparison, @case, reference) => comparison.WrittenDifferences(@case, reference));

    private SortedDictionary<string, int> Run(int cases, bool extremes, Func<Comparison, Case, Reference, IReadOnlyList<string>> compare)
    {
        var failures = new List<string>();
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        int next = -1;
        // The reference is one thread, and most of the time.
        Parallel.For(0, Math.Clamp(Environment.ProcessorCount, 1, 4), _ =>
        {
            var comparison = new Comparison();
            using var reference = new Reference();
            for (int i = Interlocked.Increment(ref next); i < cases && failures.Count < MostFailures; i = Interlocked.Increment(ref next))
            {
                Case @case = CaseMaker.Make(Seed + i, requests: Requests, extremes: extremes);
                IReadOnlyList<string> differences = compare(comparison, @case, reference);
                if (differences.Count == 0) continue;
                Case smallest = Shrink(@case, Kind(differences), candidate => compare(new(), candidate, reference));
                lock (failures) failures.Add($"MCPAUTH_SEED={Seed + i}: {string.Join('\n', compare(new(), smallest, reference))}\n{smallest}");
            }
            lock (counts)
                foreach ((string what, int count) in comparison.Counts) counts[what] = counts.GetValueOrDefault(what) + count;
        });
        foreach ((string what, int count) in counts) output.WriteLine($"{count,7} {what}");
        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
        return counts;
    }

    /// <summary>The smallest case found that differs in the same way.</summary>
    private static Case Shrink(Case @case, string kind, Func<Case, IReadOnlyList<string>> compare)
    {
        var clock = Stopwatch.StartNew();
        for (bool smaller = true; smaller && clock.Elapsed < Shrinking;)
        {
            smaller = false;
            foreach (Case candidate in @case.Smaller())
            {
                if (clock.Elapsed > Shrinking) break;
                if (Kind(compare(candidate)) != kind) continue;
                @case = candidate;
                smaller = true;
                break;
            }
        }
        return @case;
    }

    /// <summary>What the first difference is about.</summary>
    private static string Kind(IReadOnlyList<string> differences) => differences.Count == 0 ? "" : differences[0].Split(':', ' ')[0];

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
