using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;
using static McpAuthServer.Tests.Harness.Exchanging;

namespace McpAuthServer.Tests.Exchange;

/// <summary>What bounds a token, in every form of the exchange: deadline, ceiling, consent, the agents of the chain. Each test breaks one rule and no other.</summary>
public sealed class BoundTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Invariant", "1")]
    public async Task OwnTask_NearItsDeadline_EveryTokenEndsWithIt()
    {
        var s = await ReadyAsync(server);
        var deadline = server.Time.GetUtcNow().AddSeconds(130);
        var task = (await (await s.Agent.BeginTaskRawAsync(s.Details(["list_files", "read_file"]), change: b => b["expires_at"] = deadline.ToString("O")))
            .ReadAsync(ProtocolJson.Default.TaskView)).Id;

        var token = await s.Agent.TaskTokenAsync(task, "list_files", "read_file");
        var again = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken));
        var less = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: s.Details(["read_file"])));
        var renewed = await IssuedAsync(s.Agent, RefreshForm(s.Agent, token));

        Assert.All([token, again, less, renewed], t => Assert.Equal(deadline.ToUnixTimeSeconds(), t.Expires()));
    }

    [Fact]
    [Trait("Invariant", "1"), Trait("Invariant", "2")]
    public async Task Delegation_NearTheDeadlineThePersonAllowed_NoTaskAndNoTokenOutlivesIt()
    {
        var s = await ReadyAsync(server, 1);
        var deadline = server.Time.GetUtcNow().AddSeconds(130);
        var delegation = await new PersonFlow(s).DelegateAsync(s.AuthorizeQuery(
            s.Agent, s.Details(["list_files", "read_file"], new JsonObject { ["purpose"] = "read", ["expires_at"] = deadline.ToString("O") })));

        // Whatever the agent asks for.
        var work = await s.Agent.TakeOverAsync(
            delegation.AccessToken, s.Details(["list_files", "read_file"], new JsonObject { ["purpose"] = "read", ["expires_at"] = deadline.AddHours(1).ToString("O") }));
        var again = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(work.AccessToken));
        var once = await s.Agent.TakeOverAsync(delegation.AccessToken, s.Details(["read_file"], new JsonObject { ["id"] = work.Task() }));
        var handed = await s.Agents[1].TakeOverAsync(work.AccessToken);
        var renewed = await IssuedAsync(s.Agent, RefreshForm(s.Agent, work));

        Assert.All([delegation, work, again, once, handed, renewed], t => Assert.Equal(deadline.ToUnixTimeSeconds(), t.Expires()));
        foreach (var t in new[] { work, handed })
            Assert.Equal(deadline.ToUnixTimeSeconds(), Answers.Claims(t.AccessToken).GetProperty("task").GetProperty("expires_at").GetInt64());
    }

    [Fact]
    [Trait("Invariant", "3")]
    public async Task Delegation_NearTheInstancesEnd_EveryTokenEndsWithIt()
    {
        var s = await ReadyAsync(server);
        server.Time.Advance(TimeSpan.FromMinutes(57));
        var ends = server.Time.GetUtcNow().AddMinutes(3).ToUnixTimeSeconds();
        var work = await s.Agent.TakeOverAsync((await new PersonFlow(s).DelegateAsync("read", "read_file")).AccessToken);
        var renewed = await IssuedAsync(s.Agent, RefreshForm(s.Agent, work));
        Assert.Equal((ends, ends), (work.Expires(), renewed.Expires()));
    }

    [Fact]
    [Trait("Invariant", "3")]
    public async Task Refresh_NearTheGiversInstancesEnd_TheTokenEndsWithIt()
    {
        var s = await ReadyAsync(server, 1);
        server.Time.Advance(TimeSpan.FromMinutes(57));
        await s.Agents[1].AttestAsync();
        var token = await StartAsync(s.Agent);
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        Assert.Equal(token.Expires(), (await IssuedAsync(s.Agents[1], RefreshForm(s.Agents[1], taken))).Expires());
    }

    [Fact]
    [Trait("Invariant", "2")]
    public async Task CeilingLowered_OfWorkThatBegan_HoldsAtOnceInEveryForm()
    {
        var s = await ReadyAsync(server, 1);
        var flow = new PersonFlow(s);
        var own = await StartAsync(s.Agent);
        var taken = await s.Agents[1].TakeOverAsync(own.AccessToken);
        var (begun, waiting) = (await flow.DelegateAsync("one", "list_files", "read_file"), await flow.DelegateAsync("two", "list_files", "read_file"));
        var work = await s.Agent.TakeOverAsync(begun.AccessToken);
        JsonArray In(TokenResponse token, params string[] tools) => s.Details(tools, new JsonObject { ["id"] = token.Task() });
        s.File["agents"]![0]!["ceiling"] = s.Details(["read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());

        string[] both = ["list_files", "read_file"];
        foreach (var (agent, form, less) in new (TestAgent, Func<Dictionary<string, string>>, JsonArray?)[]
        {
            (s.Agent, () => s.Agent.ExchangeForm(details: In(own, both)), In(own, "read_file")),
            (s.Agent, () => s.Agent.ExchangeForm(own.AccessToken), s.Details(["read_file"])),
            (s.Agent, () => s.Agent.ExchangeForm(waiting.AccessToken, withActor: true), s.Details(["read_file"])),
            (s.Agent, () => s.Agent.ExchangeForm(begun.AccessToken, withActor: true, In(work, both)), In(work, "read_file")),
            (s.Agent, () => RefreshForm(s.Agent, work), s.Details(["read_file"])),
            // Of the giver, in work that was handed off before.
            (s.Agents[1], () => RefreshForm(s.Agents[1], taken), s.Details(["read_file"])),
        })
        {
            await RefusedAsync(agent, form(), Names.Errors.InvalidAuthorizationDetails);
            var narrowed = form();
            narrowed["authorization_details"] = less!.ToJsonString();
            Assert.Equal("tool:read_file", (await IssuedAsync(agent, narrowed)).Scope);
        }
    }

    [Fact]
    [Trait("Invariant", "2")]
    public async Task CeilingLowered_OfATaskThatAnotherInstanceTakesUp_HoldsToo()
    {
        var s = await ReadyAsync(server);
        var delegation = await new PersonFlow(s).DelegateAsync("sort", "list_files", "read_file");
        var work = await s.Agent.TakeOverAsync(delegation.AccessToken, s.Details(["list_files", "read_file"], new JsonObject { ["purpose"] = "sort", ["resumable"] = true }));
        Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);
        await s.Agent.RenewKeyAsync();
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{work.Task()}/resume")).ReadAsync(ProtocolJson.Default.TaskView);
        s.File["agents"]![0]!["ceiling"] = s.Details(["read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());

        JsonArray In(params string[] tools) => s.Details(tools, new JsonObject { ["id"] = work.Task() });
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(details: In("list_files")), Names.Errors.InvalidAuthorizationDetails);
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: In("read_file")));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [Trait("Attack", "103")]
    public async Task Refresh_AnyAgentOfTheChainSuspended_IsRefused(int suspended)
    {
        var s = await ReadyAsync(server, 2);
        var token = await StartAsync(s.Agent);
        for (var i = 1; i <= 2; i++)
            token = await s.Agents[i].TakeOverAsync(token.AccessToken);
        s.File["agents"]![suspended]!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());
        await RefusedAsync(s.Agents[2], RefreshForm(s.Agents[2], token), Names.Errors.InvalidGrant, Names.Reasons.AgentSuspended);
        s.File["agents"]![suspended]!["state"] = "active";
        await server.ApplyAsync(s.File.ToJsonString());
        await IssuedAsync(s.Agents[2], RefreshForm(s.Agents[2], token));
    }

    [Theory]
    [InlineData("scope")]
    [InlineData("authorization_details")]
    [Trait("Attack", "98"), Trait("Invariant", "2")]
    public async Task Refresh_ThatAskedForLess_GivesATokenOfWhichNoMoreComes(string by)
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var form = RefreshForm(s.Agent, token);
        form[by] = by == "scope" ? "tool:read_file" : s.Details(["read_file"]).ToJsonString();
        var less = await IssuedAsync(s.Agent, form);
        Assert.Equal("tool:read_file", less.Scope);

        foreach (var agent in s.Agents)
        {
            var taker = agent != s.Agent;
            await RefusedAsync(agent, agent.ExchangeForm(less.AccessToken, taker, s.Details(["list_files"])), Names.Errors.InvalidAuthorizationDetails);
            Assert.Equal("tool:read_file", (await IssuedAsync(agent, agent.ExchangeForm(less.AccessToken, taker))).Scope);
        }
        // The line keeps what it has (RFC 6749 §6), and revoking where it began ends the narrower one.
        Assert.Equal("tool:list_files tool:read_file", (await IssuedAsync(s.Agent, RefreshForm(s.Agent, less))).Scope);
        Assert.Contains(token.Grant(), less.Lineage());
    }

    [Fact]
    [Trait("Invariant", "2")]
    public async Task Refresh_WhileAToolIsNotApproved_KeepsItsGrantHoweverLongTheLineage()
    {
        var (s, deep) = await DeepAsync();
        await RetireAsync(s, "list_files", retired: true);
        var renewed = await IssuedAsync(s.Agents[1], RefreshForm(s.Agents[1], deep));
        Assert.Equal(("tool:read_file", deep.Grant()), (renewed.Scope, renewed.Grant()));
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(renewed.AccessToken, details: s.Details(["list_files"])), Names.Errors.InvalidAuthorizationDetails);

        // Approved again it is the line's again, and never more than the grant has.
        await RetireAsync(s, "list_files", retired: false);
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(renewed.AccessToken, details: s.Details(["delete_file"])), Names.Errors.InvalidAuthorizationDetails);
        renewed = await IssuedAsync(s.Agents[1], RefreshForm(s.Agents[1], renewed));
        Assert.Equal(("tool:list_files tool:read_file", deep.Grant()), (renewed.Scope, renewed.Grant()));
    }

    [Theory]
    [InlineData("scope", Names.Errors.InvalidScope)]
    [InlineData("authorization_details", Names.Errors.InvalidAuthorizationDetails)]
    [Trait("Spec", "RFC6749-5.2"), Trait("Invariant", "2")]
    public async Task Refresh_ForLessWhereTheLineageIsFull_IsRefusedAndTheRefreshTokenIsGood(string by, string error)
    {
        var (s, deep) = await DeepAsync();
        var form = RefreshForm(s.Agents[1], deep);
        form[by] = by == "scope" ? "tool:read_file" : s.Details(["list_files"]).ToJsonString();
        await RefusedAsync(s.Agents[1], form, error, Names.Reasons.Depth);
        await IssuedAsync(s.Agents[1], RefreshForm(s.Agents[1], deep));
    }

    /// <summary>A token that was handed off, and below which no grant fits.</summary>
    private async Task<(Scenario, TokenResponse)> DeepAsync()
    {
        var s = await ReadyAsync(server, 1);
        JsonArray Calls(int most, JsonObject? task = null) => s.Details(["list_files", "read_file"], task).With("read_file", new JsonObject { ["max_calls"] = most });
        var token = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: Calls(100, new JsonObject { ["purpose"] = "p" })));
        for (var depth = 1; depth <= 13; depth++)
            token = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: Calls(100 - depth)));
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        Assert.Equal(16, taken.Lineage().Length);
        return (s, taken);
    }

    private async Task RetireAsync(Scenario s, string tool, bool retired)
    {
        s.File["tool_servers"]![0]!["tools"]!.AsArray().Single(t => (string)t!["name"]! == tool)!["state"] = retired ? "retired" : "approved";
        await server.ApplyAsync(s.File.ToJsonString());
    }

    [Fact]
    public async Task Delegation_NamingATaskThatDidNotBeginWithIt_IsRefused()
    {
        var s = await ReadyAsync(server);
        var flow = new PersonFlow(s);
        var (one, two) = (await flow.DelegateAsync("one", "read_file"), await flow.DelegateAsync("two", "read_file"));
        var (first, second) = (await s.Agent.TakeOverAsync(one.AccessToken), await s.Agent.TakeOverAsync(two.AccessToken));
        Dictionary<string, string> In(string task) => s.Agent.ExchangeForm(two.AccessToken, withActor: true, s.Details(["read_file"], new JsonObject { ["id"] = task }));
        foreach (var task in new[] { first.Task(), await s.Agent.BeginTaskAsync("read_file"), "tsk_unknown" })
            await RefusedAsync(s.Agent, In(task), Names.Errors.InvalidAuthorizationDetails);
        Assert.Equal(second.Task(), (await IssuedAsync(s.Agent, In(second.Task()))).Task());
    }

    [Fact]
    public async Task Refresh_NamingAnotherTask_IsRefused()
    {
        var s = await ReadyAsync(server);
        var token = await StartAsync(s.Agent);
        var other = await s.Agent.BeginTaskAsync("read_file");
        Dictionary<string, string> In(string task)
        {
            var form = RefreshForm(s.Agent, token);
            form["authorization_details"] = s.Details(["read_file"], new JsonObject { ["id"] = task }).ToJsonString();
            return form;
        }
        await RefusedAsync(s.Agent, In(other), Names.Errors.InvalidAuthorizationDetails);
        Assert.Equal(token.Task(), (await IssuedAsync(s.Agent, In(token.Task()))).Task());
    }

    [Fact]
    [Trait("Invariant", "2")]
    public async Task Continue_NarrowedAgainAndAgain_IsRefusedBeforeTokensGrowTooLong()
    {
        var s = await ReadyAsync(server);
        JsonArray Calls(int most, string? task = null) =>
            s.Details(["read_file"], task is null ? null : new JsonObject { ["id"] = task }).With("read_file", new JsonObject { ["max_calls"] = most });
        var task = (await (await s.Agent.BeginTaskRawAsync(Calls(100))).ReadAsync(ProtocolJson.Default.TaskView)).Id;
        var token = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: Calls(100, task)));
        for (var depth = 1; depth <= 16; depth++)
            token = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: Calls(100 - depth)));
        Assert.Equal(16, token.Lineage().Length);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: Calls(50)), Names.Errors.InvalidRequest, Names.Reasons.Depth);
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken));
    }

    private static Dictionary<string, string> RefreshForm(TestAgent agent, TokenResponse token)
    {
        var form = agent.AssertionForm();
        (form["grant_type"], form["refresh_token"]) = ("refresh_token", token.RefreshToken!);
        return form;
    }

    private Task<AuditEvent> RefusedAsync(TestAgent agent, Dictionary<string, string> form, string error, string? reason = null) =>
        server.RefusedAsync(() => agent.ExchangeRawAsync(form), HttpStatusCode.BadRequest, error, reason, AuditTypes.TokenRefused, reason);
}
