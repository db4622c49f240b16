using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>What an enterprise allows stands in the place of a person's consent: seen, withdrawn, revoked as one, and not brought back by asking again.</summary>
public abstract class EnterpriseConsentSuite
{
    private protected abstract TestServer Server { get; }

    private async Task<(Scenario S, TestProvider Provider, TestGuard Guard, TokenResponse Desk, TokenResponse Agent)> SceneAsync()
    {
        var s = await Server.ScenarioAsync();
        var provider = new TestProvider(s);
        await provider.RegisterAsync();
        await s.Agent.AttestAsync();
        return (s, provider, await TestGuard.OfAsync(s), await provider.RedeemAsync(), await provider.WorkAsync());
    }

    private async Task<string> ConsentAsync(string client) => Assert.Single(await Server.TextsAsync($"select id from consents where client_id = '{client}' and state = 'active'"));

    private Task<AuditEvent> StoppedAsync(TestProvider provider) => Server.RefusedAsync(
        () => provider.RedeemRawAsync(), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.ConsentWithdrawn, AuditTypes.TokenRefused, Names.Reasons.ConsentWithdrawn);

    [SuiteFact]
    [Trait("Invariant", "12")]
    public async Task Withdrawn_ByThePerson_StaysSoUntilTheyLiftIt()
    {
        var (s, provider, guard, desk, agent) = await SceneAsync();
        var browser = await s.BrowserAsync();
        var consent = await ConsentAsync(provider.Desk);
        var page = await browser.GetAsync(Names.Paths.Account);
        Assert.Matches("Desk at Files .*Since .* UTC Allowed by Corporate identity ?, for you Withdraw", page.Words());

        await browser.PostFormAsync(page, action: $"/consents/{consent}/withdraw");

        Assert.False(await guard.IsActiveAsync(desk.AccessToken));
        Assert.True(await guard.IsActiveAsync(agent.AccessToken));
        await StoppedAsync(provider);
        page = await browser.GetAsync(Names.Paths.Account);
        Assert.Contains("Stopped by you Desk at Files Corporate identity would allow it; you withdrew it.", page.Words(), StringComparison.Ordinal);
        var mark = await Server.NowAsync();
        Assert.Equal(Names.Paths.Account + "?done=lifted", (await browser.PostFormAsync(page, action: $"/consents/{consent}/lift")).Location);
        Assert.Equal((AuditTypes.ConsentLifted, s.User, s.User), (await Server.SinceAsync(mark)) is [var lifted] ? (lifted.Type, lifted.User, (string?)lifted.Data!["by"]) : default);

        Assert.True(await guard.IsActiveAsync((await provider.RedeemAsync()).AccessToken));
        // Nothing that had ended is back.
        Assert.False(await guard.IsActiveAsync(desk.AccessToken));
    }

    [SuiteFact]
    [Trait("Invariant", "12")]
    public async Task Revoked_ByAnAdministrator_IsNotThePersonsToLift()
    {
        var (s, provider, guard, desk, agent) = await SceneAsync();
        var (ops, browser) = (await TestAdministrator.OfAsync(Server), await s.BrowserAsync());
        var consent = await ConsentAsync(provider.Desk);
        var other = await new PersonFlow(s).TokenAsync();

        await ops.RevokeAsync("consent", consent);

        Assert.False(await guard.IsActiveAsync(desk.AccessToken));
        await StoppedAsync(provider);
        var page = await browser.GetAsync(Names.Paths.Account);
        Assert.DoesNotContain("Stopped by you", page.Words(), StringComparison.Ordinal);
        var own = await ConsentAsync(s.PublicClient);
        Assert.Equal(HttpStatusCode.NotFound, (await browser.PostAsync($"{Names.Paths.Account}/consents/{consent}/lift", page.Form($"/consents/{own}/withdraw").Fields)).Status);
        await StoppedAsync(provider);

        var mark = await Server.NowAsync();
        await ops.PostAsync($"/consents/{consent}/lift", new JsonObject { ["reason"] = "ticket 4711" });
        Assert.Equal((AuditTypes.ConsentLifted, "ticket 4711", ops.Id), (await Server.SinceAsync(mark)) is [var lifted] ? (lifted.Type, lifted.Reason, (string?)lifted.Data!["by"]) : default);
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
        // There is nothing to lift any more, and of a person's own consent there never was.
        await (await ops.SendAsync(HttpMethod.Post, $"/consents/{consent}/lift", new JsonObject { ["reason"] = "x" })).ProblemAsync(HttpStatusCode.NotFound, "not_found");
        await ops.RevokeAsync("consent", own);
        await (await ops.SendAsync(HttpMethod.Post, $"/consents/{own}/lift", new JsonObject { ["reason"] = "x" })).ProblemAsync(HttpStatusCode.NotFound, "not_found");
        Assert.False(await guard.IsActiveAsync(other.AccessToken));
        Assert.True(await guard.IsActiveAsync(agent.AccessToken));
    }

