using System.Diagnostics;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using Xunit.Abstractions;

namespace McpAuth.EndToEnd;

[Collection(Installation.Name)]
[Trait("Spec", "Invariant-6")]
public sealed class Invariant06_RevocationWithinOneSecond(Installation installation, ITestOutputHelper output)
{
    /// <summary>Five times what is promised: a busy machine is not a broken promise.</summary>
    private static readonly TimeSpan Bound = 5 * Limits.RevocationBound;

    private readonly Deployment deployment = installation.Deployment;

    [Theory]
    [InlineData("task completed")]
    [InlineData("task revoked")]
    [InlineData("token revoked")]
    [InlineData("instance ended")]
    [InlineData("agent suspended by another process")]
    [Trait("Attack", "103")]
    public async Task End_OnceAcknowledged_IsRefusedAtEveryGuard(string end)
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("read until the end", deployment.Authority("""{"read_file":{}}"""));
        using RawCaller files = await deployment.Servers[0].CallerAsync(session, task), archive = await deployment.Servers[1].CallerAsync(session, task);
        RawCaller[] callers = [files, archive];
        foreach (RawCaller caller in callers) Assert.True((await caller.ReadAsync()).Ran);

        try
        {
            switch (end)
            {
                case "task completed": await task.Complete(); break;
                case "task revoked": await task.Fail("given up"); break;
                case "token revoked": await Task.WhenAll(callers.Select(c => deployment.First.RevokeAsync(deployment.Issuer, c.Token.Value, deployment.HandlerTo(0)))); break;
                case "instance ended": await session.EndAsync(); break;
                case "agent suspended by another process": await deployment.SetStateAsync("agents", deployment.First.Id, "suspended"); break;
                default: throw new ArgumentOutOfRangeException(nameof(end));
            }
            long acknowledged = Stopwatch.GetTimestamp();
            TimeSpan[] refused = await Task.WhenAll(callers.Select(c => Eventually.TrueAsync(
                c.IsRefusedAsync, $"{c.Resource} refuses after: {end}", Bound)));
            output.WriteLine($"{end}: refused after {string.Join(" and ", refused.Select(r => $"{r.TotalMilliseconds:0}"))} ms");

            // And it stays so.
            while (Stopwatch.GetElapsedTime(acknowledged) < TimeSpan.FromMilliseconds(300))
                foreach (RawCaller caller in callers) Assert.Equal(401, (await caller.ReadAsync()).Status);
            if (end is not ("token revoked" or "instance ended"))
                await Assert.ThrowsAsync<OAuthErrorException>(async () => await (await session.OpenTask(task.Id)).GetToken(deployment.Servers[0].Resource));
        }
        finally
        {
            if (end.StartsWith("agent", StringComparison.Ordinal)) await deployment.RestoreAsync("agents", deployment.First.Id);
        }
    }

    [Fact]
    [Trait("Attack", "103")]
    public async Task GuardThatRestartsAfterARevocation_RefusesFromItsFirstRequest()
    {
        GuardedServer archive = deployment.Servers[1];
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("read until the end", deployment.Authority("""{"read_file":{}}""", [archive]));
        using RawCaller caller = await archive.CallerAsync(session, task);
        Assert.True((await caller.ReadAsync()).Ran);
        await archive.KillAsync();
        await task.Complete();
        await archive.StartAsync(ready: false);
        for (var i = 0; i < 20; i++) Assert.Contains((await caller.ReadAsync()).Status, (int[])[401, 503]);
        await Eventually.TrueAsync(async () => (await archive.ReadinessAsync()).Ready, "the guard is ready", Deployment.Patience);
        Assert.Equal(401, (await caller.ReadAsync()).Status);
    }
}
