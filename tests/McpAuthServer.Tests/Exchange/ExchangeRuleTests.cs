using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;
using static McpAuthServer.Tests.Harness.Exchanging;

namespace McpAuthServer.Tests.Exchange;

/// <summary>What is checked at every exchange: each test breaks one rule and no other, beside an exchange that keeps it and succeeds.</summary>
public sealed class ExchangeRuleTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Continue_NamingAnotherTask_IsRefused()
    {
        var s = await ReadyAsync(server);
        var token = await StartAsync(s.Agent);
        var other = await s.Agent.BeginTaskAsync("read_file");
        JsonArray In(string task) => s.Details(["read_file"], new JsonObject { ["id"] = task });
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: In(other)), Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(
            s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: s.Details(["read_file"], new JsonObject { ["purpose"] = "a new one" })), Names.Errors.InvalidAuthorizationDetails);
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: In(token.Task())));
    }

    [Fact]
    public async Task HandOff_IntoARunningTask_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var own = await s.Agents[1].BeginTaskAsync("read_file");
        foreach (var task in new[] { own, token.Task() })
            await RefusedAsync(
                s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true, s.Details(["read_file"], new JsonObject { ["id"] = task })), Names.Errors.InvalidAuthorizationDetails);
        var taken = await IssuedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where id = '{taken.Task()}' and parent_id = '{token.Task()}'"));
    }

    [Fact]
    public async Task OwnTask_OfAnotherAgentOrFromAHandOff_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        foreach (var task in new[] { token.Task(), taken.Task(), "tsk_unknown" })
            await RefusedAsync(
                s.Agents[1], s.Agents[1].ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["id"] = task })), Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task Exchange_LocationThatIsNotTheTasks_IsRefused()
    {
        var s = await ReadyAsync(server);
        var other = await server.ScenarioAsync();
        // The agent's ceiling spans both servers; the task one of them.
        s.File["agents"]![0]!["ceiling"]!.AsArray().Add(other.Details(["read_file"])[0]!.DeepClone());
        await server.ApplyAsync(s.File.ToJsonString());
        var token = await StartAsync(s.Agent);
        var task = new JsonObject { ["id"] = token.Task() };

        var form = s.Agent.ExchangeForm(details: other.Details(["read_file"], task));
        form["resource"] = other.Resource;
        await RefusedAsync(s.Agent, form, Names.Errors.InvalidTarget);
        // Naming one resource and asking for the other's authority is no way around.
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(details: other.Details(["read_file"], (JsonObject)task.DeepClone())), Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: other.Details(["read_file"])), Names.Errors.InvalidAuthorizationDetails);
        // The task's own location works, and so does a task at the other one.
        await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: s.Details(["read_file"], (JsonObject)task.DeepClone())));
        var there = s.Agent.ExchangeForm(details: other.Details(["read_file"], new JsonObject { ["purpose"] = "there" }));
        there["resource"] = other.Resource;
        Assert.Equal(other.Resource, Answers.Claims((await IssuedAsync(s.Agent, there)).AccessToken).GetProperty("aud").GetString());
    }

    [Fact]
    public async Task Exchange_NearTheTasksDeadline_TheTokenEndsWithIt()
    {
        var s = await ReadyAsync(server, 1);
        var deadline = server.Time.GetUtcNow().AddSeconds(130);
        var task = (await (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: b => b["expires_at"] = deadline.ToString("O")))
            .ReadAsync(ProtocolJson.Default.TaskView)).Id;
        var token = await s.Agent.TaskTokenAsync(task, "read_file");
        Assert.Equal((deadline.ToUnixTimeSeconds(), 130), (token.Expires(), token.ExpiresIn));
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        Assert.Equal(deadline.ToUnixTimeSeconds(), taken.Expires());
        await RefusedAsync(
            s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true, s.Details(["read_file"], new JsonObject { ["purpose"] = "longer", ["expires_at"] = deadline.AddSeconds(1).ToString("O") })),
            Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task Exchange_NearTheInstancesEnd_TheTokenEndsWithIt()
    {
        var s = await ReadyAsync(server);
        server.Time.Advance(TimeSpan.FromMinutes(57));
        var token = await StartAsync(s.Agent);
        Assert.Equal(180, token.ExpiresIn);
        Assert.Equal(180, (await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken))).ExpiresIn);
    }

    [Fact]
    public async Task HandOff_NearTheGiversInstancesEnd_TheTokenEndsWithIt()
    {
        var s = await ReadyAsync(server, 2);
        server.Time.Advance(TimeSpan.FromMinutes(57));
        await s.Agents[1].AttestAsync();
        await s.Agents[2].AttestAsync();
        var token = await StartAsync(s.Agent);

        // What is below an instance ends with it at the latest (invariant 3), however long the taker's own lasts.
        var second = await s.Agents[1].TakeOverAsync(token.AccessToken);
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);
        var again = await IssuedAsync(s.Agents[2], s.Agents[2].ExchangeForm(third.AccessToken));
        Assert.Equal((token.Expires(), token.Expires(), token.Expires()), (second.Expires(), third.Expires(), again.Expires()));

        // The giver renews: what comes after may last longer.
        await s.Agent.AttestAsync();
        Assert.Equal(300, (await IssuedAsync(s.Agents[2], s.Agents[2].ExchangeForm(third.AccessToken))).ExpiresIn);
    }

    [Fact]
    public async Task Exchange_AfterTheGiversInstanceEnded_IsRefusedBelow()
    {
        var s = await ReadyAsync(server, 2);
        var token = await StartAsync(s.Agent);
        var second = await s.Agents[1].TakeOverAsync(token.AccessToken);
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);
        Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);

        // Guards forget the denial once every token issued before it is gone; so none may be issued after it, however far below.
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(second.AccessToken), Names.Errors.InvalidRequest);
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(third.AccessToken), Names.Errors.InvalidRequest);
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(second.AccessToken, true), Names.Errors.InvalidRequest);
    }

    [Theory]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"/srv"}}}""", false)]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"/data/reports"}}}""", true)]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"/data"},"depth":{"constraint_type":"wildcard"}}}""", false)]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"/data"}},"optional":["path"]}""", false)]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"/data"}},"max_calls":6}""", false)]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"/data"}},"max_calls":5}""", true)]
    [InlineData("""{"args":{"path":{"constraint_type":"path_under","value":"/data"}}}""", false)]
    [InlineData("""{}""", false)]
    public async Task Exchange_ArgumentsOrCallsBeyondTheParents_IsRefused(string tool, bool within)
    {
        var s = await ReadyAsync(server, 1);
        JsonArray Of(string definition) => s.Details(["read_file"]).With("read_file", JsonNode.Parse(definition)!.AsObject());
        var task = await (await s.Agent.BeginTaskRawAsync(Of("""{"args":{"path":{"constraint_type":"path_under","value":"/data"}},"max_calls":5}""")))
            .ReadAsync(ProtocolJson.Default.TaskView);
        var parent = Of("""{"args":{"path":{"constraint_type":"path_under","value":"/data"}},"max_calls":5}""");
        parent[0]!["task"] = new JsonObject { ["id"] = task.Id };
        var token = await IssuedAsync(s.Agent, s.Agent.ExchangeForm(details: parent));
        if (within && !tool.Contains("max_calls", StringComparison.Ordinal))
            tool = tool[..^1] + ""","max_calls":5}""";

        var asked = Of(tool);
        foreach (var agent in s.Agents)
            if (within)
                await IssuedAsync(agent, agent.ExchangeForm(token.AccessToken, agent != s.Agent, (JsonArray)asked.DeepClone()));
            else
                await RefusedAsync(agent, agent.ExchangeForm(token.AccessToken, agent != s.Agent, (JsonArray)asked.DeepClone()), Names.Errors.InvalidAuthorizationDetails);
        var own = (JsonArray)asked.DeepClone();
        own[0]!["task"] = new JsonObject { ["id"] = task.Id };
        if (!within)
            await RefusedAsync(s.Agent, s.Agent.ExchangeForm(details: own), Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task HandOff_BeyondTheTakersCeiling_IsRefusedUnlessNarrowed()
    {
        var s = await ReadyAsync(server, 1);
        s.File["agents"]![1]!["ceiling"] = s.Details(["read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());
        var token = await StartAsync(s.Agent);
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true), Names.Errors.InvalidAuthorizationDetails);
        await IssuedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true, s.Details(["read_file"])));
    }

    [Fact]
    public async Task Continue_AfterACeilingInTheChainWasLowered_IsRefusedUnlessNarrowed()
    {
        var s = await ReadyAsync(server, 2);
        var token = await StartAsync(s.Agent);
        var second = await s.Agents[1].TakeOverAsync(token.AccessToken);
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);
        s.File["agents"]![0]!["ceiling"] = s.Details(["read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(third.AccessToken), Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(second.AccessToken, true), Names.Errors.InvalidAuthorizationDetails);
        await IssuedAsync(s.Agents[2], s.Agents[2].ExchangeForm(third.AccessToken, details: s.Details(["read_file"])));
    }

    [Fact]
    public async Task HandOff_FifthActor_IsRefused()
    {
        var s = await ReadyAsync(server, 5);
        var token = await StartAsync(s.Agent);
        for (var depth = 1; depth <= 4; depth++)
            token = await s.Agents[depth].TakeOverAsync(token.AccessToken);
        await RefusedAsync(s.Agents[5], s.Agents[5].ExchangeForm(token.AccessToken, true), Names.Errors.InvalidRequest, Names.Reasons.Depth);
        await IssuedAsync(s.Agents[4], s.Agents[4].ExchangeForm(token.AccessToken));
    }

    [Fact]
    public async Task HandOff_ToAnAgentWithShorterTasks_LastsAsLongAsItMay()
    {
        var s = await ReadyAsync(server, 1);
        s.File["agents"]![1]!["max_task_seconds"] = 120;
        await server.ApplyAsync(s.File.ToJsonString());
        var token = await StartAsync(s.Agent);
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        Assert.Equal(120, taken.ExpiresIn);
        await RefusedAsync(
            s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true, s.Details(["read_file"], new JsonObject { ["purpose"] = "p", ["expires_at"] = server.Time.GetUtcNow().AddSeconds(121).ToString("O") })),
            Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task Exchange_TaskSuspended_IsRefusedUntilItResumes()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        await MoveAsync(s.Agent, token.Task(), "suspend");
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.TaskSuspended);
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true), Names.Errors.InvalidRequest, Names.Reasons.TaskSuspended);
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(taken.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.TaskSuspended);
        await MoveAsync(s.Agent, token.Task(), "resume");
        await IssuedAsync(s.Agents[1], s.Agents[1].ExchangeForm(taken.AccessToken));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Exchange_AnyAgentOfTheChainSuspended_IsRefused(int suspended)
    {
        var s = await ReadyAsync(server, 3);
        var token = await StartAsync(s.Agent);
        for (var i = 1; i <= 2; i++)
            token = await s.Agents[i].TakeOverAsync(token.AccessToken);
        s.File["agents"]![suspended]!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());
        await RefusedAsync(s.Agents[3], s.Agents[3].ExchangeForm(token.AccessToken, true), Names.Errors.InvalidRequest, Names.Reasons.AgentSuspended);
        s.File["agents"]![suspended]!["state"] = "active";
        await server.ApplyAsync(s.File.ToJsonString());
        await IssuedAsync(s.Agents[3], s.Agents[3].ExchangeForm(token.AccessToken, true));
    }

    [Fact]
    public async Task Exchange_ByAnotherKeyThanThePresenters_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        using var other = SigningKey.Create();
        string By(SigningKey key) => s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: key);
        // The right agent and client, the wrong key: its own new one, and the taker's.
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.NotPresenter, By(other));
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.NotPresenter, By(s.Agents[1].Key));
        // At a hand-off the taker proves its own key, not the giver's.
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, true), Names.Errors.InvalidRequest, Names.Reasons.NotPresenter, By(s.Agent.Key));
        await server.RefusedAsync(
            () => s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(token.AccessToken), proof: null), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, null, AuditTypes.TokenRefused, null);
    }

    [Fact]
    public async Task Exchange_ByAnotherAgentsClient_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        // The presenter's key and token are stolen; the thief authenticates as itself.
        var form = s.Agent.ExchangeForm(token.AccessToken);
        form[Names.ClientAssertion.Parameter] = s.Agents[1].Assertion();
        var e = await server.RefusedAsync(
            () => s.Agent.ExchangeRawAsync(form), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.NotPresenter, AuditTypes.TokenRefused, Names.Reasons.NotPresenter);
        Assert.Equal(s.Agents[1].ClientId, e.Client);

        var handOff = s.Agents[1].ExchangeForm(token.AccessToken, true);
        handOff[Names.ClientAssertion.Parameter] = s.Agent.Assertion();
        await server.RefusedAsync(
            () => s.Agents[1].ExchangeRawAsync(handOff), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.NotPresenter, AuditTypes.TokenRefused, Names.Reasons.NotPresenter);
    }

    [Fact]
    public async Task Exchange_ToolNoLongerApproved_IsLeftOutOrRefused()
    {
        var s = await ReadyAsync(server);
        var token = await StartAsync(s.Agent);
        s.File["tool_servers"]![0]!["tools"]![1]!["state"] = "retired";
        await server.ApplyAsync(s.File.ToJsonString());
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken, details: s.Details(["read_file"])), Names.Errors.InvalidAuthorizationDetails);
        Assert.Equal("tool:list_files", (await IssuedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken))).Scope);
    }

    [Fact]
    public async Task Exchange_TokenWithoutAnInstance_CannotBeExchanged()
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        var form = s.Agent.AssertionForm();
        form["grant_type"] = "client_credentials";
        form["resource"] = s.Resource;
        form["authorization_details"] = s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }).ToJsonString();
        var token = await (await s.Agent.ExchangeRawAsync(form)).ReadAsync(ProtocolJson.Default.TokenResponse);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(token.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded);
    }

    private static async Task MoveAsync(TestAgent agent, string task, string verb) =>
        await (await agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/{verb}")).ReadAsync(ProtocolJson.Default.TaskView);

    private Task<AuditEvent> RefusedAsync(TestAgent agent, Dictionary<string, string> form, string error, string? reason = null, string? proof = "") =>
        server.RefusedAsync(() => agent.ExchangeRawAsync(form, proof), HttpStatusCode.BadRequest, error, reason, AuditTypes.TokenRefused, reason);
}
