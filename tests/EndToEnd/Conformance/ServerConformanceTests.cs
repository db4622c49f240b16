using System.Globalization;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Conformance;

/// <summary>MCP's own conformance runner against a tool server behind our guard.</summary>
[Trait("Suite", "conformance")]
public sealed class ServerConformanceTests(ConformanceTarget target) : IClassFixture<ConformanceTarget>
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    [ConformanceTheory]
    [Trait("Spec", "MCP-2026-07-28")]
    [Trait("Spec", "MCP-2025-11-25")]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    public async Task Scenarios_OfARevision_PassButForThoseListed(string revision)
    {
        await using ConformanceRun run = ConformanceRun.Start("server", "--url", target.Url, "--requirements", revision);
        ConformanceResult result = await run.ResultAsync(Limit);

        string[] expected = [.. ExpectedFailures.Listed.Where(l => l.Revision == revision).Select(l => $"{l.Scenario} {l.Check} {l.Status}").Order(StringComparer.Ordinal)];
        string[] happened = [.. result.NotPassed.Select(c => $"{c.Scenario} {c.Id} {c.Status}").Distinct().Order(StringComparer.Ordinal)];
        string[] unlisted = [.. happened.Except(expected)], stale = [.. expected.Except(happened)];
        Assert.True(unlisted.Length == 0, "Not in expected-failures.txt:\n" + string.Join('\n', result.NotPassed.Where(c => unlisted.Any(u => c.ToString().StartsWith(u, StringComparison.Ordinal)))));
        Assert.True(stale.Length == 0, "No longer true in expected-failures.txt:\n" + string.Join('\n', stale));

        // The document's totals are those of this run.
        HashSet<string> failed = [.. result.NotPassed.Select(c => c.Scenario)];
        string[] scored = [.. result.Scenarios.Except(result.Unscored)];
        Assert.Equal(
            [revision, Count(scored, failed), Count(result.Unscored, failed), $"{Text(result.Checks.Count(c => c.Status == "SUCCESS"))} of {Text(result.Checks.Count(c => c.Status != "INFO"))}"],
            Assert.Single(ExpectedFailures.Table("revision | scored"), row => row[0] == revision));
    }

    /// <summary>The runner's calls were calls like any other: decided before they ran, and finished.</summary>
    [ConformanceFact]
    [Trait("Spec", "Invariant-4")]
    public async Task Calls_OfEveryKind_AreDecidedAndOnRecord()
    {
        await using ConformanceRun run = ConformanceRun.Start("server", "--url", target.Url, "--requirements", Names.Mcp.V20260728);
        await run.ResultAsync(Limit);
        string[] kinds = ["completion/complete", "prompts/get", "resources/read", "subscriptions/listen", "test_simple_text", "test_trigger_tool_change"];
        await Eventually.TrueAsync(async () =>
        {
            var decided = (await target.Deployment.EventsAsync(AuditTypes.CallDecided)).Where(e => e["decision"]!.GetValue<string>() == "allow").ToList();
            var finished = (await target.Deployment.EventsAsync(AuditTypes.CallFinished)).Select(e => e["cause"]!.GetValue<string>()).ToHashSet();
            return kinds.All(k => decided.Any(e => ((string?)e["tool"] ?? (string?)e["data"]?["method"]) == k && (string?)e["agent"] == "agt_runner"))
                && decided.All(e => finished.Contains(e["id"]!.GetValue<string>()));
        }, "every kind of call is on record, with its end", Deployment.Patience);
    }

    /// <summary>What passes above passes by the agent's authority: without its token there is nothing to be had.</summary>
    [ConformanceFact]
    [Trait("Spec", "Invariant-5")]
    public async Task Runner_WithoutAToken_GetsNowhere()
    {
        await using ConformanceRun run = ConformanceRun.Start("server", "--url", target.Resource, "--requirements", Names.Mcp.V20260728);
        ConformanceResult result = await run.ResultAsync(Limit);
        Assert.Equal(1, result.ExitCode);
        string[] touched = [.. result.Checks.Where(c => c.Status == "SUCCESS").Select(c => c.Id).Distinct().Order(StringComparer.Ordinal)];
        Assert.DoesNotContain("tools-list", touched);
        Assert.DoesNotContain("tools-call-simple-text", touched);
        Assert.DoesNotContain("resources-read-text", touched);
        Assert.DoesNotContain("prompts-get-simple", touched);
        Assert.DoesNotContain("completion-complete", touched);
    }

    /// <summary>The document says what is left and why, the file what a run compares with.</summary>
    [Fact]
    public void ExpectedFailures_InTheDocumentAndInTheFile_AreTheSame()
    {
        var documented = ExpectedFailures.Table("revision | left").SelectMany(row => ExpectedFailures.Named(row[1]).Select(scenario => (row[0], scenario))).ToList();
        Assert.Equal(documented.Distinct().Count(), documented.Count);
        Assert.All(ExpectedFailures.Table("revision | left"), row => Assert.True(row[2].Length > 20, "Every row has a reason."));
        Assert.Equal(ExpectedFailures.Listed.Select(l => (l.Revision, l.Scenario)).Distinct().Order(), documented.Order());
        Assert.Equal(ExpectedFailures.Listed.Distinct().Count(), ExpectedFailures.Listed.Count);
    }

    private static string Count(string[] scenarios, HashSet<string> failed) => $"{Text(scenarios.Count(s => !failed.Contains(s)))} of {Text(scenarios.Length)}";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
