using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using ModelContextProtocol.Client;

namespace McpAuth.EndToEnd;

/// <summary>Agents and guards of ours at a server that demands its nonce in every proof.</summary>
public sealed class NonceStoryTests : IAsyncLifetime
{
    private Deployment deployment = null!;

    public async Task InitializeAsync() =>
        deployment = await Deployment.StartAsync(null, 1, ["files"], _ => { }, new Dictionary<string, string?> { ["McpAuth__RequireDpopNonce"] = "true" });

    public async Task DisposeAsync() => await deployment.DisposeAsync();

    [Fact]
    [Trait("Spec", "RFC9449-8")]
    public async Task Clients_OfOurs_AreAskedOnceEachAndThenAreServedEverywhere()
    {
        GuardedServer files = deployment.Servers[0];
        await using (AgentSession session = await deployment.AttestAsync(deployment.First))
        await using (AgentTask task = await session.BeginTask("read a report", deployment.Authority("""{"read_file":{}}""")))
        {
            await using (McpClient mcp = await files.ConnectAsync(task))
                Assert.NotEqual(true, (await mcp.CallToolAsync("read_file", new Dictionary<string, object?> { ["path"] = "reports/q1.md" })).IsError);
            await Deployment.StoryAsync(task, e => e.Any(f => f.Type == AuditTypes.CallFinished));

            // A guard's channels, each by its own.
            using var key = SigningKey.Create();
            EnrollResponse enrolled = await GuardChannel.EnrollAsync(deployment.Issuer, files.Resource, files.ProbeSecret, key);
            using var channel = new GuardChannel(deployment.Issuer, enrolled.GuardId, key);
            StreamResponse stream = await channel.OpenStream();
            for (var i = 0; i < 3; i++) await channel.Poll(new RevocationsRequest(stream.Stream, stream.Cursor));
            AccessToken token = await task.GetToken(files.Resource);
            Assert.True((await channel.Introspect(token.Value)).Active);
            await deployment.First.RevokeAsync(deployment.Issuer, token.Value, deployment.HandlerTo(0));
            Assert.False((await channel.Introspect(token.Value)).Active);
        }

        // The agent, the guard of the tool server, and this one.
        IReadOnlyList<string?> asked = [.. (await deployment.EventsAsync(AuditTypes.TokenRefused, AuditTypes.InstanceRefused, AuditTypes.GuardRefused))
            .Where(e => e["reason"]?.GetValue<string>() == Names.Claims.Nonce).Select(e => e["type"]!.GetValue<string>())];
        Assert.Contains(AuditTypes.InstanceRefused, asked);
        Assert.Contains(AuditTypes.TokenRefused, asked);
        Assert.InRange(asked.Count, 3, 6);
    }
}
