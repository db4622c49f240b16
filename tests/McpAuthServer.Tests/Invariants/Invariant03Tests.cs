using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Invariants;

/// <summary>3. Nothing outlives its reason; and no issuance wins a race against the end of what it stands on.</summary>
public abstract class Invariant03Suite
{
    private static readonly int Races = Environment.GetEnvironmentVariable("MCPAUTH_SOAK") == "1" ? 2000 : 200;

    protected abstract TestServer Server { get; }

    private protected virtual Task<TestServer> OtherAsync() => Task.FromResult(Server);

    [SuiteFact]
    public async Task Invariant03_NothingOutlivesItsReason_IssuanceNeverWinsARaceAgainstAnEnd()
    {
        var s = await Server.ScenarioAsync(o => o.FurtherAgents = 1);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var other = await OtherAsync();
        await other.SeeRegistryAsync();
        var mark = await Server.NowAsync();
        int won = 0, lost = 0;
        var survivors = new List<(string Token, string How)>();
        for (var race = 0; race < Races; race++)
        {
            var task = await s.Agent.BeginTaskAsync("read_file");
            var root = await s.Agent.TaskTokenAsync(task, "read_file");
            // Who issues: the task's own agent, a continuation, a hand-off. What ends: the task, or the root of its authority.
            var (issuer, form) = (race % 3) switch
            {
                0 => (s.Agent, s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["id"] = task }))),
                1 => (s.Agent, s.Agent.ExchangeForm(root.AccessToken)),
                _ => (s.Agents[1], s.Agents[1].ExchangeForm(root.AccessToken, withActor: true)),
            };
            var byTask = race % 3 == 0 || race % 2 == 0;
            var revoke = s.Agent.AssertionForm();
            revoke["token"] = root.AccessToken;
            Task<HttpResponseMessage> EndAsync() => byTask
                ? s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/complete")
                : s.Agent.PostFormAsync(Names.Paths.Revoke, revoke, null);
            Task<HttpResponseMessage> IssueAsync() => issuer.PostFormAsync(Names.Paths.Token, form, client: other.Client());
            // Both begin together, in either order.
            var (first, second) = race % 4 < 2 ? (Task.Run(IssueAsync), Task.Run(EndAsync)) : (Task.Run(EndAsync), Task.Run(IssueAsync));
            var both = await Task.WhenAll(first, second).WaitAsync(TimeSpan.FromSeconds(30));
            var (issue, end) = race % 4 < 2 ? (both[0], both[1]) : (both[1], both[0]);
            Assert.True(end.IsSuccessStatusCode, await end.Content.ReadAsStringAsync());
            if (issue.IsSuccessStatusCode)
            {
                won++;
                survivors.Add(((await issue.ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken, $"race {race}"));
            }
            else
            {
                lost++;
                await issue.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
            }
        }

        // In the order of the log, nothing was issued for a task after its end, nor under a grant after its revocation.
        await Server.NowAsync();
        Assert.Equal(0, await Server.ScalarAsync(
            $"""
            select count(*) from audit_events i join audit_events e on e.task = i.task and e.type in ('task.completed', 'task.revoked')
            where i.type = 'token.issued' and i.seq > e.seq and i.seq > {mark}
            """));
        Assert.Equal(0, await Server.ScalarAsync(
            $"""
            select count(*) from audit_events i join audit_events e on e.grant_id = i.grant_id and e.type in ('token.revoked', 'grant.revoked')
            where i.type = 'token.issued' and i.seq > e.seq and i.seq > {mark}
            """));
        // No grant is left that could issue more: neither of an ended task nor below a revoked one.
        Assert.Equal(0, await Server.ScalarAsync("select count(*) from grants g join tasks t on t.id = g.task_id where g.state = 'active' and t.state not in ('active', 'suspended')"));
        Assert.Equal(0, await Server.ScalarAsync("select count(*) from grants g join grants p on p.id = g.parent_id where g.state = 'active' and p.state <> 'active'"));
        // And what was issued before the end died by it.
        var guard = await TestGuard.OfAsync(s);
        foreach (var (token, how) in survivors)
            Assert.False(await guard.IsActiveAsync(token), how);
        Assert.Equal(Races, won + lost);
    }

    [SuiteFact]
    public async Task Invariant03_NothingOutlivesItsReason_IssuanceNeverWinsARaceAgainstASuspension()
    {
        var other = await OtherAsync();
        for (var race = 0; race < 20; race++)
        {
            var s = await Server.ScenarioAsync(o => o.FurtherAgents = 2);
            foreach (var agent in s.Agents)
                await agent.AttestAsync();
            var root = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
            var second = await s.Agents[1].TakeOverAsync(root.AccessToken);
            await other.SeeRegistryAsync();
            // The agent in the middle is suspended, or the instance at the top ends, while the last takes over.
            var suspend = race % 2 == 0;
            s.File["agents"]![1]!["state"] = "suspended";
            var form = s.Agents[2].ExchangeForm(second.AccessToken, withActor: true);
            var issue = Task.Run(() => s.Agents[2].PostFormAsync(Names.Paths.Token, form, client: other.Client()));
            var end = Task.Run(async () =>
            {
                if (suspend)
                    await Server.ApplyAsync(s.File.ToJsonString());
                else
                    Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);
            });
            await Task.WhenAll(issue, end).WaitAsync(TimeSpan.FromSeconds(30));
            await Server.NowAsync();
            var ended = suspend ? $"type = 'admin.agent_suspended' and agent = '{s.Agents[1].Id}'" : $"type = 'instance.ended' and agent = '{s.Agent.Id}'";
            Assert.Equal(0, await Server.ScalarAsync(
                $"select count(*) from audit_events where type = 'token.issued' and agent = '{s.Agents[2].Id}' and seq > (select seq from audit_events where {ended})"));
            var guard = await TestGuard.OfAsync(s);
            var answer = await issue;
            if (answer.IsSuccessStatusCode)
                Assert.False(await guard.IsActiveAsync((await answer.ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken));
            // Afterwards nothing comes of it at all, at either node.
            foreach (var node in new[] { Server, other })
                await (await s.Agents[2].PostFormAsync(Names.Paths.Token, s.Agents[2].ExchangeForm(second.AccessToken, withActor: true), client: node.Client()))
                    .RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        }
    }

    [SuiteFact]
    public async Task Invariant03_NothingOutlivesItsReason_AnExpiredInstanceOrTaskIsTheEndOfItsTokens()
    {
        var s = await Server.ScenarioAsync(o => o.FurtherAgents = 1);
        await s.Agent.AttestAsync();
        Server.Time.Advance(TimeSpan.FromMinutes(58));
        await s.Agents[1].AttestAsync();
        var root = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
        var taken = await s.Agents[1].TakeOverAsync(root.AccessToken);
        var guard = await TestGuard.OfAsync(s);
        Assert.True(await guard.IsActiveAsync(taken.AccessToken));
        Server.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.False(await guard.IsActiveAsync(root.AccessToken));
        Assert.False(await guard.IsActiveAsync(taken.AccessToken));
        // Whatever a guard hears: the tokens say so themselves.
        Assert.True(taken.Expires() <= Server.Time.GetUtcNow().ToUnixTimeSeconds());
        s.Agent.Key = SigningKey.Create();
        await s.Agent.AttestAsync();
        await (await s.Agents[1].ExchangeRawAsync(s.Agents[1].ExchangeForm(taken.AccessToken))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.Expired);
    }
}

[Trait("Suite", "race")]
public sealed class Invariant03OnSqliteTests(TestServer server) : Invariant03Suite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
[Trait("Suite", "race")]
public sealed class Invariant03OnPostgresTests(PostgresServer postgres) : Invariant03Suite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> OtherAsync() => postgres.AnotherAsync();
}
