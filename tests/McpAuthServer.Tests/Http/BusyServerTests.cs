using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Hostile;
using McpAuthServer.Tests.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Http;

/// <summary>A server of which one unit may wait, behind one that does not end.</summary>
public sealed class BusyServerTests : IAsyncLifetime
{
    private readonly TestServer server = new();

    public Task InitializeAsync()
    {
        server.Settings["McpAuth:CommitQueue"] = "1";
        return server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task CommitQueueFull_EveryEndpoint_AnswersTryAgainAndTheNextIsServed()
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        var doors = new List<Door>();
        foreach (var name in Door.All)
            doors.Add(await Door.OfAsync(s, name));
        await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var before = await Footprint.OfAsync(server);
        var used = await Door.UsedAsync(server);
        var log = server.Services.GetRequiredService<ICommitLog>();
        using var release = new ManualResetEventSlim();
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = log.Commit(new LambdaUnit<bool>(
            _ =>
            {
                entered.TrySetResult();
                return release.Wait(TimeSpan.FromSeconds(20));
            },
            StateLock.None));
        await entered.Task.WaitAsync(TimeSpan.FromSeconds(20));
        var waiting = log.Commit(new LambdaUnit<bool>(_ => true, StateLock.None));
        var assertions = doors.ToDictionary(d => d, _ => Forge.Assertion(s));
        try
        {
            await BusyAsync(s.ServiceTokenAsync());
            await BusyAsync(s.ServiceTokenAsync("tool:unknown"));
            foreach (var door in doors)
                await BusyAsync(door.KnockAsync(assertions[door]));
        }
        finally
        {
            release.Set();
        }
        Assert.True(await running.WaitAsync(TimeSpan.FromSeconds(20)) && await waiting.WaitAsync(TimeSpan.FromSeconds(20)));

        // Nothing was minted, and nothing used up: what was presented then can be presented again.
        Assert.Equal((before, used), (await Footprint.OfAsync(server), await Door.UsedAsync(server)));
        await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        foreach (var door in doors)
            Assert.True((await door.KnockAsync(assertions[door])).IsSuccessStatusCode);
    }

    private static async Task BusyAsync(Task<HttpResponseMessage> sent)
    {
        using var answer = await sent.WaitAsync(TimeSpan.FromSeconds(10));
        await answer.RefusedAsync(HttpStatusCode.ServiceUnavailable, Names.Errors.TemporarilyUnavailable);
        Assert.Equal(TimeSpan.FromSeconds(1), answer.Headers.RetryAfter?.Delta);
    }
}
