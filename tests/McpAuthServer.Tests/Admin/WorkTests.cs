using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Admin;

/// <summary>Instances and tasks, as an administrator sees and stops them.</summary>
public sealed class WorkTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly JsonObject Why = new() { ["reason"] = "an incident" };

    [Fact]
    public async Task Instances_AreListedByAgentAndState_AndEndWithAllThatWasIssuedToThem()
    {
        var (s, ops) = (await ReadyAsync(), await TestAdministrator.OfAsync(server));
        var token = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
        var guard = await TestGuard.OfAsync(s);
        var shown = Assert.Single((await ops.GetAsync($"/instances?agent={s.Agent.Id}&state=active"))["items"]!.AsArray())!;
        Assert.Equal((s.Agent.Instance, s.Agent.Id, "active", s.Agent.ClientId), ((string?)shown["id"], (string?)shown["agent"], (string?)shown["state"], (string?)shown["client"]));
        var mark = await server.NowAsync();

        var response = await ops.SendAsync(HttpMethod.Delete, $"/instances/{s.Agent.Instance}?reason=stolen%20laptop");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("ended", (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["state"]);
        var events = await server.SinceAsync(mark);
        Assert.Equal([AuditTypes.AdminRevoked, AuditTypes.InstanceEnded, AuditTypes.TaskFailed], events.Select(e => e.Type));
        Assert.Equal(("stolen laptop", ops.Id, 1), (events[0].Reason, events[0].Client, (int?)events[0].Data!["grants"]));
        Assert.Equal((events[0].Id, s.Agent.Id, s.Agent.Instance), (events[1].Cause, events[1].Agent, events[1].Instance));
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        await (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]))).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.InstanceEnded);
        Assert.Empty((await ops.GetAsync($"/instances?agent={s.Agent.Id}&state=active"))["items"]!.AsArray());
        Assert.Single((await ops.GetAsync($"/instances?agent={s.Agent.Id}&state=ended"))["items"]!.AsArray());
        // Again it finds nothing to end.
        Assert.Equal(HttpStatusCode.OK, (await ops.SendAsync(HttpMethod.Delete, $"/instances/{s.Agent.Instance}?reason=again")).StatusCode);
    }

    [Fact]
    public async Task Instances_PastTheirTime_AreExpired()
    {
        var s = await ReadyAsync();
        server.Time.Advance(Limits.Instance);
        var ops = await TestAdministrator.OfAsync(server);
        foreach (var (state, count) in new[] { ("active", 0), ("expired", 1), ("ended", 0) })
            Assert.Equal(count, (await ops.GetAsync($"/instances?agent={s.Agent.Id}&state={state}"))["items"]!.AsArray().Count);
        Assert.Equal("expired", (string?)(await ops.GetAsync($"/instances?agent={s.Agent.Id}"))["items"]![0]!["state"]);
    }

    [Fact]
    public async Task Instance_WithoutAReasonOrUnknown_DoesNotEnd()
    {
        var (s, ops) = (await ReadyAsync(), await TestAdministrator.OfAsync(server));
        foreach (var query in new[] { "", "?reason=", "?reason=%0A", "?why=x", "?reason=" + new string('x', 501) })
            await (await ops.SendAsync(HttpMethod.Delete, $"/instances/{s.Agent.Instance}{query}")).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        await (await ops.SendAsync(HttpMethod.Delete, "/instances/ins_none?reason=x")).ProblemAsync(HttpStatusCode.NotFound, "not_found");
        await (await ops.SendAsync(HttpMethod.Get, "/instances?state=gone")).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        Assert.Single((await ops.GetAsync($"/instances?agent={s.Agent.Id}&state=active"))["items"]!.AsArray());
    }

    [Fact]
    public async Task Tasks_AreListedByAgentUserAndState_AndTellTheirStory()
    {
        var (s, ops) = (await ReadyAsync(), await TestAdministrator.OfAsync(server));
        var first = await s.Agent.BeginTaskAsync("read_file");
        server.Time.Advance(TimeSpan.FromMilliseconds(10));
        var second = await s.Agent.BeginTaskAsync("list_files");
        var token = await s.Agent.TaskTokenAsync(first, "read_file");
        await new PersonFlow(s).TokenAsync();

        Assert.Equal([second, first], Ids(await ops.GetAsync($"/tasks?agent={s.Agent.Id}")));
        Assert.Equal([second], Ids(await ops.GetAsync($"/tasks?agent={s.Agent.Id}&limit=1")));
        Assert.Equal([first], Ids(await ops.GetAsync($"/tasks?agent={s.Agent.Id}&after={(await ops.GetAsync($"/tasks?agent={s.Agent.Id}&limit=1"))["next"]}")));
        Assert.Equal(s.User, (string?)Assert.Single((await ops.GetAsync($"/tasks?user={s.User}&state=active"))["items"]!.AsArray())!["user"]);
        Assert.Empty(Ids(await ops.GetAsync($"/tasks?agent={s.Agent.Id}&state=suspended")));

        var story = await ops.GetAsync($"/tasks/{first}");
        Assert.Equal(first, (string?)story["task"]!["id"]);
        Assert.Equal([AuditTypes.TaskCreated, AuditTypes.TokenIssued], story["events"]!.AsArray().Select(e => (string)e!["type"]!));
        Assert.Equal(token.Jti(), (string?)story["events"]![1]!["jti"]);
    }

    [Fact]
    [Trait("Invariant", "12")]
    public async Task Task_SuspendedHere_IsResumedByNoAgentButHere()
    {
        var (s, ops) = (await ReadyAsync(), await TestAdministrator.OfAsync(server));
        var task = await s.Agent.BeginTaskAsync("read_file");
        var token = await s.Agent.TaskTokenAsync(task, "read_file");
        var guard = await TestGuard.OfAsync(s);
        var mark = await server.NowAsync();

        Assert.Equal("suspended", (string?)(await ops.PostAsync($"/tasks/{task}/suspend", Why))["state"]);

        var suspended = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.TaskSuspended, "an incident", ops.Id), (suspended.Type, suspended.Reason, (string?)suspended.Data!["by"]));
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        await (await s.Agent.CallAsync(HttpMethod.Post, $"{Names.Paths.Tasks}/{task}/resume"))
            .RefusedAsync(HttpStatusCode.Conflict, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);
        Assert.Equal("active", (string?)(await ops.PostAsync($"/tasks/{task}/resume", Why))["state"]);
        Assert.True(await guard.IsActiveAsync(token.AccessToken));
    }

    [Fact]
    public async Task Task_RevokedHere_EndsAndCannotBeMovedAgain()
    {
        var (s, ops) = (await ReadyAsync(), await TestAdministrator.OfAsync(server));
        var task = await s.Agent.BeginTaskAsync("read_file");
        var token = await s.Agent.TaskTokenAsync(task, "read_file");
        Assert.Equal("revoked", (string?)(await ops.PostAsync($"/tasks/{task}/revoke", Why))["state"]);
        Assert.False(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
        foreach (var verb in new[] { "suspend", "resume", "revoke" })
        {
            var mark = await server.NowAsync();
            await (await ops.SendAsync(HttpMethod.Post, $"/tasks/{task}/{verb}", Why)).ProblemAsync(HttpStatusCode.Conflict, "conflict", Names.Reasons.TaskEnded);
            Assert.All(await server.SinceAsync(mark), e => Assert.Equal("refused", e.Outcome));
        }
    }

    [Fact]
    public async Task Task_UnknownOrWithoutAReason_IsRefused()
    {
        var (s, ops) = (await ReadyAsync(), await TestAdministrator.OfAsync(server));
        var task = await s.Agent.BeginTaskAsync("read_file");
        await (await ops.SendAsync(HttpMethod.Get, "/tasks/tsk_none")).ProblemAsync(HttpStatusCode.NotFound, "not_found");
        foreach (var verb in new[] { "suspend", "resume", "revoke" })
        {
            await (await ops.SendAsync(HttpMethod.Post, $"/tasks/tsk_none/{verb}", Why)).ProblemAsync(HttpStatusCode.NotFound, "not_found");
            await (await ops.SendAsync(HttpMethod.Post, $"/tasks/{task}/{verb}", new JsonObject())).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        }
        await (await ops.SendAsync(HttpMethod.Get, "/tasks?state=gone")).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        Assert.Equal("active", (string?)(await ops.GetAsync($"/tasks/{task}"))["task"]!["state"]);
    }

    private async Task<Scenario> ReadyAsync()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return s;
    }

    private static IEnumerable<string> Ids(JsonObject page) => page["items"]!.AsArray().Select(item => (string)item!["id"]!);
}