    [SuiteFact]
    public async Task Withdrawn_OfAnAgent_EndsItsTask()
    {
        var (s, provider, guard, desk, agent) = await SceneAsync();
        var browser = await s.BrowserAsync();
        await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: $"/consents/{await ConsentAsync(s.Agent.ClientId)}/withdraw");
        Assert.Equal((false, true), (await guard.IsActiveAsync(agent.AccessToken), await guard.IsActiveAsync(desk.AccessToken)));
        Assert.Equal(["revoked"], await Server.TextsAsync($"select state from tasks where id = '{agent.Task()}'"));
        await (await provider.WorkRawAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.ConsentWithdrawn);
    }

    /// <summary>Every level that reaches it kills it; what is registered anew works again, because nobody stopped the access itself.</summary>
    [SuiteFact]
    [Trait("Attack", "120")]
    public async Task Revoked_AtEveryLevelAboveIt_IsDead()
    {
        foreach (var level in new[] { "token", "task", "user", "client", "tool_server" })
        {
            var (s, provider, guard, desk, _) = await SceneAsync();
            var ops = await TestAdministrator.OfAsync(Server);
            await ops.RevokeAsync(level, level switch { "token" => desk.Jti(), "task" => desk.Task(), "user" => s.User, "client" => provider.Desk, _ => s.ToolServer });
            // With its tool server the guard has ended too.
            Assert.True(level == "tool_server" || !await guard.IsActiveAsync(desk.AccessToken), level);
            Assert.Equal((level, 0), (level, await Server.ScalarAsync($"select count(*) from grants where id = '{desk.Grant()}' and state = 'active'")));
            if (level is "user" or "client" or "tool_server")
                Assert.NotEqual(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
            if (level == "client")
                await provider.RegisterAsync(desk: d => d["state"] = "active");
            if (level is "token" or "task" or "client")
                Assert.True(await guard.IsActiveAsync((await provider.RedeemAsync()).AccessToken), level);
        }
    }

    /// <summary>Nothing outlives its reason: the provider, its leave to speak to a client, its link to a person.</summary>
    [SuiteFact]
    [Trait("Invariant", "3")]
    public async Task Provider_ThatIsSuspendedOrLosesAClientOrALink_EndsWhatStoodOnIt()
    {
        foreach (var (how, deskDead, agentDead) in new[] { ("suspended", true, true), ("client", true, false), ("link", true, true) })
        {
            var (s, provider, guard, desk, agent) = await SceneAsync();
            var own = await new PersonFlow(s).TokenAsync();
            var mark = await Server.NowAsync();

            await provider.ApplyAsync(e =>
            {
                switch (how)
                {
                    case "suspended": e["state"] = "suspended"; break;
                    case "client": e["clients"] = new JsonArray(s.Agent.ClientId); break;
                    default: e["links"] = new JsonArray(); break;
                }
            });

            Assert.Equal((how, !deskDead, !agentDead, true),
                (how, await guard.IsActiveAsync(desk.AccessToken), await guard.IsActiveAsync(agent.AccessToken), await guard.IsActiveAsync(own.AccessToken)));
            Assert.Contains(await Server.SinceAsync(mark), e => e.Type == AuditTypes.ConsentWithdrawn && e.Client == provider.Desk && e.User == s.User);
            // The same again takes nothing more, and what is put back works: nobody stopped it.
            await provider.ApplyAsync(e => e["state"] = "active");
            Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
        }
    }

    [SuiteFact]
    public async Task Link_GivenToAnotherPerson_EndsWhatTheFirstHadByIt()
    {
        var (s, provider, guard, desk, _) = await SceneAsync();
        var other = await Server.ScenarioAsync();
        await provider.ApplyAsync(e => e["links"]![0]!["user"] = other.User);
        Assert.False(await guard.IsActiveAsync(desk.AccessToken));
        Assert.Equal(other.User, Answers.Claims((await provider.RedeemAsync()).AccessToken).GetProperty("sub").GetString());
    }

    /// <summary>It answers no authorization request: there the person is asked.</summary>
    [SuiteFact]
    public async Task Allowed_ByAnEnterprise_IsNoRememberedConsent()
    {
        var (s, provider, _, _, _) = await SceneAsync();
        await provider.RegisterAsync(desk: d => (d["redirect_uris"], d["grant_types"]) = (new JsonArray(s.RedirectUri), new JsonArray(Names.Assertions.JwtBearer, "authorization_code")));
        await provider.RedeemAsync();
        var browser = await s.BrowserAsync();
        Assert.Equal("Desk asks for access to Files", (await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["client_id"] = provider.Desk }))).Heading);
    }
}

public sealed class EnterpriseConsentTests(TestServer server) : EnterpriseConsentSuite, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class EnterpriseConsentOnPostgresTests(PostgresServer postgres) : EnterpriseConsentSuite, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}
