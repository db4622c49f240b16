using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Tasks;

/// <summary>Attested instances: created, renewed, ended; a key is one agent's and is burnt with its instance.</summary>
public sealed class InstanceTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Attest_FreshKey_MakesAnInstanceForAnHour()
    {
        var s = await server.ScenarioAsync();
        var mark = await server.NowAsync();
        var response = await s.Agent.AttestRawAsync();
        var instance = await response.ReadAsync(ProtocolJson.Default.InstanceResponse);
        Assert.Equal((HttpStatusCode.Created, 3600, s.Agent.Id), (response.StatusCode, instance.ExpiresIn, instance.Agent));
        var claims = Answers.Claims(instance.AccessToken);
        Assert.Equal((TestServer.Issuer + "/token", s.Agent.Id), (claims.GetProperty("aud").GetString(), claims.GetProperty("sub").GetString()));
        Assert.Equal(s.Agent.Key.Public.Thumbprint, claims.GetProperty("cnf").GetProperty("jkt").GetString());
        Assert.False(claims.TryGetProperty("act", out _));
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.InstanceAttested, instance.Instance, s.Agent.Id), (e.Type, e.Instance, e.Agent));
    }

    [Fact]
    public async Task Attest_AgainWithTheSameKey_RenewsTheSameInstance()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var first = s.Agent.Instance;
        server.Time.Advance(TimeSpan.FromMinutes(50));
        var mark = await server.NowAsync();
        var again = await s.Agent.AttestRawAsync();
        var renewed = await again.ReadAsync(ProtocolJson.Default.InstanceResponse);
        Assert.Equal((HttpStatusCode.OK, first, 3600), (again.StatusCode, renewed.Instance, renewed.ExpiresIn));
        Assert.Equal(AuditTypes.InstanceRenewed, Assert.Single(await server.SinceAsync(mark)).Type);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from instances where agent_id = '{s.Agent.Id}'"));

        server.Time.Advance(TimeSpan.FromMinutes(61));
        Assert.NotEqual(first, (await (await s.Agent.AttestRawAsync()).ReadAsync(ProtocolJson.Default.InstanceResponse)).Instance);
    }

    [Fact]
    public async Task Attest_TwentyAtOnceWithOneKey_MakeOneInstance()
    {
        var s = await server.ScenarioAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => s.Agent.AttestRawAsync())).WaitAsync(TimeSpan.FromSeconds(60));
        var instances = new HashSet<string>();
        foreach (var answer in answers)
            instances.Add((await answer.ReadAsync(ProtocolJson.Default.InstanceResponse)).Instance);
        Assert.Single(instances);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from instances where agent_id = '{s.Agent.Id}'"));
    }

    [Fact]
    public async Task End_ByItself_BurnsTheKeyAndKillsWhatWasIssuedToIt()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var token = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
        var guard = await TestGuard.OfAsync(s);
        var mark = await server.NowAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);
        Assert.Equal([AuditTypes.InstanceEnded, AuditTypes.TaskFailed], (await server.SinceAsync(mark)).Select(e => e.Type));

        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'instance' and subject = '{s.Agent.Instance}'"));
        await server.RefusedAsync(
            () => s.Agent.AttestRawAsync(), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded, AuditTypes.InstanceRefused, Names.Reasons.InstanceEnded);
        await server.RefusedAsync(
            () => s.Agent.BeginTaskRawAsync(s.Details(["read_file"])), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.InstanceEnded,
            AuditTypes.TokenRefused, Names.Reasons.InstanceEnded);
        await server.RefusedAsync(
            () => s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }))), HttpStatusCode.BadRequest,
            Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded, AuditTypes.TokenRefused, Names.Reasons.InstanceEnded);

        // A new key is a new instance.
        s.Agent.Key = SigningKey.Create();
        await s.Agent.AttestAsync();
        await s.Agent.BeginTaskAsync("read_file");
    }

    [Fact]
    public async Task End_OfAnothersInstance_Is404AndHasNoEffect()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        foreach (var id in new[] { s.Agents[1].Instance, "ins_unknown" })
            await server.RefusedAsync(
                () => s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{id}"), HttpStatusCode.NotFound, "not_found", null, AuditTypes.InstanceRefused, "not_found");
        await s.Agents[1].BeginTaskAsync("read_file");
    }

    [Fact]
    public async Task Attest_WithAnotherAgentsKey_IsRefused()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        await s.Agent.AttestAsync();
        s.Agents[1].Key = s.Agent.Key;
        await server.RefusedAsync(
            () => s.Agents[1].AttestRawAsync(), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized, AuditTypes.InstanceRefused, Names.Reasons.ActorUnauthorized);
    }

    [Fact]
    public async Task Token_OfAnExpiredInstance_IsRefusedEverywhere()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        server.Time.Advance(TimeSpan.FromHours(1));
        await server.RefusedAsync(
            () => s.Agent.BeginTaskRawAsync(s.Details(["read_file"])), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Expired, AuditTypes.TokenRefused, Names.Reasons.Expired);
        await server.RefusedAsync(
            () => s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }))), HttpStatusCode.BadRequest,
            Names.Errors.InvalidRequest, Names.Reasons.Expired, AuditTypes.TokenRefused, Names.Reasons.Expired);
    }

    [Theory]
    [InlineData("agents")]
    [InlineData("clients")]
    public async Task InstanceToken_AgentOrItsClientSuspended_IsRefused(string what)
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        s.File[what]![0]!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());
        await server.RefusedAsync(
            () => s.Agent.BeginTaskRawAsync(s.Details(["read_file"])), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, null, AuditTypes.TokenRefused, null);
        await server.RefusedAsync(
            () => s.Agent.AttestRawAsync(), what == "agents" ? HttpStatusCode.BadRequest : HttpStatusCode.Unauthorized,
            what == "agents" ? Names.Errors.UnauthorizedClient : Names.Errors.InvalidClient, null, AuditTypes.InstanceRefused, null);
    }

    [Fact]
    public async Task Attest_ByAClientOfNoAgentOrWithoutKey_IsRefused()
    {
        var s = await server.ScenarioAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Instances) { Content = new FormUrlEncodedContent([]) };
        request.Headers.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
        request.Headers.Add("DPoP", s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances));
        await server.RefusedAsync(
            () => server.Client().SendAsync(request), HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, null, AuditTypes.InstanceRefused, Names.Errors.UnauthorizedClient);
        await server.RefusedAsync(
            () => s.Agent.AttestRawAsync(proof: null), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "header_count", AuditTypes.InstanceRefused, "header_count");
    }
}
