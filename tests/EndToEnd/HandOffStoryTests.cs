using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpAuth.EndToEnd;

[Collection(Installation.Name)]
public sealed class HandOffStoryTests(Installation installation)
{
    private const string Reports = """{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}""",
        OneReport = """{"read_file":{"args":{"path":{"constraint_type":"exact","value":"reports/q1.md"}}}}""";

    private readonly Deployment deployment = installation.Deployment;
    private readonly GuardedServer files = installation.Deployment.Servers[0];

    [Fact]
    [Trait("Spec", "Invariant-2")]
    [Trait("Attack", "104")]
    public async Task HandOff_TheFirstAgentReadsWhatBothDid_AndWhatItRevokesEndsBoth()
    {
        await using AgentSession first = await deployment.AttestAsync(deployment.First), second = await deployment.AttestAsync(deployment.Second);
        await using AgentTask task = await first.BeginTask("summarise the year", deployment.Authority(Reports, [files]));
        await using McpClient own = await files.ConnectAsync(task);
        Assert.NotEqual(true, (await Read(own, "reports/q2.md")).IsError);

        AccessToken given = await task.GetToken(files.Resource);
        await using AgentTask child = await second.AcceptHandOff(
            given.Value, files.Resource, deployment.Authority(OneReport, [files], """{"purpose":"summarise one quarter"}"""));
        Assert.Equal(task.Id, child.View.ParentTask);
        await using McpClient handed = await files.ConnectAsync(child);
        Assert.NotEqual(true, (await Read(handed, "reports/q1.md")).IsError);
        // The other agent got less than the first one holds.
        CallToolResult denied = await Read(handed, "reports/q2.md");
        Assert.Equal(Names.Denials.ArgumentDenied, denied.Meta?[Names.Mcp.DenialMeta]?["code"]?.GetValue<string>());

        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(f => f.Type is AuditTypes.CallDecided or AuditTypes.CallFinished) == 5);
        Assert.Equal([("agt_first", task.Id, "allow"), ("agt_second", child.Id, "allow"), ("agt_second", child.Id, "deny")],
            story.Where(e => e.Type == AuditTypes.CallDecided).Select(e => (e.Agent!, e.Task!, e.Decision!)));
        AuditEvent received = Assert.Single(story, e => e is { Type: AuditTypes.TokenIssued, Agent: "agt_second" });
        Assert.Equal(["agt_second"], received.Chain!);
        Assert.Equal(task.Id, Assert.Single(story, e => e.Type == AuditTypes.TaskCreated && e.Task == child.Id).ParentTask);
        Assert.Equal([.. story.Select(e => e.Seq).Order()], story.Select(e => e.Seq));

        // The second agent's own view ends at its own task.
        Assert.All((await child.Story()).Events, e => Assert.Equal(child.Id, e.Task));
        OAuthErrorException hidden = await Assert.ThrowsAsync<OAuthErrorException>(() => second.OpenTask(task.Id));
        Assert.Equal(404, hidden.Status);

        // The root of the branch goes, and the branch with it.
        using RawCaller last = await files.CallerAsync(second, child);
        Assert.True((await last.ReadAsync()).Ran);
        await deployment.First.RevokeAsync(deployment.Issuer, given.Value, deployment.HandlerTo(0));
        await Eventually.TrueAsync(last.IsRefusedAsync, "the handed-off token is refused", 5 * Limits.RevocationBound);
    }

    private static async Task<CallToolResult> Read(McpClient mcp, string path) => await mcp.CallToolAsync("read_file", new Dictionary<string, object?> { ["path"] = path });
}
