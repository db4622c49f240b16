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

/// <summary>A resumable task is of one instance of its agent at a time, also while several live.</summary>
public abstract class HeldTaskSuite
{
    private protected abstract TestServer Server { get; }

    [SuiteFact]
    [Trait("Invariant", "3")]
    public async Task TaskThatItsHolderLeft_IsTheNextInstancesWhileTheHolderLives()
    {
        var s = await ReadyAsync(1);
        var (first, token) = (s.Agent.Key, await TokenAsync(s));
        var (holder, handed) = (s.Agent.Instance, await s.Agents[1].TakeOverAsync(token.AccessToken));
        await MoveAsync(s, token.Task(), "suspend");

        await s.Agent.RenewKeyAsync();
        var view = await MoveAsync(s, token.Task(), "resume");

        Assert.Equal(("active", s.Agent.Instance), (view.State, await HolderAsync(token.Task())));
        var taken = await s.Agent.TaskTokenAsync(token.Task(), "read_file");
        // What the one before had, or handed on, is as dead as if it had ended.
        var guard = await TestGuard.OfAsync(s);
        Assert.Equal((true, false, false), (await guard.IsActiveAsync(taken.AccessToken), await guard.IsActiveAsync(token.AccessToken), await guard.IsActiveAsync(handed.AccessToken)));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from revocations where kind = 'grant' and op = 'deny' and subject = '{token.Grant()}'"));
        var ended = Assert.Single(await Server.EventsAsync($"task = '{handed.Task()}' and type = '{AuditTypes.TaskRevoked}'"));
        var resumed = Assert.Single(await Server.EventsAsync($"task = '{token.Task()}' and type = '{AuditTypes.TaskResumed}'"));
        Assert.Equal((Names.Reasons.HeldByAnother, resumed.Id, holder), (ended.Reason, ended.Cause, (string?)resumed.Data!["from"]));
        var second = s.Agent.Key;
        await ActAsync(s, first);
        await (await s.Agent.PostFormAsync(Names.Paths.Token, RefreshForm(s, token))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);

        // The end of the one before is none of it any more; the end of the next one is.
        await EndAsync(s);
        Assert.Equal("active", await StateAsync(token.Task()));
        Assert.True(await guard.IsActiveAsync(taken.AccessToken));
        await ActAsync(s, second);
        await EndAsync(s);
        Assert.Equal("suspended", await StateAsync(token.Task()));
    }

