using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Tasks;

/// <summary>What an instance worked on fails with it, or waits for another instance of the agent (invariant 3).</summary>
public abstract class InstanceEndSuite
{
    private protected abstract TestServer Server { get; }

    [SuiteFact]
    [Trait("Invariant", "3")]
    public Task Instance_ThatEndsItself_FailsItsTasksAndSuspendsThoseThatAreResumable() => EndsAsync("ended");

    [SuiteFact]
    [Trait("Invariant", "3")]
    public Task Instance_ThatExpires_FailsItsTasksAndSuspendsThoseThatAreResumable() => EndsAsync("expired");

    [SuiteFact]
    [Trait("Invariant", "3")]
    public Task Instance_ThatIsRevoked_FailsItsTasksAndSuspendsThoseThatAreResumable() => EndsAsync("revoked");

    private async Task EndsAsync(string how)
    {
        var s = await ReadyAsync(1);
        var fails = await TokenAsync(s);
        var child = await s.Agents[1].TakeOverAsync(fails.AccessToken);
        var waits = await TokenAsync(s, resumable: true);
        var below = await s.Agents[1].TakeOverAsync(waits.AccessToken);
        var ownChild = await TokenAsync(s, parent: waits.Task());
        var other = await TokenAsync(s, by: s.Agents[1]);
        var guard = await TestGuard.OfAsync(s);
        var mark = await Server.NowAsync();

        await EndAsync(s, how);

        await guard.AuthenticateAsync();
        foreach (var dead in new[] { fails, child, waits, below, ownChild })
            Assert.False(await guard.IsActiveAsync(dead.AccessToken));
        Assert.Equal(
            ["failed", "revoked", "suspended", "revoked", "failed", "active"],
            await StatesAsync(fails, child, waits, below, ownChild, other));
        Assert.Equal((long)Rank.Agent, await Server.ScalarAsync($"select suspended_by from tasks where id = '{waits.Task()}'"));
        // Also of the task that waits: another instance gets its own.
        foreach (var table in new[] { "grants", "refresh_families" })
            Assert.Equal(0, await Server.ScalarAsync($"select count(*) from {table} where instance_id = '{s.Agent.Instance}' and state = 'active'"));
        // Other instances of these tests have their hour, too.
        var own = new[] { fails, child, waits, below, ownChild }.Select(t => t.Task()).ToHashSet();
        var events = (await Server.SinceAsync(mark)).Where(e => own.Contains(e.Task ?? "") || (e.Type == AuditTypes.InstanceEnded && e.Instance == s.Agent.Instance)).ToList();
        var ended = Assert.Single(events, e => e.Type == AuditTypes.InstanceEnded);
        // A cause stands before its effects, and what waits has no residual access to tell of yet.
        Assert.Equal(ended, events[0]);
        foreach (var (task, type, tells) in new[] { (fails, AuditTypes.TaskFailed, true), (waits, AuditTypes.TaskSuspended, false), (below, AuditTypes.TaskRevoked, true), (ownChild, AuditTypes.TaskFailed, true) })
        {
            var e = Assert.Single(events, e => e.Task == task.Task());
            Assert.Equal((type, Names.Reasons.InstanceEnded, ended.Id, tells), (e.Type, e.Reason, e.Cause, e.Data!.ContainsKey("residual_access_ms")));
        }
        Assert.Equal("parent_ended", Assert.Single(events, e => e.Task == child.Task()).Reason);
        // Of the one that waits, too: other instances of the agent may hold tokens of it.
        foreach (var task in new[] { fails, waits })
            Assert.Equal(1, await Server.ScalarAsync($"select count(*) from revocations where kind = 'task' and op = 'deny' and subject = '{task.Task()}'"));
        Assert.Equal(how == "expired" ? "expired" : "ended", (await Server.TextsAsync($"select state from instances where id = '{ended.Instance}'"))[0]);
    }

