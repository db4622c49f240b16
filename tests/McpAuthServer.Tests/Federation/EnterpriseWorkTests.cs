using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Grants;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>An agent's task for a person whose enterprise lets it work for them.</summary>
public abstract class EnterpriseWorkSuite
{
    private const string Purpose = "purpose", TaskId = "id";

    private protected abstract TestServer Server { get; }

    private async Task<(Scenario, TestProvider)> SceneAsync(Action<ScenarioOptions>? configure = null, bool attested = true)
    {
        var s = await Server.ScenarioAsync(configure);
        var provider = new TestProvider(s);
        await provider.RegisterAsync();
        if (attested)
            await s.Agent.AttestAsync();
        return (s, provider);
    }

    private async Task RefusedAsync(Func<Task<HttpResponseMessage>> act, string error, string? reason = null)
    {
        var people = await TestProvider.PeopleAsync(Server);
        await Server.RefusedAsync(act, HttpStatusCode.BadRequest, error, reason, AuditTypes.TokenRefused, reason);
        Assert.Equal(people, await TestProvider.PeopleAsync(Server));
    }

    [SuiteFact]
    public async Task Assertion_ToAnAgent_BeginsATaskForThePersonWithBothPrincipals()
    {
        var (s, provider) = await SceneAsync();
        var mark = await Server.NowAsync();

        var token = await provider.WorkAsync();

        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal((s.User, "user", s.Agent.Id, s.Agent.ClientId, s.Agent.Key.Public.Thumbprint, s.Agent.Instance),
            (claims.GetProperty("sub").GetString(), claims.GetProperty("sub_profile").GetString(), claims.GetProperty("act").GetProperty("sub").GetString(),
                claims.GetProperty("client_id").GetString(), claims.GetProperty("cnf").GetProperty("jkt").GetString(), claims.GetProperty("agent_ctx").GetProperty("instance").GetString()));
        Assert.False(claims.TryGetProperty("step_up", out _));
        Assert.Equal((Names.Dpop.Scheme, "tool:read_file", null), (token.TokenType, token.Scope, token.RefreshToken));
        var events = await Server.SinceAsync(mark);
        Assert.Equal([AuditTypes.ConsentGranted, AuditTypes.TaskCreated, AuditTypes.TokenIssued], events.Select(e => e.Type));
        Assert.All(events, e => Assert.Equal((s.User, s.Agent.Id), (e.User, e.Agent)));
        Assert.Equal(("delegated", "summarise March"), ((string?)events[1].Data!["origin"], (string?)events[1].Data![Purpose]));
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
    }

