using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Tasks;

public sealed class TaskTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Create_OwnTask_IsRecordedAsAsked()
    {
        var s = await ReadyAsync();
        var mark = await server.NowAsync();
        var answer = await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), "tidy up");
        var task = await answer.ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal((HttpStatusCode.Created, $"/tasks/{task.Id}"), (answer.StatusCode, answer.Headers.Location?.ToString()));
        Assert.Equal(("active", "tidy up", s.Agent.Id, null, null), (task.State, task.Purpose, task.Agent, task.User, task.ParentTask));
        Assert.Equal(server.Time.GetUtcNow().AddHours(1).ToUnixTimeSeconds(), task.ExpiresAt.ToUnixTimeSeconds());
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.TaskCreated, task.Id, s.Agent.Id, s.Agent.Instance), (e.Type, e.Task, e.Agent, e.Instance));
        var shown = await (await s.Agent.CallAsync(HttpMethod.Get, $"/tasks/{task.Id}")).ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal((task.Id, task.ExpiresAt, task.State), (shown.Id, shown.ExpiresAt, shown.State));
    }

    [Theory]
    [InlineData("""{}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":"p"}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":null,"authorization_details":[]}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":" ","authorization_details":DETAILS}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":"p","authorization_details":null}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"purpose":"p","authorization_details":{}}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"purpose":"p","authorization_details":[]}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"purpose":"p","authorization_details":DETAILS,"expires_at":"2000-01-01T00:00:00Z"}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":"p","authorization_details":DETAILS,"expires_at":"2999-01-01T00:00:00Z"}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":"p","authorization_details":DETAILS,"expires_at":"tomorrow"}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":"p","authorization_details":DETAILS,"parent_task":"tsk_unknown"}""", Names.Errors.InvalidRequest)]
    [InlineData("""{"purpose":"p","purpose":"q","authorization_details":DETAILS}""", Names.Errors.InvalidRequest)]
    [InlineData("""[]""", Names.Errors.InvalidRequest)]
    [InlineData("""null""", Names.Errors.InvalidRequest)]
    public async Task Create_WrongBody_IsRefused(string body, string error)
    {
        var s = await ReadyAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/tasks")
        {
            Content = new StringContent(body.Replace("DETAILS", s.Details(["read_file"]).ToJsonString(), StringComparison.Ordinal), null, "application/json"),
        };
        request.Headers.Authorization = new("DPoP", s.Agent.InstanceToken);
        request.Headers.Add("DPoP", s.Agent.Proof(HttpMethod.Post, "/tasks", s.Agent.InstanceToken));
        await server.RefusedAsync(() => server.Client().SendAsync(request), HttpStatusCode.BadRequest, error, null, AuditTypes.TaskRefused, null);
    }

    [Fact]
    public async Task Create_BeyondTheCeilingOrUnapproved_IsRefused()
    {
        var s = await ReadyAsync();
        s.File["agents"]![0]!["ceiling"] = s.Details(["read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());
        await RefusedAsync(() => s.Agent.BeginTaskRawAsync(s.Details(["list_files"])), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(() => s.Agent.BeginTaskRawAsync(s.Details(["unknown"])), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task CreateChild_NarrowerAndShorterThanItsParent_OrRefused()
    {
        var s = await ReadyAsync(1);
        var parent = await (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: b => b["expires_at"] = server.Time.GetUtcNow().AddMinutes(10).ToString("O")))
            .ReadAsync(ProtocolJson.Default.TaskView);
        void Below(JsonObject body) => body["parent_task"] = parent.Id;
        var child = await (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: Below)).ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal((parent.Id, parent.ExpiresAt), (child.ParentTask, child.ExpiresAt));
        await RefusedAsync(() => s.Agent.BeginTaskRawAsync(s.Details(["list_files"]), change: Below), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        await RefusedAsync(() => s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: b =>
        {
            Below(b);
            b["expires_at"] = parent.ExpiresAt.AddSeconds(1).ToString("O");
        }), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        // Another's task is no parent; it is not told apart from none.
        await RefusedAsync(() => s.Agents[1].BeginTaskRawAsync(s.Details(["read_file"]), change: Below), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        // Nor is one that was suspended or ended.
        await MoveAsync(s.Agent, parent.Id, "suspend");
        await RefusedAsync(() => s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: Below), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
        await MoveAsync(s.Agent, parent.Id, "fail");
        await RefusedAsync(() => s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: Below), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
    }

    [Fact]
    public async Task CreateChild_OfAnEverDeeperTask_IsRefusedBeforeTokensGrowTooLong()
    {
        var s = await ReadyAsync();
        string? parent = null;
        for (var depth = 0; depth < 40; depth++)
        {
            var answer = await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: b => b["parent_task"] = parent);
            if (answer.StatusCode == HttpStatusCode.BadRequest)
            {
                await answer.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.Depth);
                Assert.True(depth > 4);
                var token = await s.Agent.TaskTokenAsync(parent!, "read_file");
                Assert.Equal(depth - 1, token.Lineage().Length);
                await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(token.AccessToken))).ReadAsync(ProtocolJson.Default.TokenResponse);
                return;
            }
            parent = (await answer.ReadAsync(ProtocolJson.Default.TaskView)).Id;
        }
        Assert.Fail("tasks nest without end");
    }

    [Fact]
    public async Task Move_EveryVerb_HasItsStateEventAndFeedEntry()
    {
        var s = await ReadyAsync();
        foreach (var (verbs, state, type) in new[]
        {
            (new[] { "suspend" }, "suspended", AuditTypes.TaskSuspended), (["suspend", "resume"], "active", AuditTypes.TaskResumed), (["complete"], "completed", AuditTypes.TaskCompleted),
            (["fail"], "failed", AuditTypes.TaskFailed), (["suspend", "complete"], "completed", AuditTypes.TaskCompleted),
        })
        {
            var task = await s.Agent.BeginTaskAsync("read_file");
            foreach (var verb in verbs[..^1])
                await MoveAsync(s.Agent, task, verb);
            var mark = await server.NowAsync();
            var view = await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/{verbs[^1]}", new JsonObject { ["reason"] = "because" })).ReadAsync(ProtocolJson.Default.TaskView);
            Assert.Equal(state, view.State);
            var e = Assert.Single(await server.SinceAsync(mark));
            Assert.Equal((type, "success", "because", task, s.Agent.Id), (e.Type, e.Outcome, e.Reason, e.Task, e.Agent));
            Assert.Equal(verbs.Length, await server.ScalarAsync($"select count(*) from revocations where kind = 'task' and subject = '{task}'"));
            Assert.Equal(state is "completed" or "failed", view.EndedAt is not null);
        }
    }

    [Theory]
    [InlineData("complete")]
    [InlineData("fail")]
    [InlineData("suspend")]
    [InlineData("resume")]
    public async Task Move_AfterTheEnd_Is409(string verb)
    {
        var s = await ReadyAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        await MoveAsync(s.Agent, task, "complete");
        var e = await RefusedAsync(
            () => s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/{verb}"), HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
        Assert.Equal((task, Names.Reasons.TaskEnded), (e.Task, e.Reason));
        Assert.Equal("completed", (await (await s.Agent.CallAsync(HttpMethod.Get, $"/tasks/{task}")).ReadAsync(ProtocolJson.Default.TaskView)).State);
    }

    [Theory]
    [InlineData("""{"reason":1}""")]
    [InlineData("""[]""")]
    [InlineData("""{"reason":"a","reason":"b"}""")]
    [InlineData("LONG")]
    public async Task Move_WrongBody_IsRefusedAndRecorded(string body)
    {
        var s = await ReadyAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        var json = body == "LONG" ? new JsonObject { ["reason"] = new string('x', 501) }.ToJsonString() : body;
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/tasks/{task}/complete") { Content = new StringContent(json, null, "application/json") };
        request.Headers.Authorization = new("DPoP", s.Agent.InstanceToken);
        request.Headers.Add("DPoP", s.Agent.Proof(HttpMethod.Post, $"/tasks/{task}/complete", s.Agent.InstanceToken));
        await RefusedAsync(() => server.Client().SendAsync(request), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    [Fact]
    [Trait("Attack", "152")]
    public async Task AnyCall_ForAnothersTask_Is404AndLikeNone()
    {
        var (s, other) = (await ReadyAsync(), await ReadyAsync());
        var task = await s.Agent.BeginTaskAsync("read_file");
        foreach (var (method, suffix) in new[]
        {
            (HttpMethod.Get, ""), (HttpMethod.Get, "/story"), (HttpMethod.Post, "/complete"), (HttpMethod.Post, "/fail"), (HttpMethod.Post, "/suspend"),
            (HttpMethod.Post, "/resume"), (HttpMethod.Post, "/revoke"),
        })
        {
            var texts = new List<string>();
            foreach (var id in new[] { task, "tsk_unknown" })
            {
                var e = await RefusedAsync(async () =>
                {
                    var answer = await other.Agent.CallAsync(method, $"/tasks/{id}{suffix}");
                    texts.Add(await answer.Content.ReadAsStringAsync());
                    return answer;
                }, HttpStatusCode.NotFound, "not_found");
                Assert.Null(e.Task);
            }
            Assert.Equal(texts[0], texts[1]);
        }
    }

    [Fact]
    public async Task Revoke_ByTheAgentAbove_EndsTheHandedOffTask_AndByNobodyElse()
    {
        var s = await ReadyAsync(2);
        var first = await StartAsync(s);
        var second = await s.Agents[1].TakeOverAsync(first.AccessToken);
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);

        // Its own task an agent does not revoke, and from below nothing is seen.
        await RefusedAsync(
            () => s.Agents[1].CallAsync(HttpMethod.Post, $"/tasks/{second.Task()}/revoke"), HttpStatusCode.Forbidden, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);
        await RefusedAsync(() => s.Agents[2].CallAsync(HttpMethod.Post, $"/tasks/{second.Task()}/revoke"), HttpStatusCode.NotFound, "not_found");
        // From above one may revoke, not complete.
        await RefusedAsync(
            () => s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{second.Task()}/complete"), HttpStatusCode.Forbidden, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);
        var mark = await server.NowAsync();
        await MoveAsync(s.Agent, second.Task(), "revoke");

        var events = await server.SinceAsync(mark);
        Assert.Equal([(second.Task(), null), (third.Task(), "parent_ended")], events.Select(e => (e.Task!, e.Reason)));
        Assert.All(events, e => Assert.Equal(AuditTypes.TaskRevoked, e.Type));
        Assert.Equal(events[0].Id, events[1].Cause);
        var guard = await TestGuard.OfAsync(s);
        Assert.True(await guard.IsActiveAsync(first.AccessToken));
        Assert.False(await guard.IsActiveAsync(second.AccessToken));
        Assert.False(await guard.IsActiveAsync(third.AccessToken));
    }

    [Theory]
    [InlineData((int)Rank.User)]
    [InlineData((int)Rank.Administrator)]
    public async Task Resume_WhatAHigherRankSuspended_IsRefused(int rank)
    {
        var s = await ReadyAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        var log = server.Services.GetRequiredService<ICommitLog>();
        var person = new Initiator(null, null, null, (Rank)rank);
        Assert.True((await log.Commit(new SuspendOrResumeTask(task, suspend: true, "stop", person, null, server.Time.GetUtcNow(), "test"))).Applied);
        await RefusedAsync(
            () => s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/resume"), HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);
        // Nor does suspending it again, with the lower rank, make it the agent's to resume.
        await RefusedAsync(
            () => s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/suspend"), HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);
        Assert.Equal(rank, await server.ScalarAsync($"select suspended_by from tasks where id = '{task}' and state = 'suspended'"));
        Assert.True((await log.Commit(new SuspendOrResumeTask(task, suspend: false, null, person, null, server.Time.GetUtcNow(), "test"))).Applied);
        await s.Agent.TaskTokenAsync(task, "read_file");
    }

    [Fact]
    public async Task Deadline_WhenItPasses_ExpiresTheTaskAndAllBelow()
    {
        var s = await ReadyAsync(1);
        var task = (await (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]), change: b => b["expires_at"] = server.Time.GetUtcNow().AddMinutes(2).ToString("O")))
            .ReadAsync(ProtocolJson.Default.TaskView)).Id;
        var token = await s.Agent.TaskTokenAsync(task, "read_file");
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        var mark = await server.NowAsync();
        server.Time.Advance(TimeSpan.FromMinutes(2));
        // The sweep runs by the clock; whatever it does not get to at once it does at its next tick.
        for (var i = 0; i < 100 && await server.ScalarAsync($"select count(*) from tasks where id in ('{task}', '{taken.Task()}') and ended_at is null") > 0; i++)
        {
            server.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(20);
        }
        var events = (await server.SinceAsync(mark)).Where(e => e.Task == task || e.Task == taken.Task()).ToList();
        Assert.Equal(2, events.Count);
        Assert.Equal((AuditTypes.TaskExpired, "deadline"), events.Where(e => e.Task == task).Select(e => (e.Type, e.Reason)).Single());
        Assert.Equal(2, await server.ScalarAsync($"select count(*) from revocations where kind = 'task' and subject in ('{task}', '{taken.Task()}')"));
        var view = await (await s.Agent.CallAsync(HttpMethod.Get, $"/tasks/{task}")).ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal(("expired", 0), (view.State, view.ResidualAccessMs));
    }

    [Fact]
    public async Task End_WithLiveTokens_RecordsTheResidualAccess()
    {
        var s = await ReadyAsync(1);
        var first = await StartAsync(s);
        server.Time.Advance(TimeSpan.FromSeconds(100));
        var taken = await s.Agents[1].TakeOverAsync(first.AccessToken);
        server.Time.Advance(TimeSpan.FromSeconds(50));
        var mark = await server.NowAsync();
        var view = await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{first.Task()}/complete")).ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal(150_000, view.ResidualAccessMs);
        var events = (await server.SinceAsync(mark)).ToDictionary(e => e.Task!, e => (long)e.Data!["residual_access_ms"]!);
        Assert.Equal((150_000, 250_000), (events[first.Task()], events[taken.Task()]));
    }

    [Fact]
    public async Task Story_OfATaskWithAHandOff_TellsAllOfItInOrder()
    {
        var s = await ReadyAsync(1);
        var first = await StartAsync(s);
        var taken = await s.Agents[1].TakeOverAsync(first.AccessToken, s.Details(["read_file"], new JsonObject { ["purpose"] = "read" }));
        await (await s.Agents[1].ExchangeRawAsync(s.Agents[1].ExchangeForm(taken.AccessToken))).ReadAsync(ProtocolJson.Default.TokenResponse);
        var guard = await TestGuard.OfAsync(s);
        await guard.DeliverAsync(guard.Spool(guard.Event(taken.Jti())), guard.Spool(guard.Event(taken.Jti(), AuditTypes.CallFinished)));
        await MoveAsync(s.Agents[1], taken.Task(), "complete");
        await MoveAsync(s.Agent, first.Task(), "complete");

        var story = await (await s.Agent.CallAsync(HttpMethod.Get, $"/tasks/{first.Task()}/story")).ReadAsync(ProtocolJson.Default.TaskStory);
        var (up, down) = (first.Task(), taken.Task());
        Assert.Equal(
            [
                (AuditTypes.TaskCreated, up), (AuditTypes.TokenIssued, up), (AuditTypes.TaskCreated, down), (AuditTypes.TokenIssued, down), (AuditTypes.TokenIssued, down),
                (AuditTypes.CallDecided, down), (AuditTypes.CallFinished, down), (AuditTypes.TaskCompleted, down), (AuditTypes.TaskCompleted, up),
            ],
            story.Events.Select(e => (e.Type, e.Task!)));
        Assert.True(story.Events.Zip(story.Events.Skip(1)).All(p => p.First.Seq < p.Second.Seq));
        Assert.Equal(first.Jti(), story.Events[3].Cause);
        Assert.Equal(up, story.Events[2].ParentTask);

        // Whoever stands above sees what is below; from below only one's own.
        Assert.Equal(6, (await (await s.Agents[1].CallAsync(HttpMethod.Get, $"/tasks/{down}/story")).ReadAsync(ProtocolJson.Default.TaskStory)).Events.Count);
        Assert.Equal(6, (await (await s.Agent.CallAsync(HttpMethod.Get, $"/tasks/{down}/story")).ReadAsync(ProtocolJson.Default.TaskStory)).Events.Count);
        await RefusedAsync(() => s.Agents[1].CallAsync(HttpMethod.Get, $"/tasks/{up}/story"), HttpStatusCode.NotFound, "not_found");
    }

    private async Task<Scenario> ReadyAsync(int further = 0)
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = further);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        return s;
    }

    private static async Task<TokenResponse> StartAsync(Scenario s) =>
        await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("list_files", "read_file"), "list_files", "read_file");

    private static async Task MoveAsync(TestAgent agent, string task, string verb) =>
        await (await agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/{verb}")).ReadAsync(ProtocolJson.Default.TaskView);

    private Task<AuditEvent> RefusedAsync(Func<Task<HttpResponseMessage>> act, HttpStatusCode status, string error, string? reason = null) =>
        server.RefusedAsync(act, status, error, reason, AuditTypes.TaskRefused, reason);
}