    [SuiteFact]
    [Trait("Invariant", "3")]
    public async Task ResumableTask_IsTakenUpByAnotherInstanceOfTheAgentAndByNoOtherAgent()
    {
        var s = await ReadyAsync(1);
        var token = await TokenAsync(s, resumable: true);
        var first = s.Agent.Instance;
        await EndAsync(s, "ended");
        await s.Agent.RenewKeyAsync();
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: Of(s, token.Task())))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.TaskSuspended);
        await (await s.Agents[1].CallAsync(HttpMethod.Post, $"/tasks/{token.Task()}/resume")).RefusedAsync(HttpStatusCode.NotFound, "not_found");

        var view = await MoveAsync(s.Agent, token.Task(), "resume");

        Assert.Equal(("active", true), (view.State, view.Resumable));
        var again = await s.Agent.TaskTokenAsync(token.Task(), "read_file");
        var guard = await TestGuard.OfAsync(s);
        Assert.True(await guard.IsActiveAsync(again.AccessToken));
        // What the first instance held stays dead.
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        Assert.NotEqual(first, s.Agent.Instance);
        // It is the second one's now, and waits again when that ends.
        await EndAsync(s, "ended");
        Assert.Equal(["suspended"], await StatesAsync(token));
    }

    [SuiteFact]
    [Trait("Invariant", "12")]
    public async Task ResumableTask_ThatAPersonSuspended_WaitsForThePersonAndThenForAnInstance()
    {
        var s = await ReadyAsync();
        var token = await TokenAsync(s, resumable: true);
        var person = new Initiator(null, null, null, Rank.User, s.User);
        Assert.True((await CommitAsync(new SuspendOrResumeTask(token.Task(), suspend: true, null, person, null, Server.Time.GetUtcNow(), "test"))).Applied);
        await EndAsync(s, "ended");
        Assert.Equal((long)Rank.User, await Server.ScalarAsync($"select suspended_by from tasks where id = '{token.Task()}' and state = 'suspended'"));
        await s.Agent.RenewKeyAsync();
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{token.Task()}/resume")).RefusedAsync(HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);

        // The person lifts their stop; nobody works on the task, so it goes on when somebody does.
        Assert.Equal("suspended", (await CommitAsync(new SuspendOrResumeTask(token.Task(), suspend: false, null, person, null, Server.Time.GetUtcNow(), "test"))).State);
        Assert.Equal("active", (await MoveAsync(s.Agent, token.Task(), "resume")).State);
        await s.Agent.TaskTokenAsync(token.Task(), "read_file");
    }

    [SuiteFact]
    [Trait("Invariant", "3")]
    public async Task ResumableTask_ForAPerson_IsTakenUpWithinWhatThePersonAllowed()
    {
        var s = await ReadyAsync();
        var flow = new PersonFlow(s);
        var details = s.Details(["list_files", "read_file"], new JsonObject { ["purpose"] = "sort", ["resumable"] = true });
        var delegation = await flow.DelegateAsync("sort", "list_files", "read_file");
        var work = await s.Agent.TakeOverAsync(delegation.AccessToken, details);
        var guard = await TestGuard.OfAsync(s);
        // By an instance that does not hold it: not told apart from none.
        var holder = s.Agent.Key;
        await s.Agent.RenewKeyAsync();
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: Of(s, work.Task())))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        s.Agent.Key = holder;
        await s.Agent.AttestAsync();
        await EndAsync(s, "ended");
        Assert.False(await guard.IsActiveAsync(work.AccessToken));
        await s.Agent.RenewKeyAsync();
        await MoveAsync(s.Agent, work.Task(), "resume");

        var taken = await s.Agent.TaskTokenAsync(work.Task(), "read_file");

        var (before, claims) = (Answers.Claims(work.AccessToken), Answers.Claims(taken.AccessToken));
        foreach (var claim in new[] { "sub", "sub_profile", "auth_time", "acr" })
            Assert.Equal(before.GetProperty(claim).ToString(), claims.GetProperty(claim).ToString());
        Assert.Equal((s.Agent.Id, s.Agent.Instance), (claims.GetProperty("act").GetProperty("sub").GetString(), claims.GetProperty("agent_ctx").GetProperty("instance").GetString()));
        Assert.True(await guard.IsActiveAsync(taken.AccessToken));
        Assert.NotNull(taken.RefreshToken);
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: s.Details(["delete_file"], new JsonObject { ["id"] = work.Task() }))))
            .RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        // The consent is under it still.
        await Server.ApplyAsync($$"""{"users":[{"id":"{{s.User}}","name":"Ann","enabled":false}]}""");
        Assert.False(await guard.IsActiveAsync(taken.AccessToken));
    }

    [SuiteFact]
    public async Task ResumableTask_ResumedByManyInstancesAtOnce_IsOnes()
    {
        var s = await ReadyAsync();
        var token = await TokenAsync(s, resumable: true);
        await EndAsync(s, "ended");
        var copies = await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
        {
            var (key, form) = (SigningKey.Create(), s.Agent.AssertionForm());
            var answer = await s.Agent.PostFormAsync(Names.Paths.Instances, form, s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, key: key));
            return (Key: key, Token: await answer.ReadAsync(ProtocolJson.Default.InstanceResponse));
        }));
        var path = $"/tasks/{token.Task()}/resume";
        await Task.WhenAll(copies.Select(c => s.Agent.CallAsync(HttpMethod.Post, path, token: c.Token.AccessToken, proof: s.Agent.Proof(HttpMethod.Post, path, c.Token.AccessToken, c.Key))));
        Assert.Single(await Server.EventsAsync($"task = '{token.Task()}' and type = 'task.resumed'"));
        Assert.Contains((await Server.TextsAsync($"select instance_id from tasks where id = '{token.Task()}'"))[0], copies.Select(c => c.Token.Instance));
    }

    [SuiteFact]
    public async Task Instance_EndedTwice_HasOneEndAndLeavesWhatWasResumedAlone()
    {
        var s = await ReadyAsync();
        var token = await TokenAsync(s, resumable: true);
        var first = s.Agent.Instance!;
        await EndAsync(s, "ended");
        await s.Agent.RenewKeyAsync();
        await MoveAsync(s.Agent, token.Task(), "resume");
        await Server.Services.GetRequiredService<ICommitLog>().Commit(new EndInstance(first, "again", new Initiator(null, null, null, Rank.Administrator), [], Server.Time.GetUtcNow(), "test"));
        Assert.Single(await Server.EventsAsync($"type = '{AuditTypes.InstanceEnded}'"), e => e.Instance == first);
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from revocations where kind = 'instance' and subject = '{first}'"));
        Assert.Equal(["active"], await StatesAsync(token));
        // An instance that has ended resumes nothing; and one that was renewed in time does not expire.
        await MoveAsync(s.Agent, token.Task(), "suspend");
        var gone = new Initiator(s.Agent.Id, first, s.Agent.ClientId, Rank.Agent);
        Assert.Equal(Names.Reasons.InstanceEnded, (await CommitAsync(new SuspendOrResumeTask(token.Task(), suspend: false, null, gone, null, Server.Time.GetUtcNow(), "test"))).Reason);
        Assert.False(await Server.Services.GetRequiredService<ICommitLog>().Commit(new ExpireInstance(s.Agent.Instance!, Server.Time.GetUtcNow(), "test")));
        Assert.Equal("active", (await MoveAsync(s.Agent, token.Task(), "resume")).State);
    }

    [SuiteFact]
    public async Task Resumable_WhereItWouldMeanNothing_IsRefused()
    {
        foreach (var where in new[] { "handoff", "authorize", "client_credentials", "running", "text" })
            await RefusedAsync(where);
    }

    private async Task RefusedAsync(string where)
    {
        var s = await Server.ScenarioAsync(o => (o.FurtherAgents, o.Agent["client_credentials"]) = (1, true));
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var details = s.Details(["read_file"], new JsonObject { ["purpose"] = "p", ["resumable"] = true });
        if (where == "authorize")
        {
            Assert.Equal(Names.Errors.InvalidAuthorizationDetails, (await Server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(s.Agent, details))).Error);
            return;
        }
        var form = s.Agent.ExchangeForm(details: details);
        if (where == "client_credentials")
        {
            form.Remove("subject_token");
            form.Remove("subject_token_type");
            form["grant_type"] = "client_credentials";
        }
        if (where == "running")
            form["authorization_details"] = s.Details(["read_file"], new JsonObject { ["id"] = (await TokenAsync(s)).Task(), ["resumable"] = true }).ToJsonString();
        if (where == "text")
            form["authorization_details"] = s.Details(["read_file"], new JsonObject { ["purpose"] = "p", ["resumable"] = "yes" }).ToJsonString();
        var refused = where == "handoff" ? await s.Agents[1].TakeOverRawAsync((await TokenAsync(s)).AccessToken, details) : await s.Agent.ExchangeRawAsync(form);
        await refused.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
    }

    [SuiteFact]
    public async Task Instance_RenewedInTime_KeepsItsTasksAndItsExpiredKeyMayComeBack()
    {
        var s = await ReadyAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        Server.Time.Advance(TimeSpan.FromMinutes(50));
        await s.Agent.AttestAsync();
        Server.Time.Advance(TimeSpan.FromMinutes(5));
        await Server.NowAsync();
        await s.Agent.TaskTokenAsync(task, "read_file");
        var first = s.Agent.Instance;
        Server.Time.Advance(Limits.Instance);
        await Server.NowAsync();
        await s.Agent.AttestAsync();
        Assert.NotEqual(first, s.Agent.Instance);
    }

    private async Task EndAsync(Scenario s, string how)
    {
        switch (how)
        {
            case "ended":
                Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);
                break;
            case "revoked":
                await (await TestAdministrator.OfAsync(Server)).RevokeAsync("instance", s.Agent.Instance);
                break;
            default:
                // The others are renewed: theirs is not over.
                Server.Time.Advance(Limits.Instance - TimeSpan.FromMinutes(1));
                foreach (var other in s.Agents.Skip(1))
                    await other.AttestAsync();
                Server.Time.Advance(TimeSpan.FromSeconds(62));
                await Server.NowAsync();
                break;
        }
    }

    private async Task<Scenario> ReadyAsync(int further = 0)
    {
        var s = await Server.ScenarioAsync(o => o.FurtherAgents = further);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        return s;
    }

    /// <summary>A token of a new task of the first agent that lasts longer than an instance.</summary>
    private async Task<TokenResponse> TokenAsync(Scenario s, bool resumable = false, string? parent = null, TestAgent? by = null)
    {
        by ??= s.Agent;
        var view = await (await by.BeginTaskRawAsync(s.Details(["read_file"]), change: b =>
        {
            b["expires_at"] = Server.Time.GetUtcNow().AddHours(parent is null ? 5 : 4).ToString("O");
            b["parent_task"] = parent;
            if (resumable)
                b["resumable"] = true;
        })).ReadAsync(ProtocolJson.Default.TaskView);
        return await by.TaskTokenAsync(view.Id, "read_file");
    }

    private static JsonArray Of(Scenario s, string task) => s.Details(["read_file"], new JsonObject { ["id"] = task });

    private async Task<string[]> StatesAsync(params TokenResponse[] tokens)
    {
        var states = new List<string>();
        foreach (var token in tokens)
            states.Add((await Server.TextsAsync($"select state from tasks where id = '{token.Task()}'"))[0]);
        return [.. states];
    }

    private static async Task<TaskView> MoveAsync(TestAgent agent, string task, string verb) =>
        await (await agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/{verb}")).ReadAsync(ProtocolJson.Default.TaskView);

    private async Task<Transition> CommitAsync(Unit<Transition> unit) => await Server.Services.GetRequiredService<ICommitLog>().Commit(unit);
}

public sealed class InstanceEndOnSqliteTests(TestServer server) : InstanceEndSuite, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class InstanceEndOnPostgresTests(PostgresServer postgres) : InstanceEndSuite, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}