    [SuiteFact]
    public async Task Assertion_WithARunningTask_GoesOnWithIt()
    {
        var (s, provider) = await SceneAsync();
        var first = await provider.WorkAsync();
        var second = await provider.WorkAsync(task: new JsonObject { [TaskId] = first.Task() });
        Assert.Equal(first.Task(), second.Task());
        Assert.NotEqual(first.Task(), (await provider.WorkAsync()).Task());

        // What the person handed over by themselves is opened by that alone; another client's task by nothing.
        var own = await s.Agent.BeginTaskAsync("read_file");
        var handed = await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm((await new PersonFlow(s).DelegateAsync("by hand", "read_file")).AccessToken, withActor: true));
        foreach (var task in new[] { own, (await handed.ReadAsync(ProtocolJson.Default.TokenResponse)).Task(), "tsk_none" })
            await RefusedAsync(() => provider.WorkRawAsync(task: new JsonObject { [TaskId] = task }), Names.Errors.InvalidAuthorizationDetails);
        // Nor does the task grow.
        await RefusedAsync(() => provider.WorkRawAsync(tools: ["list_files"], task: new JsonObject { [TaskId] = first.Task() }), Names.Errors.InvalidAuthorizationDetails);
    }

    [SuiteFact]
    public async Task Task_ThatEnded_IsNotOpenedByAnotherAssertion()
    {
        var (s, provider) = await SceneAsync();
        var token = await provider.WorkAsync();
        var ops = await TestAdministrator.OfAsync(Server);
        await ops.RevokeAsync("task", token.Task());
        Assert.False(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
        await RefusedAsync(() => provider.WorkRawAsync(task: new JsonObject { [TaskId] = token.Task() }), Names.Errors.InvalidGrant, Names.Reasons.TaskEnded);
    }

    [SuiteFact]
    public async Task Authority_IsWithinWhatTheProviderAllowsAndTheCeiling()
    {
        var (s, provider) = await SceneAsync();
        // By words: read tools only, any arguments.
        await RefusedAsync(() => provider.WorkRawAsync(tools: ["delete_file"]), Names.Errors.InvalidAuthorizationDetails);
        Assert.Equal("tool:delete_file", (await provider.WorkAsync(c => c["scope"] = "tool:delete_file", ["delete_file"])).Scope);
        // By details: those constraints; and within the words where both are said.
        var bounded = s.Details(["read_file", "list_files"]).With("read_file", new JsonObject { ["args"] = new JsonObject { ["path"] = new JsonObject { ["constraint_type"] = "path_under", ["value"] = "/reports" } } });
        void Details(JsonObject claims, string? scope)
        {
            claims["authorization_details"] = bounded.DeepClone();
            IdentityAssertionSuite.Put(claims, "scope", scope);
        }

        Assert.Equal("tool:list_files", (await provider.WorkAsync(c => Details(c, null), ["list_files"])).Scope);
        await RefusedAsync(() => provider.WorkRawAsync(provider.ForAgent(c => Details(c, null)), ["read_file"]), Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(() => provider.WorkRawAsync(provider.ForAgent(c => Details(c, "tool:read_file")), ["list_files"]), Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(() => provider.WorkRawAsync(provider.ForAgent(c => Details(c, "tool:delete_file"))), Names.Errors.InvalidGrant, IdentityAssertionGrant.OtherScope);
        // The agent's own ceiling holds whatever an enterprise says.
        var agent = s.File["agents"]![0]!.DeepClone();
        agent["ceiling"] = s.Details(["list_files"]);
        await Server.ApplyAsync(new JsonObject { ["agents"] = new JsonArray(agent) }.ToJsonString());
        await RefusedAsync(() => provider.WorkRawAsync(), Names.Errors.InvalidAuthorizationDetails);
    }

    [SuiteFact]
    public async Task Agent_WithoutItsInstancesKey_GetsNothing()
    {
        var (s, provider) = await SceneAsync();
        await RefusedAsync(() => provider.WorkRawAsync(proof: null), Names.Errors.InvalidDpopProof, "missing");
        using var stranger = SigningKey.Create();
        await RefusedAsync(() => provider.WorkRawAsync(proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: stranger)), Names.Errors.UnauthorizedClient, Names.Reasons.InstanceEnded);
        await s.Agent.CallAsync(HttpMethod.Delete, $"{Names.Paths.Instances}/{s.Agent.Instance}");
        await RefusedAsync(() => provider.WorkRawAsync(), Names.Errors.UnauthorizedClient, Names.Reasons.InstanceEnded);
    }

    /// <summary>Where its record lets it work without an instance; a key that is proven is what the token is bound to all the same.</summary>
    [SuiteFact]
    public async Task Agent_ThatMayWorkWithoutAnInstance_DoesSo()
    {
        var (s, provider) = await SceneAsync(o => o.Agent["client_credentials"] = true, attested: false);
        var bearer = await (await provider.WorkRawAsync(proof: null)).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal((Names.OAuth.Bearer, s.Agent.Id), (bearer.TokenType, Answers.Claims(bearer.AccessToken).GetProperty("act").GetProperty("sub").GetString()));
        Assert.Equal(s.Agent.Key.Public.Thumbprint, Answers.Claims((await provider.WorkAsync()).AccessToken).GetProperty("cnf").GetProperty("jkt").GetString());
    }

    [SuiteFact]
    public async Task Agent_ThatIsSuspended_OrAsksForNoTask_GetsNothing()
    {
        var (s, provider) = await SceneAsync();
        await RefusedAsync(() => provider.WorkRawAsync(change: f => f.Remove("authorization_details")), Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(() => provider.WorkRawAsync(change: f => f["authorization_details"] = s.Details(["read_file"]).ToJsonString()), Names.Errors.InvalidAuthorizationDetails);
        var agent = s.File["agents"]![0]!.DeepClone();
        agent["state"] = "suspended";
        await Server.ApplyAsync(new JsonObject { ["agents"] = new JsonArray(agent) }.ToJsonString());
        await RefusedAsync(() => provider.WorkRawAsync(), Names.Errors.UnauthorizedClient, Names.Reasons.AgentSuspended);
    }

    /// <summary>It is a task like any other: narrowed by an exchange, handed to the next agent.</summary>
    [SuiteFact]
    public async Task Task_OfAnEnterprise_IsHandedOnLikeAnyOther()
    {
        var (s, provider) = await SceneAsync(o => o.FurtherAgents = 1);
        var token = await provider.WorkAsync(tools: ["read_file", "list_files"]);
        await s.Agents[1].AttestAsync();
        var next = Answers.Claims((await s.Agents[1].TakeOverAsync(token.AccessToken, s.Details(["read_file"]))).AccessToken);
        Assert.Equal((s.User, s.Agents[1].Id, s.Agent.Id),
            (next.GetProperty("sub").GetString(), next.GetProperty("act").GetProperty("sub").GetString(), next.GetProperty("act").GetProperty("act").GetProperty("sub").GetString()));
    }
}

public sealed class EnterpriseWorkTests(TestServer server) : EnterpriseWorkSuite, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class EnterpriseWorkOnPostgresTests(PostgresServer postgres) : EnterpriseWorkSuite, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}
