using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>A client assertion is used once: at any endpoint, on any node, across a restart (RFC 7523 §3 item 7).</summary>
public sealed class AssertionReplayTests(TestServer server) : IClassFixture<TestServer>
{
    public static TheoryData<string, string> Ways => Door.Times(Door.All);

    [Theory]
    [MemberData(nameof(Ways))]
    [Trait("Attack", "76")]
    [Trait("Spec", "RFC7523-3")]
    public async Task ClientAssertion_UsedAgain_IsNoClient(string first, string then)
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        var (used, at) = (await Door.OfAsync(s, first), await Door.OfAsync(s, then));
        var assertion = Forge.Assertion(s);
        using var taken = await used.KnockAsync(assertion);
        Assert.True(taken.IsSuccessStatusCode, await taken.Content.ReadAsStringAsync());

        var singleUse = await Door.UsedAsync(server);
        await server.RefusedAsync(
            () => at.KnockAsync(assertion), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);

        // The second request's own proof was not consumed: nothing of a refused unit stays but its event.
        Assert.InRange(await Door.UsedAsync(server), singleUse, singleUse + 1);
    }

    [Theory]
    [InlineData("grant_type", "password")]
    [InlineData("authorization_details", "[]")]
    [InlineData("resource", "https://unknown.test/mcp")]
    [InlineData("scope", "tool:unknown")]
    [Trait("Attack", "76")]
    public async Task ClientAssertion_OfARequestThatWasRefused_IsUsedAllTheSame(string parameter, string value)
    {
        var at = await Door.OfAsync(server, Door.Token);
        var assertion = Forge.Assertion(at.Scenario);
        using var refused = await at.KnockAsync(assertion, new() { [parameter] = value });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);

        await server.RefusedAsync(
            () => at.KnockAsync(assertion), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
    }

    [Theory]
    [InlineData(Door.Token)]
    [InlineData(Door.Instances)]
    [Trait("Attack", "76")]
    public async Task ClientAssertion_UsedAgainBesideABadProof_IsToldAsTheReplayItIs(string door)
    {
        var at = await Door.OfAsync(server, door);
        var s = at.Scenario;
        var form = s.Agent.AssertionForm();
        form["grant_type"] = Names.OAuth.ClientCredentials;
        Task<HttpResponseMessage> Send() => s.Agent.PostFormAsync(at.Path, form, proof: "no.proof.atall");
        await (await Send()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof);

        await server.RefusedAsync(Send, HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
    }

    [Fact]
    [Trait("Attack", "76")]
    public async Task ClientAssertion_RefusedBeforeItWasBelieved_StaysUsable()
    {
        var at = await Door.OfAsync(server, Door.Token);
        var assertion = Forge.Assertion(at.Scenario);

        // A thief who cannot finish a request must not use up the owner's assertion.
        await at.StaysShutAsync(assertion, "client_mismatch", new() { ["client_id"] = "nobody" });
        using var taken = await at.KnockAsync(assertion);

        Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC7523-3")]
    public async Task ClientAssertion_SameIdByAnotherClient_IsNoReplay()
    {
        var (one, two) = (await Door.OfAsync(server, Door.Token), await Door.OfAsync(server, Door.Token));

        foreach (var at in new[] { one, two })
        {
            using var taken = await at.KnockAsync(Forge.Assertion(at.Scenario, claims: c => c["jti"] = "the-same"));
            Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
        }
    }

    [Fact]
    [Trait("Attack", "76")]
    public async Task ClientAssertion_UsedManyTimesAtOnce_MakesOneInstance()
    {
        var s = await server.ScenarioAsync();

        await OneOfManyAsync(s, [server]);
    }

    [Fact]
    [Trait("Attack", "76")]
    public async Task ClientAssertion_UsedAgainAfterARestart_IsNoClient()
    {
        await using var nodes = Nodes.OnSqlite();
        var before = await nodes.StartAsync();
        var s = await before.ScenarioAsync();
        var form = s.Agent.AssertionForm();
        using var taken = await s.Agent.AttestRawAsync(form);
        Assert.Equal(HttpStatusCode.Created, taken.StatusCode);
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances);
        await nodes.StopAsync(before);

        var after = await nodes.StartAsync();
        await after.RefusedAsync(
            () => s.Agent.PostFormAsync(Names.Paths.Instances, form, proof, after.Client()),
            HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
        Assert.Equal(1, await after.ScalarAsync("select count(*) from instances"));
    }

    [PostgresFact]
    [Trait("Attack", "76")]
    public async Task ClientAssertion_UsedAgainOnAnotherNode_IsNoClient()
    {
        await using var nodes = await Nodes.OnPostgresAsync();
        var one = await nodes.StartAsync();
        var s = await one.ScenarioAsync();
        var two = await nodes.StartAsync();
        var form = s.Agent.AssertionForm();
        using var taken = await s.Agent.AttestRawAsync(form);
        Assert.Equal(HttpStatusCode.Created, taken.StatusCode);

        await two.RefusedAsync(
            () => s.Agent.PostFormAsync(Names.Paths.Instances, form, client: two.Client()),
            HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
        await OneOfManyAsync(s, [one, two]);
    }

    /// <summary>Twenty requests at once with one assertion, each with a key of its own, so that nothing but the assertion is shared.</summary>
    private static async Task OneOfManyAsync(Scenario s, TestServer[] nodes)
    {
        var database = nodes[0];
        var (mark, before) = (await database.NowAsync(), await Footprint.OfAsync(database));
        var form = s.Agent.AssertionForm();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
        {
            var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, key: McpAuth.Protocol.Jose.SigningKey.Create());
            return Task.Run(() => s.Agent.PostFormAsync(Names.Paths.Instances, form, proof, nodes[i % nodes.Length].Client()));
        }));

        Assert.Single(answers, a => a.StatusCode == HttpStatusCode.Created);
        foreach (var refused in answers.Where(a => a.StatusCode != HttpStatusCode.Created))
            await refused.RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay);
        Assert.Equal(before with { Instances = before.Instances + 1, LiveInstances = before.LiveInstances + 1 }, await Footprint.OfAsync(database));
        await database.NowAsync();
        var events = await database.SinceAsync(mark);
        Assert.Equal(19, events.Count(e => e.Type == AuditTypes.ReplayDetected));
        Assert.Single(events, e => e.Type == AuditTypes.InstanceAttested);
        Assert.Equal(20, events.Count);
    }
}
