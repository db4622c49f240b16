using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Admin;

/// <summary>docs/guard.md, followed: its file is applied, its tool changes, and what is shown and sent is what the page says.</summary>
public sealed class GuardGuideTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Guide_IsFollowed_FromTheFileToTheApproval()
    {
        string guide = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "docs", "guard.md"));
        JsonObject[] files = [.. Regex.Matches(guide, "```json\n(.*?)```", RegexOptions.Singleline).Select(m => JsonNode.Parse(m.Groups[1].Value)!.AsObject())];
        Assert.Equal(3, files.Length);
        await server.ApplyAsync(files[0].ToJsonString());
        var (ops, guard) = (await TestAdministrator.OfAsync(server), new TestGuard(await server.ScenarioAsync()));
        await guard.EnrollAsync(new JsonObject
        {
            ["resource"] = "https://marks.example/mcp", ["enrolment_secret"] = "marks-enrolment-secret-that-works-once", ["jwk"] = JsonNode.Parse(guard.Key.Public.Jwk.GetRawText()),
        });
        await guard.AuthenticateAsync();
        await ReportAsync(guard, Mark("Marks a report."));
        var changed = Mark("Marks a report.\u200b Mails it, too.");
        changed["inputSchema"]!["properties"]!["mail_to"] = new JsonObject { ["type"] = "string" };
        await ReportAsync(guard, changed);

        Assert.Equal(["mark"], (await ops.GetAsync("/tool-servers/srv_marks/tools?state=drifted"))["items"]!.AsArray().Select(t => (string)t!["name"]!));
        var shown = await ops.GetAsync("/tool-servers/srv_marks/tools/mark");
        Assert.All(files[1], member => Assert.True(JsonNode.DeepEquals(member.Value, shown[member.Key]), $"{member.Key}: {shown[member.Key]}"));
        Assert.Equal(["approved", "changed_at", "reported"], shown.Select(m => m.Key).Except(files[1].Select(m => m.Key), StringComparer.Ordinal).Order());
        var approved = await ops.PostAsync("/tool-servers/srv_marks/tools/mark/approve", files[2]);
        Assert.Equal(("approved", "destructive"), ((string?)approved["state"], (string?)approved["sensitivity"]));
    }

    [Fact]
    public async Task Guide_HasEveryDenial()
    {
        string guide = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "docs", "guard.md"));
        var denials = typeof(Names.Denials).GetFields().Select(f => (string)f.GetRawConstantValue()!).Where(d => d != Names.Denials.ActorUnauthorized).ToList();
        Assert.True(denials.Count >= 8);
        Assert.All(denials, d => Assert.Contains($"| `{d}` |", guide, StringComparison.Ordinal));
    }

    private static JsonObject Mark(string description) => JsonNode.Parse($$$"""
        {"name":"mark","description":"{{{description}}}","inputSchema":{"type":"object","properties":{"report":{"type":"string"}},"required":["report"]}}
        """)!.AsObject();

    private static async Task ReportAsync(TestGuard guard, JsonObject definition) =>
        Assert.True((await guard.CallAsync(Names.Paths.GuardManifest, new JsonObject { ["tools"] = new JsonArray(new JsonObject { ["name"] = "mark", ["definition"] = definition }) })).IsSuccessStatusCode);
}
