using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Exchange;

/// <summary>A tool server's exchange for another one (invariant 9): along a registered edge, for the same person, agent and task, and no further.</summary>
public sealed class DownstreamTests(TestServer server) : IClassFixture<TestServer>
{
    private sealed record Chain(Scenario S, Scenario There, TestGuard Guard, TestGuard Beyond, TokenResponse Token);

    [Fact]
    [Trait("Invariant", "9"), Trait("Spec", "RFC8693-4.1")]
    public async Task Downstream_AlongAnEdge_IsForTheSameWorkAndBoundToTheGuardsKey()
    {
        var c = await ReadyAsync();
        var mark = await server.NowAsync();

        var answer = await c.Guard.DownstreamAsync(c.Token.AccessToken, "read_file", c.There.Resource);

        var (before, claims) = (Answers.Claims(c.Token.AccessToken), Answers.Claims(answer.AccessToken));
        // RFC 8693 §4.1: whose authority and which agents stay as they were.
        foreach (var claim in new[] { "iss", "sub", "sub_profile", "act", "auth_time", "acr" })
            Assert.Equal(before.GetProperty(claim).GetRawText(), claims.GetProperty(claim).GetRawText());
        Assert.Equal((c.There.Resource, c.Guard.Id, c.Guard.Key.Public.Thumbprint, c.Token.Task()), (
            claims.GetProperty("aud").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("cnf").GetProperty("jkt").GetString(), answer.Task()));
        Assert.False(claims.TryGetProperty("may_act", out _));
        // Policies there may read whose agent it is; no instance presents the token.
        Assert.Equal(["owner"], claims.GetProperty("agent_ctx").EnumerateObject().Select(m => m.Name));
        // What may be refreshed is an agent's; and what the edge does not name is left behind.
        Assert.Equal(("DPoP", "tool:read_file", null, Names.Exchange.AccessTokenType), (answer.TokenType, answer.Scope, answer.RefreshToken, answer.IssuedTokenType));
        Assert.Superset(new HashSet<string>([c.Token.Grant(), c.S.Agent.Instance!, .. c.Token.Lineage()]), new HashSet<string>(answer.Lineage()));
        Assert.True(await c.Beyond.IsActiveAsync(answer.AccessToken));
        Assert.False(await c.Guard.IsActiveAsync(answer.AccessToken));

        var events = (await server.SinceAsync(mark)).Where(e => e.Task == c.Token.Task()).ToList();
        Assert.Equal([AuditTypes.DownstreamExchanged, AuditTypes.TokenIssued], events.Select(e => e.Type));
        Assert.Equal((c.S.Resource, "read_file", c.There.Resource, c.Token.Jti(), c.S.User, c.S.Agent.Id, c.Guard.Id), (
            events[0].Resource, events[0].Tool, (string?)events[0].Data!["to"], events[0].Cause, events[0].User, events[0].Agent, events[0].Client));
        Assert.Equal((answer.Jti(), c.Token.Jti()), (events[1].Jti, events[1].Cause));
    }

    [Theory]
    [InlineData("no edge from the tool", "list_files", Names.Errors.InvalidTarget, Names.Reasons.NoEdge)]
    [InlineData("a tool that the token does not hold", "delete_file", Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized)]
    [InlineData("no tool", "", Names.Errors.InvalidRequest, null)]
    [InlineData("no resource", "read_file", Names.Errors.InvalidTarget, null)]
    [InlineData("a resource that the task is not for", "read_file", Names.Errors.InvalidTarget, null)]
    [InlineData("more than the edge", "read_file", Names.Errors.InvalidAuthorizationDetails, null)]
    [InlineData("another task", "read_file", Names.Errors.InvalidAuthorizationDetails, null)]
    [InlineData("another key", "read_file", Names.Errors.InvalidRequest, Names.Reasons.NotPresenter)]
    [InlineData("no proof", "read_file", Names.Errors.InvalidDpopProof, null)]
    [InlineData("an actor", "read_file", Names.Errors.InvalidRequest, Names.Reasons.WrongType)]
    [InlineData("a token for another tool server", "read_file", Names.Errors.InvalidRequest, Names.Reasons.NotPresenter)]
    [InlineData("an instance token", "read_file", Names.Errors.InvalidRequest, Names.Reasons.NotPresenter)]
    [InlineData("a token by scope", "read_file", Names.Errors.InvalidRequest, Names.Reasons.WrongType)]
    [Trait("Invariant", "9")]
    public async Task Downstream_ThatBreaksOneRule_IsRefused(string what, string tool, string error, string? reason)
    {
        var c = await ReadyAsync();
        if (what == "a tool that the token does not hold")
            await server.ApplyAsync(Edge(c.S, tool, c.There, ["read_file"]));
        // All else is right: the same without the fault is granted.
        await c.Guard.DownstreamAsync(c.Token.AccessToken, "read_file", c.There.Resource);
        using var other = SigningKey.Create();
        var byScope = what == "a token by scope" ? (await new PersonFlow(c.S).TokenAsync()).AccessToken : "";
        await server.RefusedAsync(() => c.Guard.DownstreamRawAsync(c.Token.AccessToken, tool, c.There.Resource, form =>
        {
            switch (what)
            {
                case "no tool": form.Remove(Names.Exchange.Tool); break;
                case "no resource": form.Remove("resource"); break;
                case "a resource that the task is not for": form["resource"] = c.S.Resource; break;
                case "more than the edge": form["authorization_details"] = c.There.Details(["list_files"]).ToJsonString(); break;
                case "another task": form["authorization_details"] = c.There.Details(["read_file"], new JsonObject { ["id"] = "tsk_other" }).ToJsonString(); break;
                case "an actor": (form["actor_token"], form["actor_token_type"]) = (c.S.Agent.InstanceToken, Names.Exchange.AccessTokenType); break;
                case "a token for another tool server": form["subject_token"] = TokenText.Resign(server, c.Token.AccessToken, j => j["aud"] = c.There.Resource); break;
                case "an instance token": form["subject_token"] = c.S.Agent.InstanceToken; break;
                case "a token by scope": form["subject_token"] = byScope; break;
            }
        }, what == "no proof" ? null : what == "another key" ? c.Guard.Proof(Names.Paths.Token, key: other) : ""), HttpStatusCode.BadRequest, error, reason, AuditTypes.TokenRefused, reason);
    }

