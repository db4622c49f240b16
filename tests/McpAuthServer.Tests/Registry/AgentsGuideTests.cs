using System.Text.RegularExpressions;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Registry;

/// <summary>The files of docs/agents.md are applied, one after the other, as a reader would.</summary>
public sealed class AgentsGuideTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task EveryFileOfTheGuide_IsApplied()
    {
        string guide = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "docs", "agents.md"));
        var files = Regex.Matches(guide, "```json\n(.*?)```", RegexOptions.Singleline).Select(m => m.Groups[1].Value).ToList();

        Assert.Equal(5, files.Count);
        foreach (string file in files)
            await server.ApplyAsync(file);

        Assert.Equal(1, await server.ScalarAsync("select count(*) from trust_bindings where agent_id = 'agt_summariser' and issuer_id = 'wli_github'"));
    }
}
