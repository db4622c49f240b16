using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpGuard.Sdk;

namespace McpAuth.EndToEnd;

[Collection(Installation.Name)]
[Trait("Spec", "Invariant-4")]
public sealed class Invariant04_NoDecisionNoCall_NoRecordNoDecision(Installation installation)
{
    private readonly Deployment deployment = installation.Deployment;
    private readonly GuardedServer files = installation.Deployment.Servers[0];

    [Fact]
    public async Task Call_WhoseDecisionCannotBeWritten_IsDeniedAndDoesNotRun_UntilThereIsRoomAgain()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("tidy up", deployment.Authority("""{"read_file":{},"delete_file":{}}""", [files]));
        using RawCaller caller = await files.CallerAsync(session, task);
        await File.WriteAllTextAsync(files.File("reports/old-1.md"), "old");
        await File.WriteAllTextAsync(files.File("reports/old-2.md"), "old");
        Assert.True((await caller.CallAsync("delete_file", """{"path":"reports/old-1.md"}""")).Ran);
        Assert.False(File.Exists(files.File("reports/old-1.md")));

        files.FillDisk(true);
        try
        {
            for (var i = 0; i < 3; i++)
            {
                foreach (Answer answer in new[] { await caller.CallAsync("delete_file", """{"path":"reports/old-2.md"}"""), await caller.ReadAsync() })
                    Assert.True(answer.Denial == Names.Denials.GuardUnavailable, answer.ToString());
            }
            Assert.True(File.Exists(files.File("reports/old-2.md")));
            var (ready, problems) = await files.ReadinessAsync();
            Assert.False(ready);
            Assert.Contains("audit_unavailable", problems);
        }
        finally
        {
            files.FillDisk(false);
        }

        await Eventually.TrueAsync(async () => (await caller.ReadAsync()).Ran, "calls run again", TimeSpan.FromSeconds(10));
        Assert.True((await files.ReadinessAsync()).Ready);
        Assert.True((await caller.CallAsync("delete_file", """{"path":"reports/old-2.md"}""")).Ran);

        // Every deletion that happened is in the record, and none that did not.
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(Deleted) >= 2);
        Assert.Equal(2, story.Count(Deleted));

        static bool Deleted(AuditEvent e) => e is { Type: AuditTypes.CallDecided, Tool: "delete_file", Decision: "allow" };
    }

    [Fact]
    [Trait("Attack", "170")]
    public async Task ToolServerKilledBetweenDecisionAndOutcome_TheDecisionIsDeliveredOnceAfterTheRestart()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("read slowly", deployment.Authority("""{"read_file":{},"list_files":{}}""", [files]));
        using RawCaller caller = await files.CallerAsync(session, task);
        Assert.True((await caller.CallAsync("list_files", "{}")).Ran);
        await Deployment.StoryAsync(task, e => e.Any(f => f.Type == AuditTypes.CallFinished));

        // Reading a pipe that nobody writes to keeps the handler between decision and outcome. With the authorization server gone the guard
        // cannot deliver: the record of the decision exists in the guard's spool and nowhere else.
        await MakePipeAsync(files.File("reports/pipe.md"));
        await deployment.KillNodeAsync();
        long before = Size(files.Spool);
        Task<Answer> call = caller.ReadAsync("reports/pipe.md");
        await Eventually.TrueAsync(() => Task.FromResult(Size(files.Spool) > before || call.IsCompleted), "the decision is in the spool", TimeSpan.FromSeconds(10));
        Assert.False(call.IsCompleted, call.IsCompletedSuccessfully ? (await call).ToString() : "The call ended before its tool did.");
        await files.KillAsync();
        await Assert.ThrowsAsync<HttpRequestException>(() => call);

        await deployment.RestartNodeAsync();
        Assert.DoesNotContain((await task.Story()).Events, e => e.Tool == "read_file");
        File.Delete(files.File("reports/pipe.md"));
        await files.StartAsync();
        using RawCaller again = await files.CallerAsync(session, task);
        Assert.True((await again.CallAsync("list_files", "{}")).Ran);

        // The later call stands behind it in the spool, so once that has arrived nothing of the earlier is still on its way.
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(f => f is { Type: AuditTypes.CallDecided, Tool: "list_files" }) == 2);
        AuditEvent decided = Assert.Single(story, e => e is { Type: AuditTypes.CallDecided, Tool: "read_file" });
        Assert.Equal(("allow", caller.Token.Jti()), (decided.Decision, decided.Jti));
        Assert.DoesNotContain(story, e => e.Type == AuditTypes.CallFinished && e.Cause == decided.Id);
    }

    [Fact]
    [Trait("Attack", "145")]
    public async Task PolicyThatDoesNotDecide_NothingRuns_AndTheRecordSaysWhy()
    {
        var policy = new Faulty();
        await using var hosted = new HostedTool(deployment, policy);
        await hosted.StartAsync();
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("leave marks", deployment.HostedAuthority());
        using var caller = new RawCaller(deployment.HostedResource, session.Key, await task.GetToken(deployment.HostedResource));
        foreach (string fault in new[] { "throws", "fails later", "never answers", "says nothing" })
        {
            policy.Fault = fault;
            Assert.Equal(Names.Denials.PolicyDenied, (await caller.CallAsync("mark", "{}")).Denial);
        }
        Assert.Equal(0, hosted.Runs);
        policy.Fault = "";
        Assert.True((await caller.CallAsync("mark", "{}")).Ran);
        Assert.Equal(1, hosted.Runs);

        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(f => f.Type == AuditTypes.CallDecided) == 5);
        Assert.Equal(
            ["policy_denied: policy_error", "policy_denied: policy_error", "policy_denied: policy_timeout", "policy_denied: policy_error", null],
            story.Where(e => e.Type == AuditTypes.CallDecided).Select(e => e.Reason));
    }

    private sealed class Faulty : CallPolicy
    {
        public string Fault { get; set; } = "";

        public override async ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken)
        {
            if (Fault == "throws") throw new InvalidOperationException("broken");
            if (Fault == "fails later")
            {
                await Task.Yield();
                throw new InvalidOperationException("broken");
            }
            if (Fault == "never answers") await Task.Delay(Timeout.Infinite, cancellationToken);
            return Fault == "says nothing" ? null! : PolicyVerdict.Allow();
        }
    }

    private static long Size(string directory) => Directory.GetFiles(directory).Sum(f => new FileInfo(f).Length);

    private static async Task MakePipeAsync(string path)
    {
        await using var mkfifo = ChildProcess.Start("mkfifo", [path]);
        Assert.Equal(0, await mkfifo.WaitForExitAsync(TimeSpan.FromSeconds(10)));
    }
}
