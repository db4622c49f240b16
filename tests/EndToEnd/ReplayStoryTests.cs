using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol.Audit;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpAuth.EndToEnd;

/// <summary>Policies decide what an agent does at two tool servers; later, when other policies hold, another process makes every one of these decisions again.</summary>
[Collection(Installation.Name)]
public sealed class ReplayStoryTests(Installation installation)
{
    private const string Tools = """{"list_files":{},"read_file":{},"search_files":{},"write_file":{}}""";

    private const string Policies = """
        @id("read")
        permit (principal, action in Mcp::Action::"sensitivity:read", resource)
        when { context.session.time > datetime("2026-01-01") };

        @id("drafts")
        permit (principal == Mcp::Agent::"agt_first", action == Mcp::Action::"write_file", resource)
        when { context.input.path like "reports/draft*" && context.session has task };

        @id("private")
        forbid (principal, action, resource)
        when { context.input has path && context.input.path like "private*" };
        """;

    private readonly Deployment deployment = installation.Deployment;

    [Fact]
    public async Task Decisions_OfAWholeTask_AreTheSameInAnotherProcess()
    {
        var ops = new Administrator(deployment);
        await ops.RegisterAsync();
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("replayed", deployment.Authority(Tools));
        foreach (GuardedServer server in deployment.Servers)
        {
            await ActivateAsync(ops, server, Policies);
            await using McpClient mcp = await server.ConnectAsync(task);
            await Eventually.TrueAsync(async () => !await RunsAsync(mcp, "read_file", "private/salaries.txt"), "the policies decide", Deployment.Patience);
            Assert.True(await RunsAsync(mcp, "read_file", "reports/q1.md"));
            Assert.True(await RunsAsync(mcp, "list_files", "reports"));
            Assert.True(await RunsAsync(mcp, "write_file", "reports/draft.md", "so far"));
            Assert.False(await RunsAsync(mcp, "write_file", "reports/q1.md", "not mine"));
            Assert.False(await RunsAsync(mcp, "write_file", "private/draft.md", "nobody's"));
        }
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, events => deployment.Servers.All(server => events.Count(e => Asked(e) && e.Resource == server.Resource) >= 6));
        AuditEvent[] decisions = [.. story.Where(Asked)];
        Assert.Equal(["allow", "deny"], decisions.Select(e => e.Decision).Distinct().Order());

        // What holds now says nothing about what held then.
        foreach (GuardedServer server in deployment.Servers) await ActivateAsync(ops, server, """@id("nothing") forbid (principal, action, resource);""");
        await deployment.KillNodeAsync();
        await deployment.RestartNodeAsync();
        foreach (AuditEvent decision in decisions)
        {
            JsonObject again = await ops.SendAsync(HttpMethod.Post, $"/decisions/{decision.Id}/replay", new JsonObject(), node: 0);
            Assert.True((bool)again["same"]!, again.ToJsonString());
            Assert.Equal(decision.Data!["policy"]!.GetValue<string>(), (string?)again["replayed"]!["decision"]);
            Assert.Equal(decision.PolicyIds ?? [], again["replayed"]!["policies"]!.AsArray().Select(p => (string)p!));
        }

        foreach (GuardedServer server in deployment.Servers)
        {
            JsonArray versions = (await ops.SendAsync(HttpMethod.Get, $"/tool-servers/srv_{server.Name}/policies", null, node: 0))["items"]!.AsArray();
            string active = (string)versions.Single(v => (string)v!["state"]! == "active")!["id"]!;
            await ops.SendAsync(HttpMethod.Post, $"/tool-servers/srv_{server.Name}/policies/{active}/withdraw", new JsonObject(), node: 0);
            await using McpClient mcp = await server.ConnectAsync(task);
            await Eventually.TrueAsync(() => RunsAsync(mcp, "read_file", "private/salaries.txt"), "authority alone decides again", Deployment.Patience);
        }
    }

    /// <summary>A decision in which policies had a say.</summary>
    private static bool Asked(AuditEvent e) => e.Type == AuditTypes.CallDecided && e.Data?["policy"] is not null;

    private static async Task ActivateAsync(Administrator ops, GuardedServer server, string policies)
    {
        string all = $"/tool-servers/srv_{server.Name}/policies";
        JsonObject draft = await ops.SendAsync(HttpMethod.Post, all, new JsonObject { ["policies"] = policies }, node: 0);
        await ops.SendAsync(HttpMethod.Post, $"{all}/{(string)draft["id"]!}/activate", new JsonObject(), node: 0);
    }

    private static async Task<bool> RunsAsync(McpClient mcp, string tool, string path, string? text = null)
    {
        var arguments = new Dictionary<string, object?> { ["path"] = path };
        if (text is not null) arguments["content"] = text;
        CallToolResult result = await mcp.CallToolAsync(tool, arguments);
        return result.IsError is not true;
    }
}
