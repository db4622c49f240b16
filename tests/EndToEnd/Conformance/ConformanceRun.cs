using System.Text.Json;
using System.Text.RegularExpressions;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Conformance;

/// <summary>
/// One run of MCP's conformance runner (<c>@modelcontextprotocol/conformance</c>) as a process: what it prints while it runs, and the
/// checks it made.
/// </summary>
internal sealed partial class ConformanceRun : IAsyncDisposable
{
    private readonly TempDirectory results = new();
    private readonly ChildProcess process;

    private ConformanceRun(IEnumerable<string> arguments) => process = ChildProcess.Start(
        ConformanceRunner.Node ?? throw new InvalidOperationException(ConformanceRunner.Requirement.Reason), [ConformanceRunner.Program, .. arguments, "--output-dir", results.Path]);

    /// <param name="arguments">Those of the command line, without <c>--output-dir</c>.</param>
    public static ConformanceRun Start(params string[] arguments) => new(arguments);

    /// <summary>Waits for a line it prints, e.g. the address that a browser shall visit.</summary>
    public Task<string> WaitForLineAsync(Func<string, bool> match, TimeSpan within) => process.WaitForLineAsync(match, within);

    /// <summary>Waits for its end, by itself: on time-out it is killed when this is disposed.</summary>
    public async Task<ConformanceResult> ResultAsync(TimeSpan within)
    {
        int code = await process.WaitForExitAsync(within);
        string[] scenarios = [.. process.Output.Select(l => Begun().Match(l)).Where(m => m.Success).Select(m => m.Groups[1].Value)];
        return new(code, [.. scenarios.SelectMany(Checks)], scenarios, [.. process.Output.Select(l => Unscored().Match(l)).Where(m => m.Success).Select(m => m.Groups[1].Value)], process.Text);
    }

    public async ValueTask DisposeAsync()
    {
        await process.DisposeAsync();
        results.Dispose();
    }

    private ConformanceCheck[] Checks(string scenario)
    {
        string? file = Directory.EnumerateDirectories(results.Path).Where(d => Folder().Match(Path.GetFileName(d)) is { Success: true } m && m.Groups[1].Value == scenario)
            .Select(d => Path.Combine(d, "checks.json")).SingleOrDefault(File.Exists);
        // A scenario that breaks off writes nothing, which must not look like nothing to complain about.
        if (file is null) return [new(scenario, "no-result", "FAILURE", "The scenario wrote no checks.")];
        using JsonDocument checks = JsonDocument.Parse(File.ReadAllBytes(file));
        return [.. checks.RootElement.EnumerateArray().Select(c => new ConformanceCheck(
            scenario, c.GetProperty("id").GetString()!, c.GetProperty("status").GetString()!, c.TryGetProperty("errorMessage", out JsonElement error) ? error.GetString() : null))];
    }

    [GeneratedRegex("^=== Running scenario: (.+) ===$")]
    private static partial Regex Begun();

    [GeneratedRegex(@"^  [✓✗] (\S+) \((extension|pending|added-after-release)\)$")]
    private static partial Regex Unscored();

    /// <summary>The leg, the scenario and the time.</summary>
    [GeneratedRegex(@"^(?:server|authorization-server)-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$")]
    private static partial Regex Folder();
}

/// <param name="Scenarios">All that ran.</param>
/// <param name="Unscored">Those among them that do not count: extensions, and what the runner's authors hold back.</param>
/// <param name="Output">What it printed.</param>
internal sealed record ConformanceResult(int ExitCode, ConformanceCheck[] Checks, string[] Scenarios, string[] Unscored, string Output)
{
    /// <summary>Checks that did not pass, warnings and omissions too: the exit code is 0 in spite of them.</summary>
    public ConformanceCheck[] NotPassed => [.. Checks.Where(c => !c.Passed)];
}

internal sealed record ConformanceCheck(string Scenario, string Id, string Status, string? Error)
{
    /// <summary>INFO only says something.</summary>
    public bool Passed => Status is "SUCCESS" or "INFO";

    public override string ToString() => $"{Scenario} {Id} {Status}{(Error is null ? "" : $" ({Error})")}";
}
