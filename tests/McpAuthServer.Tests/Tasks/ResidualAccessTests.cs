using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Tasks;

/// <summary>How long the longest-lived token of a task would still have been good is recorded whichever way the task ends.</summary>
public sealed class ResidualAccessTests : IAsyncLifetime
{
    private readonly TestServer server = new();

    // One of them ends everything there is.
    public Task InitializeAsync() => server.InitializeAsync();

    public Task DisposeAsync() => server.DisposeAsync();

    [Theory]
    [InlineData("complete")]
    [InlineData("fail")]
    [InlineData("revoked by its administrator")]
    [InlineData("revoked by its person")]
    [InlineData("revoked by the agent above")]
    [InlineData("instance ended")]
    [InlineData("instance revoked")]
    [InlineData("agent revoked")]
    [InlineData("client revoked")]
    [InlineData("user revoked")]
    [InlineData("consent revoked")]
    [InlineData("consent withdrawn")]
    [InlineData("task revoked")]
    [InlineData("everything revoked")]
    public async Task Task_HoweverItEnds_TellsItsResidualAccess(string how)
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var work = await s.Agent.TakeOverAsync((await new PersonFlow(s).DelegateAsync("p", "list_files", "read_file")).AccessToken);
        server.Time.Advance(TimeSpan.FromSeconds(100));
        var below = await s.Agents[1].TakeOverAsync(work.AccessToken);
        server.Time.Advance(TimeSpan.FromSeconds(50));

        await EndAsync(s, how, work, below);

        // The one that was handed off ends with it; from above it can be ended alone.
        var alone = how == "revoked by the agent above";
        Assert.Equal((alone ? (long?)null : 150_000, 250_000), (await ResidualAsync(work), await ResidualAsync(below)));
    }

    [Fact]
    public async Task Task_ThatExpires_TellsThatNothingWasLeft()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var work = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
        server.Time.Advance(Limits.TaskDefault);
        await server.NowAsync();
        Assert.Equal(0, await ResidualAsync(work));
    }

    [Fact]
    public async Task Task_WhoseTokenWasFollowedByAnother_TellsOfTheLast()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var work = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
        server.Time.Advance(TimeSpan.FromSeconds(100));
        var next = await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(work.AccessToken))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(work.Grant(), next.Grant());
        server.Time.Advance(TimeSpan.FromSeconds(50));
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{work.Task()}/complete")).ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal(250_000, await ResidualAsync(work));
    }

    [Theory]
    [InlineData("task")]
    [InlineData("user")]
    [InlineData("client")]
    [InlineData("everything")]
    public async Task Task_OfAProgram_TellsItToo(string level)
    {
        var s = await server.ScenarioAsync();
        var token = await new PersonFlow(s).TokenAsync();
        server.Time.Advance(TimeSpan.FromSeconds(60));
        await (await TestAdministrator.OfAsync(server)).RevokeAsync(level, level switch { "task" => token.Task(), "user" => s.User, "client" => s.PublicClient, _ => null });
        Assert.Equal(240_000, await ResidualAsync(token));
    }

    private async Task EndAsync(Scenario s, string how, TokenResponse work, TokenResponse below)
    {
        var now = server.Time.GetUtcNow();
        var person = new Initiator(null, null, null, Rank.User, s.User);
        var log = server.Services.GetRequiredService<ICommitLog>();
        switch (how)
        {
            case "complete" or "fail":
                await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{work.Task()}/{how}")).ReadAsync(ProtocolJson.Default.TaskView);
                break;
            case "revoked by its administrator":
                await (await TestAdministrator.OfAsync(server)).PostAsync($"/tasks/{work.Task()}/revoke", new System.Text.Json.Nodes.JsonObject { ["reason"] = "enough" });
                break;
            case "revoked by its person":
                Assert.True((await log.Commit(new EndTask(work.Task(), TaskState.Revoked, null, person, null, now, "test"))).Applied);
                break;
            case "revoked by the agent above":
                await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{below.Task()}/revoke")).ReadAsync(ProtocolJson.Default.TaskView);
                break;
            case "instance ended":
                Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);
                break;
            case "consent withdrawn":
                Assert.True(await log.Commit(new WithdrawConsent(await ConsentAsync(s), s.User, person, now, "test")));
                break;
            default:
                var level = how.Split(' ')[0];
                await (await TestAdministrator.OfAsync(server)).RevokeAsync(level, level switch
                {
                    "instance" => s.Agent.Instance, "agent" => s.Agent.Id, "client" => s.Agent.ClientId, "user" => s.User, "consent" => await ConsentAsync(s), "task" => work.Task(), _ => null,
                });
                break;
        }
    }

    private async Task<string> ConsentAsync(Scenario s) => (await server.TextsAsync($"select id from consents where user_id = '{s.User}'"))[0];

    /// <summary>As its event tells and as the task does; null while it has not ended.</summary>
    private async Task<long?> ResidualAsync(TokenResponse token)
    {
        var ended = (await server.EventsAsync($"task = '{token.Task()}' and type in ('task.completed', 'task.failed', 'task.revoked', 'task.expired')")).SingleOrDefault();
        var stored = await server.ScalarAsync($"select coalesce(residual_ms, -1) from tasks where id = '{token.Task()}'");
        Assert.Equal(stored, ended is null ? -1 : (long)ended.Data!["residual_access_ms"]!);
        return ended is null ? null : stored;
    }
}
