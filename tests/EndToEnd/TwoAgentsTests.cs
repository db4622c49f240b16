using System.Globalization;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using McpAuth.EndToEnd.Harness;
using McpAuth.Testing;

namespace McpAuth.EndToEnd;

/// <summary>samples/TwoAgents as <c>./quickstart --handoff</c> runs it. The script uses release builds, so unless these tests are one, it builds them first.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class TwoAgentsTests : IDisposable
{
    private static readonly string[] HandOff = Built.Configuration == "Release" ? ["--handoff", "--no-build"] : ["--handoff"];

    private readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    [Trait("Spec", "Invariant-2")]
    [Trait("Spec", "Invariant-3")]
    public async Task HandOff_ThePersonIsAskedElsewhere_TheReaderMayLess_AndEndsWithThePlanner()
    {
        await using ChildProcess run = Start();
        Assert.True(await run.WaitForExitAsync(TimeSpan.FromSeconds(120)) == 0, run.Text);

        // Ann finds the question where she is.
        Assert.Contains("opens /account, where a question waits", run.Text, StringComparison.Ordinal);
        Assert.Contains("| Report planner asks to work for you", run.Text, StringComparison.Ordinal);
        Assert.Contains("Quarterly summary", run.Text, StringComparison.Ordinal);
        Assert.Matches(@"task tsk_\S+ for usr_ann", run.Text);

        // What is handed over opens nothing by itself; what comes of it names all three.
        Assert.Contains("the handed token itself, at the tool server: 401", run.Text, StringComparison.Ordinal);
        Assert.Contains("the chain: usr_ann, for them agt_reader, handed off by agt_planner", run.Text, StringComparison.Ordinal);
        Assert.Matches("\"act\": \\{[^}]*\"sub\": \"agt_reader\"[^}]*\"act\": \\{[^}]*\"sub\": \"agt_planner\"", run.Text);

        // Less than the planner has.
        Assert.Matches(@"read_file reports/q1\.md: \d+ characters", run.Text);
        Assert.Contains("read_file reports/q3.md: denied, argument_denied", run.Text, StringComparison.Ordinal);
        Assert.Contains("list_files reports: denied, not_in_task", run.Text, StringComparison.Ordinal);

        // The end of the one is the end of the other, and the story of the one has the other's part.
        Assert.InRange(int.Parse(Regex.Match(run.Text, @"the reader's access: over (\d+) ms after").Groups[1].Value, CultureInfo.InvariantCulture), 0, 5000);
        Assert.Contains("whose authority, who acts, and for whom: usr_ann, agt_reader, for agt_planner", run.Text, StringComparison.Ordinal);
        Assert.Contains(run.Output, l => Regex.IsMatch(l, @"call\.decided +usr_ann +agt_reader for agt_planner +allow +read_file"));
        Assert.Contains(run.Output, l => Regex.IsMatch(l, @"call\.decided +usr_ann +agt_reader for agt_planner +deny +list_files"));
        Assert.DoesNotContain("not as it should be", run.Text, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(directory["tmp"]));
    }

    private ChildProcess Start()
    {
        Directory.CreateDirectory(directory["tmp"]);
        return ChildProcess.Start("bash", [Path.Combine(Built.Root, "quickstart"), .. HandOff], new Dictionary<string, string?> { ["TMPDIR"] = directory["tmp"], ["NO_COLOR"] = "1" });
    }
}
