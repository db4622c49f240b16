using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Testing;
using Xunit.Abstractions;

namespace McpAuth.EndToEnd;

/// <summary>An administrator pulls the plug at one of two nodes.</summary>
public sealed class AdministrationTests(TwoNodes nodes, ITestOutputHelper output) : IClassFixture<TwoNodes>
{
    private const string Read = """{"read_file":{}}""";
    private static readonly bool[] Nowhere = [false, false];
    private static readonly TimeSpan Bound = 5 * Limits.RevocationBound;

    private readonly Deployment deployment = nodes.Deployment;

    [PostgresFact]
    [Trait("Attack", "120")]
    [Trait("Spec", "Invariant-6")]
    public async Task Everything_Revoked_IsInactiveAtEveryNodeAtOnce_AndAtTheGuardInTime_AndWorkBeginsAnew()
    {
        var ops = new Administrator(deployment);
        await ops.RegisterAsync();
        GuardedServer files = deployment.Servers[0];
        await using AgentSession session = await deployment.AttestAsync(deployment.First, node: 0);
        await using AgentTask task = await session.BeginTask("work", deployment.Authority(Read));
        using RawCaller caller = await files.CallerAsync(session, task);
        Assert.True((await caller.ReadAsync()).Ran);

        await ops.RevokeAsync("everything", null, node: 1);

        Assert.Equal(Nowhere, await nodes.ActiveAsync(caller.Token.Value));
        TimeSpan refused = await Eventually.TrueAsync(caller.IsRefusedAsync, "the guard refuses", Bound);
        output.WriteLine($"refused after {refused.TotalMilliseconds:0} ms");
        await using AgentSession again = await deployment.AttestAsync(deployment.First, node: 1);
        await Eventually.TrueAsync(async () =>
        {
            await using AgentTask next = await again.BeginTask("more work", deployment.Authority(Read));
            using RawCaller fresh = await files.CallerAsync(again, next);
            return (await fresh.ReadAsync()).Ran;
        }, "new work runs", Deployment.Patience);
        Assert.Equal(401, (await caller.ReadAsync()).Status);
    }

    [PostgresFact]
    [Trait("Attack", "120")]
    [Trait("Spec", "Invariant-6")]
    public async Task ToolServer_Revoked_ItsGuardRefusesInTime_AndWhatWasIssuedBeforeNeverComesBack()
    {
        var ops = new Administrator(deployment);
        await ops.RegisterAsync();
        GuardedServer files = deployment.Servers[0];
        string id = "srv_" + files.Name;
        await using AgentSession session = await deployment.AttestAsync(deployment.First, node: 0);
        await using AgentTask task = await session.BeginTask("work", deployment.Authority(Read));
        using RawCaller caller = await files.CallerAsync(session, task);
        Assert.True((await caller.ReadAsync()).Ran);

        await ops.RevokeAsync("tool_server", id, node: 1);
        TimeSpan refused = await Eventually.TrueAsync(caller.IsRefusedAsync, "the guard refuses", Bound);
        output.WriteLine($"refused after {refused.TotalMilliseconds:0} ms");

        JsonObject entry = await ops.SendAsync(HttpMethod.Get, "/tool-servers/" + id, null, node: 0);
        Assert.Equal("suspended", (string?)entry["state"]);
        entry["state"] = "active";
        await ops.SendAsync(HttpMethod.Put, "/tool-servers/" + id, entry, node: 0);
        await using AgentSession again = await deployment.AttestAsync(deployment.First, node: 1);
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await using AgentTask next = await again.BeginTask("more work", deployment.Authority(Read));
                using RawCaller fresh = await files.CallerAsync(again, next);
                return (await fresh.ReadAsync()).Ran;
            }
            catch (OAuthErrorException)
            {
                return false; // a node that has not seen the tool server again
            }
        }, "new work runs", Deployment.Patience);
        Assert.Equal(401, (await caller.ReadAsync()).Status);
        Assert.Equal(Nowhere, await nodes.ActiveAsync(caller.Token.Value));
    }
}
