using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Grants;

public sealed class TokenExchangeTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC8693-2.2")]
    public async Task TokenExchange_InstanceTokenAlone_GetsATokenOfItsTask()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("list_files", "read_file");

        var token = await s.Agent.TaskTokenAsync(task, "read_file");

        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal("DPoP", token.TokenType);
        Assert.Equal("tool:read_file", token.Scope);
        Assert.Equal(300, token.ExpiresIn);
        Assert.Equal(s.Agent.Id, claims.GetProperty("sub").GetString());
        Assert.Equal(task, claims.GetProperty("task").GetProperty("id").GetString());
        Assert.Equal(s.Resource, claims.GetProperty("aud").GetString());
    }

    [Fact]
    public async Task TokenExchange_HandOff_NestsTheActorAndMakesAChildTask()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 2);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("list_files", "read_file");
        var first = await s.Agent.TaskTokenAsync(task, "list_files", "read_file");

        var second = await s.Agents[1].TakeOverAsync(first.AccessToken, s.Details(["read_file"], new JsonObject { ["purpose"] = "read one" }));
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);

        var claims = Answers.Claims(third.AccessToken);
        Assert.Equal(s.Agent.Id, claims.GetProperty("sub").GetString());
        Assert.Equal(s.Agents[2].Id, claims.GetProperty("act").GetProperty("sub").GetString());
        Assert.Equal(s.Agents[1].Id, claims.GetProperty("act").GetProperty("act").GetProperty("sub").GetString());
        Assert.Contains(task, claims.GetProperty("lineage").EnumerateArray().Select(e => e.GetString()));
    }

    [Fact]
    public async Task TokenExchange_AfterTheTaskEnded_IsRefused()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/complete")).ReadAsync(ProtocolJson.Default.TaskView);

        var refused = await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["id"] = task })));

        await refused.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
    }

    [Fact]
    public async Task ClientCredentials_ByScope_GetsADefaultScopeAndStepUp()
    {
        var s = await server.ScenarioAsync();

        var token = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);

        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal("tools:read", token.Scope);
        Assert.True(claims.GetProperty("step_up").GetBoolean());
    }
}
