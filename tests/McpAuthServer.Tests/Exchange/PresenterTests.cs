using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;
using static McpAuthServer.Tests.Harness.Exchanging;

namespace McpAuthServer.Tests.Exchange;

/// <summary>Who may exchange what: each test breaks one rule of it and no other, beside an exchange that keeps it and succeeds.</summary>
public sealed class PresenterTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Attack", "94")]
    public async Task Exchange_ByAnotherClientOfTheSameAgent_IsRefused()
    {
        var s = await ReadyAsync(server);
        var second = await SecondClientAsync(s);
        var token = await StartAsync(s.Agent);
        // Token, key and agent are right. What a client was given is that client's.
        foreach (var form in new[] { s.Agent.ExchangeForm(token.AccessToken), s.Agent.ExchangeForm(details: In(s, token.Task())) })
        {
            form[Names.ClientAssertion.Parameter] = second.Assertion();
            Assert.Equal(second.ClientId, (await RefusedAsync(s.Agent, form, Names.Reasons.NotPresenter)).Client);
        }
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken));
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: In(s, token.Task())));
    }

    [Fact]
    [Trait("Attack", "94")]
    public async Task HandOff_ByAnotherClientOfTheTaker_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var second = await SecondClientAsync(s, of: 1);
        var token = await StartAsync(s.Agent);
        var form = s.Agents[1].ExchangeForm(token.AccessToken, withActor: true);
        form[Names.ClientAssertion.Parameter] = second.Assertion();
        await RefusedAsync(s.Agents[1], form, Names.Reasons.NotPresenter);
        await IssuedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, withActor: true));
    }

    [Fact]
    [Trait("Attack", "94"), Trait("Spec", "RFC8693-4.4")]
    public async Task Delegation_ByAnotherClientOfTheSameAgent_IsRefused()
    {
        var s = await ReadyAsync(server);
        var second = await SecondClientAsync(s);
        await second.AttestAsync();
        var delegation = (await new PersonFlow(s).DelegateAsync("read", "list_files", "read_file")).AccessToken;
        // The agent may act, with an instance of its own; the person gave it by name to the other program.
        await RefusedAsync(second, second.ExchangeForm(delegation, withActor: true), Names.Reasons.NotPresenter);
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(delegation, withActor: true));
    }

    [Fact]
    [Trait("Attack", "94")]
    public async Task Exchange_AfterTheClientBecameAnotherAgents_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        await BelongsToAsync(s.Agents[1]);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken), Names.Reasons.ActorUnauthorized);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(details: In(s, token.Task())), Names.Reasons.ActorUnauthorized);
        await BelongsToAsync(s.Agent);
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken));

        Task BelongsToAsync(TestAgent agent)
        {
            s.File["clients"]![0]!["agent"] = agent.Id;
            return server.ApplyAsync(s.File.ToJsonString());
        }
    }

    [Fact]
    [Trait("Attack", "96"), Trait("Spec", "RFC8693-2.1")]
    public async Task HandOff_WithATasksTokenOfTheTakerAsActor_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var (token, taker) = (await StartAsync(s.Agent), s.Agents[1]);
        // Key, client and agent are the taker's. Its own task says nothing of who it is; nor does one that already names who acts for whom.
        foreach (var actor in new[] { await StartAsync(taker), await taker.TakeOverAsync(token.AccessToken) })
        {
            var form = taker.ExchangeForm(token.AccessToken, withActor: true);
            form[Names.Exchange.ActorToken] = actor.AccessToken;
            await RefusedAsync(taker, form, Names.Reasons.WrongType);
        }
        await IssuedAsync(taker, taker.ExchangeForm(token.AccessToken, withActor: true));
    }

    [Fact]
    [Trait("Attack", "103"), Trait("Invariant", "3")]
    public async Task Exchange_ByAnEndedInstanceOfATaskThatAnotherHolds_IsRefused()
    {
        var s = await ReadyAsync(server);
        var task = await s.Agent.BeginTaskAsync("read_file");
        var holder = s.Agent.Key;
        // Another copy, which may work on the agent's own task as long as it lives; the task lives on.
        await s.Agent.RenewKeyAsync();
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: In(s, task)));
        Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(details: In(s, task)), Names.Reasons.InstanceEnded);
        s.Agent.Key = holder;
        await s.Agent.AttestAsync();
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: In(s, task)));
    }

    [Fact]
    [Trait("Attack", "103")]
    public async Task Exchange_OwnAgentSuspended_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var (first, own) = (await StartAsync(s.Agent), await StartAsync(s.Agents[1]));
        await SetAsync("suspended");
        // As who takes over and with a task of its own: it stands in nobody's chain.
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(first.AccessToken, withActor: true), Names.Reasons.AgentSuspended);
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(details: In(s, own.Task())), Names.Reasons.AgentSuspended);
        await SetAsync("active");
        await IssuedAsync(s.Agents[1], s.Agents[1].ExchangeForm(first.AccessToken, withActor: true));

        Task SetAsync(string state)
        {
            s.File["agents"]![1]!["state"] = state;
            return server.ApplyAsync(s.File.ToJsonString());
        }
    }

    /// <summary>A further registration of an agent, with a key of its own.</summary>
    private async Task<TestAgent> SecondClientAsync(Scenario s, int of = 0)
    {
        var second = new TestAgent(s, s.Agents[of].Id, $"second-{s.Suffix}");
        var client = s.File["clients"]![of]!.DeepClone().AsObject();
        client["id"] = second.ClientId;
        client["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(second.ClientKey.Public.Jwk.GetRawText())) };
        s.File["clients"]!.AsArray().Add(client);
        await server.ApplyAsync(s.File.ToJsonString());
        return second;
    }

    private static JsonArray In(Scenario s, string task) => s.Details(["read_file"], new JsonObject { ["id"] = task });

    private Task<AuditEvent> RefusedAsync(TestAgent agent, Dictionary<string, string> form, string reason) =>
        server.RefusedAsync(() => agent.ExchangeRawAsync(form), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, reason, AuditTypes.TokenRefused, reason);
}
