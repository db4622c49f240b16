using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpAuth.EndToEnd;

[Collection(Installation.Name)]
[Trait("Spec", "Invariant-5")]
public sealed class Invariant05_DeniedUnlessAllowed(Installation installation)
{
    private readonly Deployment deployment = installation.Deployment;
    private readonly GuardedServer files = installation.Deployment.Servers[0];

    [Fact]
    public async Task WhatNobodyAllowed_IsDenied_AndLeavesNoTraceInTheFiles()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("write a note", deployment.Authority(
            """{"list_files":{},"write_file":{"args":{"path":{"constraint_type":"path_under","value":"notes"},"content":{"constraint_type":"wildcard"},"overwrite":{"constraint_type":"exact","value":false}}}}""",
            [files]));
        await using McpClient mcp = await files.ConnectAsync(task);

        // What is allowed runs, so that the denials below are not denials of everything.
        Assert.NotEqual(true, (await mcp.CallToolAsync("write_file", Arguments(("path", "notes/a.md"), ("content", "allowed")))).IsError);
        Assert.Equal("allowed", await File.ReadAllTextAsync(files.File("notes/a.md")));
        Assert.Equal(["list_files", "write_file"], (await mcp.ListToolsAsync()).Select(t => t.Name).Order());

        await DeniedAsync(Names.Denials.NotInTask, "delete_file", ("path", "notes/a.md"));
        await DeniedAsync(Names.Denials.NotInTask, "format_disk");
        await DeniedAsync(Names.Denials.ArgumentDenied, "write_file", ("path", "private/a.md"), ("content", "x"));
        await DeniedAsync(Names.Denials.ArgumentDenied, "write_file", ("path", "notes/../private/a.md"), ("content", "x"));
        await DeniedAsync(Names.Denials.ArgumentDenied, "write_file", ("path", "notes/a.md"), ("content", "x"), ("overwrite", true));
        await DeniedAsync(Names.Denials.ArgumentDenied, "write_file", ("path", "notes/b.md"), ("content", "x"), ("as_root", true));
        await DeniedAsync(Names.Denials.ArgumentDenied, "write_file", ("path", "notes/b.md"));
        await DeniedAsync(Names.Denials.ArgumentDenied, "write_file", ("path", 7), ("content", "x"));
        Assert.Equal("allowed", await File.ReadAllTextAsync(files.File("notes/a.md")));
        Assert.Single(Directory.GetFiles(files.File("notes")));
        Assert.Single(Directory.GetFiles(files.File("private")));

        using RawCaller raw = await files.CallerAsync(session, task);
        foreach (string method in new[] { "tools/run", "Tools/Call", "tools/call ", "sampling/createMessage", "tasks/result", "resources/subscribe" })
        {
            Answer answer = await raw.SendAsync($$$$"""{"jsonrpc":"2.0","id":1,"method":"{{{{method}}}}","params":{"name":"list_files","arguments":{}}}""");
            Assert.Equal(-32601, answer.Error);
        }

        // Each denial is on record; none of them has an outcome, because nothing ran.
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(f => f.Decision == "deny") == 8);
        Assert.Equal(1, story.Count(e => e.Type == AuditTypes.CallFinished));

        async Task DeniedAsync(string code, string tool, params (string, object)[] arguments)
        {
            CallToolResult result = await mcp.CallToolAsync(tool, Arguments(arguments));
            Assert.True(result.IsError);
            Assert.Equal(code, result.Meta?[Names.Mcp.DenialMeta]?["code"]?.GetValue<string>());
        }
    }

    [Theory]
    [InlineData("hangs")]
    [InlineData("dies")]
    [Trait("Spec", "Invariant-6")]
    public async Task GuardThatHearsNothing_Denies_AndComesBackByItself(string server)
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("read on", deployment.Authority("""{"read_file":{},"write_file":{}}""", [files]));
        using RawCaller caller = await files.CallerAsync(session, task);
        Assert.True((await caller.ReadAsync()).Ran);

        if (server == "hangs") deployment.Nodes[0].Pause();
        else await deployment.KillNodeAsync();
        try
        {
            // Two seconds after the last word every call needs an answer that does not come.
            await Eventually.TrueAsync(async () => (await caller.ReadAsync()).Denial == Names.Denials.GuardUnavailable, "the guard denies", 5 * Limits.GuardStale);
            Answer write = await caller.CallAsync("write_file", """{"path":"stale.md","content":"x"}""");
            Assert.Equal(Names.Denials.GuardUnavailable, write.Denial);
            Assert.False(File.Exists(files.File("stale.md")));
            Assert.Contains("revocations_stale", (await files.ReadinessAsync()).Problems);
            // What is no decision but shows something of the server is not answered either.
            Assert.Equal(503, (await caller.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}""")).Status);
        }
        finally
        {
            if (server == "hangs") deployment.Nodes[0].Continue();
            else await deployment.RestartNodeAsync();
        }
        await Eventually.TrueAsync(async () => (await caller.ReadAsync()).Ran, "calls run again", TimeSpan.FromSeconds(20));

        // What was denied meanwhile is not forgotten.
        await Deployment.StoryAsync(task, e => e.Any(f => f is { Tool: "write_file", Decision: "deny" }));
    }

    [Fact]
    [Trait("Attack", "126")]
    public async Task IssuerUnreachable_KnownKeysStillVerify_AGuardWithoutThemAnswers503_NobodyIsLetIn()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("read on", deployment.Authority("""{"read_file":{},"delete_file":{}}"""));
        GuardedServer archive = deployment.Servers[1];
        using RawCaller knowing = await files.CallerAsync(session, task), restarted = await archive.CallerAsync(session, task);
        Assert.True((await knowing.ReadAsync()).Ran);
        Assert.True((await restarted.ReadAsync()).Ran);

        await deployment.KillNodeAsync();
        try
        {
            // Its keys are in memory: a token signed with another is told apart (401), a good one is only not confirmed.
            Assert.True((await knowing.ReadAsync()).Ran);
            await Eventually.TrueAsync(async () => (await knowing.ReadAsync()).Denial == Names.Denials.GuardUnavailable, "the guard denies", 5 * Limits.GuardStale);

            await archive.KillAsync();
            await archive.StartAsync(ready: false);
            for (var i = 0; i < 3; i++)
            {
                Assert.Equal(503, (await restarted.CallAsync("delete_file", """{"path":"reports/q1.md"}""")).Status);
                Assert.Equal(503, (await restarted.ReadAsync()).Status);
            }
            Assert.True(File.Exists(archive.File("reports/q1.md")));
            Assert.Contains("no_issuer_keys", (await archive.ReadinessAsync()).Problems);
        }
        finally
        {
            await deployment.RestartNodeAsync();
        }
        await Eventually.TrueAsync(async () => (await restarted.ReadAsync()).Ran && (await knowing.ReadAsync()).Ran, "both let in again", TimeSpan.FromSeconds(30));
    }

    private static Dictionary<string, object?> Arguments(params (string Name, object Value)[] arguments) => arguments.ToDictionary(a => a.Name, a => (object?)a.Value);
}
