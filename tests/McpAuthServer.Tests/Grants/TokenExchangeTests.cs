using System.Net;
using System.Text.Json;
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
    [Trait("Spec", "RFC8693-2.2.1")]
    public async Task TokenExchange_OfEveryForm_SaysWhatWasIssuedAndIsNotStored()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("list_files", "read_file");

        var own = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["id"] = task })));
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(own));
        await IssuedAsync(s.Agents[1], s.Agents[1].ExchangeForm(own, withActor: true));
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm((await new PersonFlow(s).DelegateAsync("read", "read_file")).AccessToken, withActor: true));

        async Task<string> IssuedAsync(TestAgent agent, Dictionary<string, string> form)
        {
            using var answer = await agent.ExchangeRawAsync(form);
            var body = JsonElement.Parse(await answer.Content.ReadAsStringAsync());
            Assert.Equal((HttpStatusCode.OK, "application/json", true), (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType, answer.Headers.CacheControl?.NoStore));
            Assert.Equal(
                (Names.Exchange.AccessTokenType, "DPoP", 300), (body.GetProperty("issued_token_type").GetString(), body.GetProperty("token_type").GetString(), body.GetProperty("expires_in").GetInt32()));
            Assert.Contains("tool:read_file", body.GetProperty("scope").GetString(), StringComparison.Ordinal);
            return body.GetProperty("access_token").GetString()!;
        }
    }

    [Fact]
    [Trait("Spec", "RFC8693-4.1")]
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
        // Who it is, and nothing of a token's.
        Assert.Equal(["act", "iss", "sub", "sub_profile"], claims.GetProperty("act").EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
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