    [Fact]
    [Trait("Invariant", "9")]
    public async Task Downstream_ToWhereTheTaskIsNot_IsRefused()
    {
        var c = await ReadyAsync();
        // Edge and ceiling lead there; this task does not.
        var own = await c.S.Agent.TaskTokenAsync(await c.S.Agent.BeginTaskAsync("read_file"), "read_file");
        await server.RefusedAsync(
            () => c.Guard.DownstreamRawAsync(own.AccessToken, "read_file", c.There.Resource), HttpStatusCode.BadRequest, Names.Errors.InvalidTarget, null, AuditTypes.TokenRefused, Names.Errors.InvalidTarget);
        await c.Guard.DownstreamAsync(c.Token.AccessToken, "read_file", c.There.Resource);
    }

    [Fact]
    [Trait("Invariant", "9")]
    public async Task DownstreamToken_CannotBeExchangedFurtherByAnybody()
    {
        var c = await ReadyAsync(1);
        var token = (await c.Guard.DownstreamAsync(c.Token.AccessToken, "read_file", c.There.Resource)).AccessToken;
        // By the tool server it is for, which has an edge back; by the one that got it; by an agent that the first one may hand off to; by the agent itself.
        foreach (var attempt in new Func<Task<HttpResponseMessage>>[]
        {
            () => c.Beyond.DownstreamRawAsync(token, "read_file", c.S.Resource), () => c.Guard.DownstreamRawAsync(token, "read_file", c.There.Resource),
            () => c.S.Agents[1].ExchangeRawAsync(Form(c.S.Agents[1], withActor: true)), () => c.S.Agent.ExchangeRawAsync(Form(c.S.Agent, withActor: false)),
        })
            await server.RefusedAsync(attempt, HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized, AuditTypes.TokenRefused, Names.Reasons.ActorUnauthorized);

        Dictionary<string, string> Form(TestAgent agent, bool withActor)
        {
            var form = agent.ExchangeForm(token, withActor);
            form["resource"] = c.There.Resource;
            return form;
        }
    }

