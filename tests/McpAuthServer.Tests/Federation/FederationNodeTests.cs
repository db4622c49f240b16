using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>Two nodes on one database: an assertion is used at one of them, and a subject becomes one person.</summary>
public sealed class FederationNodeTests
{
    [PostgresFact]
    [Trait("Attack", "106"), Trait("Invariant", "11")]
    public async Task Assertion_UsedAtOneNode_IsRefusedAtTheOther()
    {
        await using var nodes = await Nodes.OnPostgresAsync();
        var first = await nodes.StartAsync();
        var second = await nodes.StartAsync(first.Time.GetUtcNow());
        var provider = new TestProvider(await first.ScenarioAsync());
        await provider.RegisterAsync();
        await second.SeeRegistryAsync();

        var assertion = provider.Assertion();
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(assertion)).StatusCode);
        var mark = await second.NowAsync();
        await (await provider.RedeemRawAsync(assertion, node: second.Client())).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);
        Assert.Equal([(AuditTypes.ReplayDetected, "node2")], (await second.SinceAsync(mark)).Select(e => (e.Type, e.Node ?? "")));

        // At both at once, over and over: once each.
        for (var round = 0; round < 10; round++)
        {
            var contested = provider.Assertion();
            var answers = await Task.WhenAll(provider.RedeemRawAsync(contested), provider.RedeemRawAsync(contested, node: second.Client())).WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Single(answers, a => a.StatusCode == HttpStatusCode.OK);
            await answers.Single(a => a.StatusCode != HttpStatusCode.OK).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);
        }
        Assert.Equal(11, await first.ScalarAsync($"select count(*) from grants where client_id = '{provider.Desk}'"));
    }

    [PostgresFact]
    public async Task Subject_FirstSeenByTwoNodesAtOnce_IsOnePerson()
    {
        await using var nodes = await Nodes.OnPostgresAsync();
        var first = await nodes.StartAsync();
        var second = await nodes.StartAsync(first.Time.GetUtcNow());
        var s = await first.ScenarioAsync();
        var provider = new TestProvider(s);
        await provider.RegisterAsync(e => e["provision"] = new JsonObject { ["email_domains"] = new JsonArray("corp.test") });
        await s.Agent.AttestAsync();
        await second.SeeRegistryAsync();
        for (var round = 0; round < 10; round++)
        {
            var name = $"new{round}";
            void New(JsonObject c) => (c["sub"], c["email"], c["email_verified"]) = (name, name + "@corp.test", true);
            // The agent's software authenticates by an assertion of its own, which a lost race must not use up.
            var answers = await Task.WhenAll(
                provider.RedeemRawAsync(provider.Assertion(New)), provider.RedeemRawAsync(provider.Assertion(New), node: second.Client()),
                provider.WorkRawAsync(provider.ForAgent(New)), provider.WorkRawAsync(provider.ForAgent(New), node: second.Client())).WaitAsync(TimeSpan.FromSeconds(60));
            foreach (var answer in answers)
                Assert.True(answer.StatusCode == HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
            Assert.Equal(1, await first.ScalarAsync($"select count(*) from users where email = '{name}@corp.test'"));
        }
        Assert.Equal(10, await first.ScalarAsync($"select count(*) from identities where provider_id = '{provider.Id}' and origin = 'provisioned'"));
    }
}
