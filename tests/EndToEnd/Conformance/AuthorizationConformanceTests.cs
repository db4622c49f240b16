using System.Globalization;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Conformance;

/// <summary>MCP's own conformance runner as a client of our authorization server, with a person in a real browser.</summary>
[Collection(People.Name)]
[Trait("Suite", "conformance")]
public sealed class AuthorizationConformanceTests(People people)
{
    [ConformanceInBrowserTheory]
    [Trait("Spec", "MCP-authorization")]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    public async Task Scenarios_OfTheAuthorizationServer_AllPassWithoutAWarning(string revision)
    {
        await using Visitor ann = await people.NewVisitorAsync();
        await using ConformanceRun run = ConformanceRun.Start(
            "authorization", "--url", people.Deployment.Issuer, "--client-id", People.PageClient, "--resource", people.Files.Resource,
            "--port", FreePort.Next().ToString(CultureInfo.InvariantCulture), "--spec-version", revision);

        // It prints where the person has to go, on a line of its own, and waits.
        string start = people.Deployment.Issuer + Names.Paths.Authorize;
        string line = await run.WaitForLineAsync(l => l.Trim().StartsWith(start, StringComparison.Ordinal), Deployment.Patience);
        await People.AllowAsync(ann, line.Trim());
        ConformanceResult result = await run.ResultAsync(Deployment.Patience);

        Assert.True(result.ExitCode == 0 && result.NotPassed.Length == 0, string.Join('\n', result.NotPassed.Select(c => c.ToString())) + result.Output);
        Assert.Equal(["authorization-server-metadata-endpoint", "authorization-code-grant"], result.Scenarios);
        Assert.True(result.Checks.Count(c => c.Status == "SUCCESS") >= 3, result.Output);
    }
}