    [Fact]
    [Trait("Invariant", "3")]
    public async Task DownstreamToken_DiesWithWhateverItStandsOn()
    {
        foreach (var what in new[] { "task", "instance", "agent", "user", "edge", "guard", "tool_server", "grant" })
        {
            var c = await ReadyAsync();
            var token = (await c.Guard.DownstreamAsync(c.Token.AccessToken, "read_file", c.There.Resource)).AccessToken;
            var ops = await TestAdministrator.OfAsync(server);
            switch (what)
            {
                case "task": await ops.RevokeAsync("task", c.Token.Task()); break;
                case "instance": await ops.RevokeAsync("instance", c.S.Agent.Instance); break;
                case "agent": await ops.RevokeAsync("agent", c.S.Agent.Id); break;
                case "user": await ops.RevokeAsync("user", c.S.User); break;
                case "grant": await ops.RevokeAsync("token", c.Token.Jti()); break;
                case "guard": await server.Services.GetRequiredService<ICommitLog>().Commit(new StopGuard(c.Guard.Id)); break;
                case "tool_server": await ops.RevokeAsync("tool_server", c.S.ToolServer); break;
                default:
                    // What was issued along the edge lives its minutes out; nothing new comes.
                    await server.ApplyAsync(Edge(c.S, "read_file", c.There, []));
                    await (await c.Guard.DownstreamRawAsync(c.Token.AccessToken, "read_file", c.There.Resource)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidTarget);
                    continue;
            }
            Assert.False(await c.Beyond.IsActiveAsync(token), what);
            if (what is not ("guard" or "tool_server"))
                await (await c.Guard.DownstreamRawAsync(c.Token.AccessToken, "read_file", c.There.Resource)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        }
    }

    [Fact]
    public async Task DownstreamToken_EndsWithTheTokenItWasExchangedFrom_AndWithinEveryCeiling()
    {
        var c = await ReadyAsync();
        server.Time.Advance(TimeSpan.FromSeconds(200));
        Assert.Equal(c.Token.Expires(), (await c.Guard.DownstreamAsync(c.Token.AccessToken, "read_file", c.There.Resource)).Expires());
        c.S.File["agents"]![0]!["ceiling"] = c.S.Details(["read_file", "list_files", "delete_file"]);
        await server.ApplyAsync(c.S.File.ToJsonString());
        await (await c.Guard.DownstreamRawAsync(c.Token.AccessToken, "read_file", c.There.Resource)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task DownstreamUsed_OfATokenThatIsNotTheGuards_IsNotBelieved()
    {
        var c = await ReadyAsync();
        var own = (await c.Guard.DownstreamAsync(c.Token.AccessToken, "read_file", c.There.Resource)).Jti();
        // A refusal names no token. What is named was issued to this guard, in the task of the call.
        foreach (var (jti, used, believed) in new (string?, string?, bool)[]
        {
            (c.Token.Jti(), own, true), (c.Token.Jti(), null, true), (c.Token.Jti(), c.Token.Jti(), false), (c.Token.Jti(), "at_unknown", false), (null, own, false), (own, own, false),
        })
        {
            var mark = await server.NowAsync();
            var told = c.Guard.Event(jti, AuditTypes.DownstreamUsed);
            told["data"] = new JsonObject { ["to"] = c.There.Resource };
            if (used is not null)
                told["data"]!["jti"] = used;
            await c.Guard.DeliverAsync(c.Guard.Spool(told));
            var e = Assert.Single(await server.SinceAsync(mark));
            Assert.Equal(believed ? (AuditTypes.DownstreamUsed, null, c.Token.Task()) : (AuditTypes.GuardRefused, "foreign_jti", null), (e.Type, e.Reason, e.Task));
        }
    }

    /// <summary>
    /// A person's task at two tool servers, the guard of each, and edges from <c>read_file</c> of either to <c>read_file</c> of the other.
    /// </summary>
    private async Task<Chain> ReadyAsync(int further = 0)
    {
        var (s, there) = (await server.ScenarioAsync(o => o.FurtherAgents = further), await server.ScenarioAsync());
        foreach (var agent in s.File["agents"]!.AsArray())
            agent!["ceiling"]!.AsArray().Add(there.Details(["list_files", "read_file"])[0]!.DeepClone());
        await server.ApplyAsync(s.File.ToJsonString());
        await server.ApplyAsync(Edge(s, "read_file", there, ["read_file"]));
        await server.ApplyAsync(Edge(there, "read_file", s, ["read_file"]));
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var purpose = new JsonObject { ["purpose"] = "p" };
        var details = s.Details(["list_files", "read_file"], purpose);
        details.Add(there.Details(["list_files", "read_file"], (JsonObject)purpose.DeepClone())[0]!.DeepClone());
        var delegation = await new PersonFlow(s).DelegateAsync(s.AuthorizeQuery(s.Agent, details));
        var token = await s.Agent.TakeOverAsync(delegation.AccessToken, s.Details(["list_files", "read_file"]));
        return new(s, there, await TestGuard.OfAsync(s), await TestGuard.OfAsync(there), token);
    }

    private static string Edge(Scenario from, string tool, Scenario to, string[] tools) => new JsonObject
    {
        ["edges"] = new JsonArray(new JsonObject
        {
            ["from"] = new JsonObject { ["server"] = from.ToolServer, ["tool"] = tool },
            ["to"] = new JsonObject { ["server"] = to.ToolServer, ["tools"] = new JsonArray([.. tools.Select(t => (JsonNode?)t)]) },
        }),
    }.ToJsonString();

    private sealed class StopGuard(string id) : Unit<int>
    {
        private static readonly Sql Stop = new("update guards set state = 'ended' where id = @id");

        public override int Apply(WriteTx tx) => tx.Run(Stop.With(id));
    }
}
