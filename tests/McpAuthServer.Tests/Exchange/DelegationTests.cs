using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Exchange;

/// <summary>What a person hands to an agent: exchanged by the attested instance, for one task, with tokens that name both.</summary>
public class DelegationTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC8693-4.1")]
    [Trait("Spec", "RFC8693-4.4")]
    public async Task Exchange_OfADelegation_NamesThePersonAndTheAgentAndBeginsTheTask()
    {
        var (s, flow) = await ReadyAsync();

        var answer = await s.Agent.TakeOverAsync((await flow.DelegateAsync("sort the files", "list_files", "read_file")).AccessToken);

        var claims = Answers.Claims(answer.AccessToken);
        Assert.Equal(
            (s.Resource, s.User, "user", s.Agent.Id, s.Agent.ClientId, s.Agent.Instance),
            (claims.GetProperty("aud").GetString(), claims.GetProperty("sub").GetString(), claims.GetProperty("sub_profile").GetString(),
                claims.GetProperty("act").GetProperty("sub").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("agent_ctx").GetProperty("instance").GetString()));
        Assert.False(claims.GetProperty("act").TryGetProperty("act", out _));
        // RFC 8693 §4.4: it is for the exchange and for nothing after it.
        Assert.False(claims.TryGetProperty("may_act", out _));
        Assert.False(claims.TryGetProperty("step_up", out _));
        Assert.Equal(s.Agent.Key.Public.Thumbprint, claims.GetProperty("cnf").GetProperty("jkt").GetString());
        Assert.Equal(("DPoP", "tool:list_files tool:read_file"), (answer.TokenType, answer.Scope));
        Assert.NotNull(answer.RefreshToken);
        var task = claims.GetProperty("task").GetProperty("id").GetString();
        var created = Assert.Single(await server.EventsAsync($"task = '{task}' and type = 'task.created'"));
        Assert.Equal((s.User, s.Agent.Id, "sort the files"), (created.User, created.Agent, created.Data!["purpose"]!.GetValue<string>()));
        Assert.Equal((s.User, s.Agent.Id), (await server.EventsAsync($"task = '{task}' and type = 'token.issued'"))[0] is var issued ? (issued.User, issued.Agent) : default);
    }

    [Fact]
    [Trait("Spec", "RFC9068-2.2.1")]
    public async Task SignIn_OfThePerson_IsToldUnchangedInEveryTokenThatComesOfIt()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var (flow, taker) = (new PersonFlow(s), s.Agents[1]);
        await s.Agent.AttestAsync();
        await taker.AttestAsync();
        var signedIn = (await flow.SignInAgainAsync()).AuthTime.ToUnixTimeSeconds();

        var delegation = await LaterAsync(() => flow.DelegateAsync("read", "read_file"));
        var work = await LaterAsync(() => s.Agent.TakeOverAsync(delegation.AccessToken));
        var continued = await LaterAsync(async () => await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(work.AccessToken))).ReadAsync(ProtocolJson.Default.TokenResponse));
        var handed = await LaterAsync(() => taker.TakeOverAsync(continued.AccessToken));
        var (renewed, handedOn) = (await LaterAsync(() => RefreshAsync(s.Agent, work.RefreshToken!)), await LaterAsync(() => RefreshAsync(taker, handed.RefreshToken!)));

        foreach (var token in new[] { delegation, work, continued, handed, renewed, handedOn })
            Assert.Equal((signedIn, "pwd"), (Answers.Claims(token.AccessToken).GetProperty("auth_time").GetInt64(), Answers.Claims(token.AccessToken).GetProperty("acr").GetString()));

        Task<TokenResponse> LaterAsync(Func<Task<TokenResponse>> next)
        {
            server.Time.Advance(TimeSpan.FromSeconds(5));
            return next();
        }
    }

    [Fact]
    public async Task Delegation_BeginsOneTaskAndContinuesIt()
    {
        var (s, flow) = await ReadyAsync();
        var delegation = (await flow.DelegateAsync("read", "read_file", "list_files")).AccessToken;
        var task = TaskOf(await s.Agent.TakeOverAsync(delegation));

        await (await s.Agent.TakeOverRawAsync(delegation)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, BeginDelegatedTask.Used);
        var again = await s.Agent.TakeOverAsync(delegation, s.Details(["read_file"], new JsonObject { ["id"] = task }));

        Assert.Equal((task, "tool:read_file"), (TaskOf(again), again.Scope));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where user_id = '{s.User}'"));
    }

    [Fact]
    [Trait("Attack", "94")]
    [Trait("Spec", "RFC8693-4.4")]
    public async Task Delegation_InTheHandsOfAnotherAgent_IsRefused()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var flow = new PersonFlow(s);
        await s.Agent.AttestAsync();
        await s.Agents[1].AttestAsync();
        var delegation = (await flow.DelegateAsync("read", "read_file")).AccessToken;

        await server.RefusedAsync(
            () => s.Agents[1].TakeOverRawAsync(delegation), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.NotPresenter, AuditTypes.TokenRefused, Names.Reasons.NotPresenter);
    }

    [Fact]
    [Trait("Attack", "94")]
    [Trait("Spec", "RFC8693-4.4")]
    public async Task Delegation_AfterTheClientBecameAnotherAgents_IsRefused()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var delegation = (await new PersonFlow(s).DelegateAsync("read", "read_file")).AccessToken;
        foreach (var client in s.File["clients"]!.AsArray().Where(c => c!["id"]!.GetValue<string>() == s.Agent.ClientId))
            client!["agent"] = s.Agents[1].Id;
        await server.ApplyAsync(s.File.ToJsonString());
        await s.Agent.AttestAsync();

        await (await s.Agent.TakeOverRawAsync(delegation)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);
    }

    [Fact]
    [Trait("Attack", "110")]
    public async Task Delegation_BoundToAKey_IsExchangedWithThatKeyOnly()
    {
        var (s, flow) = await ReadyAsync();
        var code = await flow.CodeAsync(s.AuthorizeQuery("read", "read_file"));
        using var other = McpAuth.Protocol.Jose.SigningKey.Create();
        var form = s.Agent.AssertionForm();
        (form["grant_type"], form["code"], form["code_verifier"]) = ("authorization_code", code, s.Verifier);
        var delegation = await (await s.Agent.PostFormAsync(Names.Paths.Token, form, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: other))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal("DPoP", delegation.TokenType);

        await (await s.Agent.TakeOverRawAsync(delegation.AccessToken)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.NotPresenter);
    }

    [Fact]
    [Trait("Attack", "103")]
    [Trait("Spec", "Invariant-3")]
    public async Task Introspection_OfADisabledPersonsToken_SaysInactive()
    {
        var (s, flow) = await ReadyAsync();
        var guard = await TestGuard.OfAsync(s);
        var work = await s.Agent.TakeOverAsync((await flow.DelegateAsync("read", "read_file")).AccessToken);
        var byScope = await flow.TokenAsync();
        Assert.True(await guard.IsActiveAsync(work.AccessToken) && await guard.IsActiveAsync(byScope.AccessToken));

        await server.ApplyAsync($$"""{"users":[{"id":"{{s.User}}","name":"Ann","enabled":false}]}""");

        Assert.False(await guard.IsActiveAsync(work.AccessToken));
        Assert.False(await guard.IsActiveAsync(byScope.AccessToken));
    }

    [Theory]
    [InlineData("suspended")]
    [InlineData("retired")]
    [Trait("Attack", "103")]
    public async Task RefreshToken_OfAnAgentThatStopped_IsRefused(string state)
    {
        var (s, flow) = await ReadyAsync();
        var work = await s.Agent.TakeOverAsync((await flow.DelegateAsync("read", "read_file")).AccessToken);
        s.File["agents"]![0]!["state"] = state;
        await server.ApplyAsync(s.File.ToJsonString());

        await (await RefreshRawAsync(s.Agent, work.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.AgentSuspended);
    }

    [Fact]
    [Trait("Attack", "94")]
    public async Task Delegation_WithoutTheInstance_OpensNothing()
    {
        var (s, flow) = await ReadyAsync();
        var delegation = (await flow.DelegateAsync("read", "read_file")).AccessToken;

        // Alone; as the actor; as a credential at the server's own interfaces.
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(delegation))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        var form = s.Agent.ExchangeForm(delegation);
        (form["actor_token"], form["actor_token_type"]) = (delegation, Names.Exchange.AccessTokenType);
        await (await s.Agent.ExchangeRawAsync(form)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.WrongType);
        using var tasks = await s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Tasks, new JsonObject { ["purpose"] = "x", ["authorization_details"] = s.Details(["read_file"]) }, delegation);
        Assert.Equal(HttpStatusCode.Unauthorized, tasks.StatusCode);
    }

    [Theory]
    [InlineData("delete_file", null, Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("read_file", "another purpose", Names.Errors.InvalidAuthorizationDetails)]
    [Trait("Attack", "98")]
    public async Task Exchange_ForMoreThanThePersonAllowed_IsRefused(string tool, string? purpose, string error)
    {
        var (s, flow) = await ReadyAsync();
        var delegation = (await flow.DelegateAsync("read", "read_file", "list_files")).AccessToken;

        await (await s.Agent.TakeOverRawAsync(delegation, s.Details([tool], purpose is null ? null : new JsonObject { ["purpose"] = purpose }))).RefusedAsync(HttpStatusCode.BadRequest, error);
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from tasks where user_id = '{s.User}'"));
    }

    [Fact]
    public async Task Exchange_ForAllThatThePersonHandedOver_LeavesOutWhatIsNoLongerApproved()
    {
        var (s, flow) = await ReadyAsync();
        var task = new JsonObject { ["purpose"] = "read", ["resumable"] = true };
        var (all, other) = ((await flow.DelegateAsync("read", "read_file", "list_files")).AccessToken, (await flow.DelegateAsync("read", "read_file", "list_files", "delete_file")).AccessToken);
        s.File["tool_servers"]![0]!["tools"]!.AsArray().Single(t => (string)t!["name"]! == "list_files")!["state"] = "retired";
        await server.ApplyAsync(s.File.ToJsonString());

        // Who names less than all wants what it names.
        await (await s.Agent.TakeOverRawAsync(other, s.Details(["read_file", "list_files"], task.DeepClone().AsObject()))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        // Who names all of it, as who names nothing, takes what there is.
        var answer = await s.Agent.TakeOverAsync(all, s.Details(["read_file", "list_files"], task));

        Assert.Equal("tool:read_file", answer.Scope);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where id = '{answer.Task()}' and resumable = 1"));
    }

    [Fact]
    public async Task Person_WhoLeavesSomethingOut_GivesWhatIsLeft()
    {
        var (s, flow) = await ReadyAsync();
        var code = await flow.CodeAsync(s.AuthorizeQuery("tidy up", "read_file", "delete_file"), $"{s.Resource} tool:delete_file");

        var delegation = await (await flow.DelegateRawAsync(code)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var answer = await s.Agent.TakeOverAsync(delegation.AccessToken);

        Assert.Equal("tool:read_file", answer.Scope);
    }

    [Fact]
    public async Task RunningTask_OfAPerson_IsNotOpenedByTheInstanceAlone()
    {
        var (s, flow) = await ReadyAsync();
        var task = TaskOf(await s.Agent.TakeOverAsync((await flow.DelegateAsync("read", "read_file")).AccessToken));

        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["id"] = task }))))
            .RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    [Trait("Attack", "103")]
    public async Task PersonWhoIsDisabled_TakesTheAgentsWorkAlong()
    {
        var (s, flow) = await ReadyAsync();
        var (first, second) = (await flow.DelegateAsync("one", "read_file"), await flow.DelegateAsync("two", "read_file"));
        var work = await s.Agent.TakeOverAsync(first.AccessToken);
        await server.ApplyAsync($$"""{"users":[{"id":"{{s.User}}","name":"Ann","enabled":false}]}""");

        await (await s.Agent.TakeOverRawAsync(second.AccessToken)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.UserDisabled);
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(work.AccessToken))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.UserDisabled);
        await (await RefreshRawAsync(s.Agent, work.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.UserDisabled);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'user' and subject = '{s.User}' and op = 'deny'"));
    }

    [Fact]
    [Trait("Attack", "101")]
    public async Task HandOff_OfAPersonsWork_KeepsThePersonAndNestsTheAgents()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var flow = new PersonFlow(s);
        await s.Agent.AttestAsync();
        await s.Agents[1].AttestAsync();
        var work = await s.Agent.TakeOverAsync((await flow.DelegateAsync("read", "read_file", "list_files")).AccessToken);

        var handed = await s.Agents[1].TakeOverAsync(work.AccessToken, s.Details(["read_file"], new JsonObject { ["purpose"] = "read one" }));

        var claims = Answers.Claims(handed.AccessToken);
        Assert.Equal(
            (s.User, s.Agents[1].Id, s.Agent.Id),
            (claims.GetProperty("sub").GetString(), claims.GetProperty("act").GetProperty("sub").GetString(), claims.GetProperty("act").GetProperty("act").GetProperty("sub").GetString()));
        Assert.NotNull(handed.RefreshToken);
        // Chains of two go on with the same facts.
        var next = await RefreshAsync(s.Agents[1], handed.RefreshToken!);
        Assert.Equal(claims.GetProperty("act").ToString(), Answers.Claims(next.AccessToken).GetProperty("act").ToString());
        Assert.Equal(TaskOf(handed), TaskOf(next));
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task RefreshToken_OfAnAgent_IsBoundToKeyTaskAndInstance()
    {
        var (s, flow) = await ReadyAsync();
        var work = await s.Agent.TakeOverAsync((await flow.DelegateAsync("read", "read_file")).AccessToken);
        using var other = McpAuth.Protocol.Jose.SigningKey.Create();

        await (await RefreshRawAsync(s.Agent, work.RefreshToken!, proof: null)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing");
        await (await RefreshRawAsync(s.Agent, work.RefreshToken!, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: other))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key");
        var next = await RefreshAsync(s.Agent, work.RefreshToken!);
        Assert.Equal((TaskOf(work), "DPoP"), (TaskOf(next), next.TokenType));
        await s.Agent.CallAsync(HttpMethod.Post, $"{Names.Paths.Tasks}/{TaskOf(work)}/complete");

        await (await RefreshRawAsync(s.Agent, next.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
    }

    [Fact]
    [Trait("Attack", "86")]
    public async Task RefreshToken_OfAnAgentUsedTwice_EndsItsLineAtOnce()
    {
        var (s, flow) = await ReadyAsync();
        var work = await s.Agent.TakeOverAsync((await flow.DelegateAsync("read", "read_file")).AccessToken);
        var next = await RefreshAsync(s.Agent, work.RefreshToken!);

        await (await RefreshRawAsync(s.Agent, work.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        await (await RefreshRawAsync(s.Agent, next.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
    }

    [Fact]
    public async Task RefreshToken_OfADelegationOverTwoServers_BringsTokensForBoth()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        await s.Agent.AttestAsync();
        JsonArray both = [.. s.Details(["read_file"]).Concat(other.Details(["list_files"])).Select(d => d!.DeepClone())];
        s.File["agents"]![0]!["ceiling"] = both.DeepClone();
        await server.ApplyAsync(s.File.ToJsonString());
        foreach (var entry in both)
            entry!["task"] = new JsonObject { ["purpose"] = "compare" };
        var flow = new PersonFlow(s);
        var delegation = await flow.DelegateAsync(s.AuthorizeQuery(s.Agent, both));
        var here = await s.Agent.TakeOverAsync(delegation.AccessToken);

        var there = await RefreshAsync(s.Agent, here.RefreshToken!, ("resource", other.Resource));

        var claims = Answers.Claims(there.AccessToken);
        Assert.Equal((other.Resource, "tool:list_files", TaskOf(here)), (claims.GetProperty("aud").GetString(), there.Scope, TaskOf(there)));
        Assert.Equal(Answers.Claims(delegation.AccessToken).GetProperty("grant").GetString(), claims.GetProperty("lineage")[0].GetString());
        var back = await RefreshAsync(s.Agent, there.RefreshToken!);
        await (await RefreshRawAsync(s.Agent, back.RefreshToken!, "", ("resource", "https://elsewhere.test/mcp"))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidTarget);
    }

    [Fact]
    public async Task PersonWhoEndsTheTask_LeavesTheAgentNothing()
    {
        var (s, flow) = await ReadyAsync();
        var delegation = await flow.DelegateAsync("read", "read_file");
        var work = await s.Agent.TakeOverAsync(delegation.AccessToken);
        await server.Services.GetRequiredService<ICommitLog>().Commit(new EndTask(
            TaskOf(work), TaskState.Revoked, "ended_by_person", new Initiator(null, null, null, Rank.User, s.User), null, server.Time.GetUtcNow(), "test"));

        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(work.AccessToken))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
        await (await RefreshRawAsync(s.Agent, work.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.TaskEnded);
        await (await s.Agent.TakeOverRawAsync(delegation.AccessToken)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        // Invariant 12: what a person ended, no agent resumes.
        using var resumed = await s.Agent.CallAsync(HttpMethod.Post, $"{Names.Paths.Tasks}/{TaskOf(work)}/resume");
        Assert.Equal(HttpStatusCode.Conflict, resumed.StatusCode);
    }

    private async Task<(Scenario, PersonFlow)> ReadyAsync()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return (s, new PersonFlow(s));
    }

    private static string TaskOf(TokenResponse answer) => Answers.Claims(answer.AccessToken).GetProperty("task").GetProperty("id").GetString()!;

    private static Task<HttpResponseMessage> RefreshRawAsync(TestAgent agent, string refreshToken, string? proof = "", params (string Name, string Value)[] more)
    {
        var form = agent.AssertionForm();
        (form["grant_type"], form["refresh_token"]) = ("refresh_token", refreshToken);
        foreach (var (name, value) in more)
            form[name] = value;
        return agent.PostFormAsync(Names.Paths.Token, form, proof);
    }

    private static async Task<TokenResponse> RefreshAsync(TestAgent agent, string refreshToken, params (string Name, string Value)[] more) =>
        await (await RefreshRawAsync(agent, refreshToken, "", more)).ReadAsync(ProtocolJson.Default.TokenResponse);
}