    [SuiteFact]
    [Trait("Invariant", "3")]
    public async Task TaskForAPerson_ThatItsHolderLeft_OpensForTheNextInstanceAlone()
    {
        var s = await ReadyAsync();
        var delegation = await new PersonFlow(s).DelegateAsync("sort", "list_files", "read_file");
        var work = await s.Agent.TakeOverAsync(delegation.AccessToken, s.Details(["list_files", "read_file"], new JsonObject { ["purpose"] = "sort", ["resumable"] = true }));
        var (first, again) = (s.Agent.Key, s.Details(["read_file"], new JsonObject { ["id"] = work.Task() }));
        await MoveAsync(s, work.Task(), "suspend");

        await s.Agent.RenewKeyAsync();
        await MoveAsync(s, work.Task(), "resume");

        var taken = await s.Agent.TaskTokenAsync(work.Task(), "read_file");
        var claims = Answers.Claims(taken.AccessToken);
        Assert.Equal((s.User, s.Agent.Instance), (claims.GetProperty("sub").GetString(), claims.GetProperty("agent_ctx").GetProperty("instance").GetString()));
        Assert.NotNull(taken.RefreshToken);
        var guard = await TestGuard.OfAsync(s);
        Assert.Equal((true, false), (await guard.IsActiveAsync(taken.AccessToken), await guard.IsActiveAsync(work.AccessToken)));
        // The one before has its key, and all that it once got: nothing comes of it.
        await ActAsync(s, first);
        await (await s.Agent.PostFormAsync(Names.Paths.Token, RefreshForm(s, work))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(work.AccessToken))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.Revoked);
        await (await s.Agent.TakeOverRawAsync(delegation.AccessToken, again)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.HeldByAnother);
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: again))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
    }

    [SuiteFact]
    [Trait("Invariant", "3")]
    public async Task TaskThatAnotherInstanceHolds_GivesNeitherTokenNorChild()
    {
        var s = await ReadyAsync();
        var (first, token) = (s.Agent.Key, await TokenAsync(s));
        await s.Agent.RenewKeyAsync();
        var second = s.Agent.Key;
        await RefusedAsync();
        await ActAsync(s, first);
        await s.Agent.TaskTokenAsync(token.Task(), "read_file");
        Assert.Equal(HttpStatusCode.Created, (await ChildAsync()).StatusCode);
        await MoveAsync(s, token.Task(), "suspend");

        await ActAsync(s, second);
        await MoveAsync(s, token.Task(), "resume");
        await s.Agent.TaskTokenAsync(token.Task(), "read_file");
        Assert.Equal(HttpStatusCode.Created, (await ChildAsync()).StatusCode);
        // Who left it knows its id.
        await ActAsync(s, first);
        await RefusedAsync();
        // So does the agent where it has no instance.
        var without = s.Agent.AssertionForm();
        (without["grant_type"], without["resource"]) = ("client_credentials", s.Resource);
        without["authorization_details"] = s.Details(["read_file"], new JsonObject { ["id"] = token.Task() }).ToJsonString();
        await (await s.Agent.ExchangeRawAsync(without, null)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.HeldByAnother);

        async Task RefusedAsync()
        {
            var form = s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["id"] = token.Task() }));
            await (await s.Agent.ExchangeRawAsync(form)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.HeldByAnother);
            var refused = (await Server.EventsAsync($"task = '{token.Task()}'"))[^1];
            Assert.Equal((AuditTypes.TokenRefused, Names.Reasons.HeldByAnother, s.Agent.Instance), (refused.Type, refused.Reason, refused.Instance));
            await (await ChildAsync()).RefusedAsync(HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.HeldByAnother);
            Assert.NotEmpty(await Server.EventsAsync($"type = '{AuditTypes.TaskRefused}' and body like '%{Names.Reasons.HeldByAnother}%' and body like '%{s.Agent.Instance}%'"));
        }

        Task<HttpResponseMessage> ChildAsync() => s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: b => b["parent_task"] = token.Task());
    }

    [SuiteFact]
    public async Task TaskThatIsWorkedOn_IsNotMovedByAnotherInstance()
    {
        var s = await ReadyAsync();
        var (first, token) = (s.Agent.Key, await TokenAsync(s));
        var holder = s.Agent.Instance;
        await s.Agent.RenewKeyAsync();
        foreach (var verb in new[] { "resume", "suspend", "complete", "fail" })
        {
            await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{token.Task()}/{verb}")).RefusedAsync(HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.HeldByAnother);
            var refused = (await Server.EventsAsync($"task = '{token.Task()}'"))[^1];
            Assert.Equal((AuditTypes.TaskRefused, "refused", Names.Reasons.HeldByAnother, s.Agent.Instance), (refused.Type, refused.Outcome, refused.Reason, refused.Instance));
        }
        Assert.Equal(("active", holder), (await StateAsync(token.Task()), await HolderAsync(token.Task())));
        await s.Agent.RenewKeyAsync();
        var other = s.Agent.Key;

        await ActAsync(s, first);
        Assert.Equal("active", (await MoveAsync(s, token.Task(), "resume")).State);
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
        await MoveAsync(s, token.Task(), "suspend");
        // Also of one that its holder has left: who wants to end it takes it up.
        await ActAsync(s, other);
        foreach (var verb in new[] { "suspend", "complete", "fail" })
            await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{token.Task()}/{verb}")).RefusedAsync(HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.HeldByAnother);
        await MoveAsync(s, token.Task(), "resume");
        Assert.Equal("completed", (await MoveAsync(s, token.Task(), "complete")).State);
    }

    [SuiteFact]
    public async Task TaskBelowOneOfTheAgents_IsRevokedByWhicheverInstance()
    {
        var s = await ReadyAsync();
        var parent = await s.Agent.BeginTaskAsync("read_file");
        var child = await TokenAsync(s, parent);
        await s.Agent.RenewKeyAsync();
        Assert.Equal("revoked", (await MoveAsync(s, child.Task(), "revoke")).State);
    }

    [SuiteFact]
    public async Task TaskWhoseHolderIsGone_IsMovedByWhicheverInstance()
    {
        foreach (var (verb, state) in new[] { ("suspend", "suspended"), ("complete", "completed"), ("fail", "failed") })
        {
            var s = await ReadyAsync();
            var token = await TokenAsync(s);
            await PassAsync(s);
            Assert.Equal(state, (await MoveAsync(s, token.Task(), verb)).State);
        }
    }

    [SuiteFact]
    [Trait("Invariant", "3")]
    public async Task TaskWhoseHolderIsGoneAndNotToldOf_GoesToWhoResumesIt()
    {
        var s = await ReadyAsync();
        var (holder, token) = (s.Agent.Instance, await TokenAsync(s));
        await PassAsync(s);

        Assert.Equal("active", (await MoveAsync(s, token.Task(), "resume")).State);

        Assert.Equal(s.Agent.Instance, await HolderAsync(token.Task()));
        Assert.Single(await Server.EventsAsync($"task = '{token.Task()}' and type = '{AuditTypes.TaskResumed}'"));
        await s.Agent.TaskTokenAsync(token.Task(), "read_file");
        // Then it is told of, and stops nobody.
        Assert.True(await Server.Services.GetRequiredService<ICommitLog>().Commit(new ExpireInstance(holder!, Server.Time.GetUtcNow(), "test")));
        Assert.Equal("active", await StateAsync(token.Task()));
    }

    [SuiteFact]
    public async Task TaskThatIsNotResumable_IsMovedByWhicheverInstanceAndStaysItsOwners()
    {
        var s = await ReadyAsync();
        var (holder, task) = (s.Agent.Instance, await s.Agent.BeginTaskAsync("read_file"));
        await s.Agent.RenewKeyAsync();
        foreach (var (verb, state) in new[] { ("resume", "active"), ("suspend", "suspended"), ("resume", "active"), ("suspend", "suspended"), ("complete", "completed") })
            Assert.Equal((state, holder), ((await MoveAsync(s, task, verb)).State, await HolderAsync(task)));
    }

    [SuiteFact]
    public async Task TaskThatItsHolderLeft_ResumedByManyInstancesAtOnce_IsOnes()
    {
        var s = await ReadyAsync();
        var token = await TokenAsync(s);
        await MoveAsync(s, token.Task(), "suspend");
        var copies = await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
        {
            var (key, form) = (SigningKey.Create(), s.Agent.AssertionForm());
            var answer = await s.Agent.PostFormAsync(Names.Paths.Instances, form, s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, key: key));
            return (Key: key, Token: await answer.ReadAsync(ProtocolJson.Default.InstanceResponse));
        }));
        var path = $"/tasks/{token.Task()}/resume";
        var answers = await Task.WhenAll(copies.Select(c =>
            s.Agent.CallAsync(HttpMethod.Post, path, token: c.Token.AccessToken, proof: s.Agent.Proof(HttpMethod.Post, path, c.Token.AccessToken, c.Key))));
        Assert.Equal(1, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        Assert.Equal(5, answers.Count(a => a.StatusCode == HttpStatusCode.Conflict));
        Assert.Equal(await HolderAsync(token.Task()), copies[Array.FindIndex(answers, a => a.StatusCode == HttpStatusCode.OK)].Token.Instance);
    }

    /// <summary>The holder's hour is over, and nobody was told; another instance takes its place.</summary>
    private async Task PassAsync(Scenario s)
    {
        Server.Time.Set(Server.Time.GetUtcNow() + Limits.Instance);
        await s.Agent.RenewKeyAsync();
    }

    private async Task<Scenario> ReadyAsync(int further = 0)
    {
        var s = await Server.ScenarioAsync(o => (o.FurtherAgents, o.Agent["client_credentials"]) = (further, true));
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        return s;
    }

    /// <summary>A token of a new resumable task that lasts longer than an instance.</summary>
    private async Task<TokenResponse> TokenAsync(Scenario s, string? parent = null)
    {
        var view = await (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: b =>
        {
            (b["resumable"], b["parent_task"]) = (true, parent);
            if (parent is null)
                b["expires_at"] = Server.Time.GetUtcNow().AddHours(5).ToString("O");
        })).ReadAsync(ProtocolJson.Default.TaskView);
        return await s.Agent.TaskTokenAsync(view.Id, "read_file");
    }

    /// <summary>Goes on as the instance with this key.</summary>
    private static Task ActAsync(Scenario s, SigningKey key)
    {
        s.Agent.Key = key;
        return s.Agent.AttestAsync();
    }

    private static async Task EndAsync(Scenario s) =>
        Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}")).StatusCode);

    private static Dictionary<string, string> RefreshForm(Scenario s, TokenResponse token)
    {
        var form = s.Agent.AssertionForm();
        (form["grant_type"], form["refresh_token"]) = ("refresh_token", token.RefreshToken!);
        return form;
    }

    private static async Task<TaskView> MoveAsync(Scenario s, string task, string verb) =>
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/{verb}")).ReadAsync(ProtocolJson.Default.TaskView);

    private async Task<string> StateAsync(string task) => (await Server.TextsAsync($"select state from tasks where id = '{task}'"))[0];

    private async Task<string> HolderAsync(string task) => (await Server.TextsAsync($"select instance_id from tasks where id = '{task}'"))[0];
}

public sealed class HeldTaskOnSqliteTests(TestServer server) : HeldTaskSuite, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class HeldTaskOnPostgresTests(PostgresServer postgres) : HeldTaskSuite, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}
