using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

public sealed class AgentTaskTests : IClassFixture<FakeServer>, IAsyncLifetime
{
    private readonly FakeServer server;
    private readonly SigningKey clientKey = SigningKey.Create();
    private AgentSession session = null!;
    private AgentTask task = null!;

    public AgentTaskTests(FakeServer server) => this.server = server;

    public async Task InitializeAsync()
    {
        Prepare(server, clientKey);
        session = await Attest(server, clientKey);
        task = await session.BeginTask("p", Json(Details));
    }

    [Fact]
    [Trait("Spec", "RFC8693-2.1")]
    public async Task GetToken_Exchange_HasTheInstanceTokenAloneAndAllTheTaskHoldsThere()
    {
        AccessToken token = await task.GetToken(Resource);
        Assert.Equal("token-1", token.Value);
        Assert.Equal(server.Clock.GetUtcNow().AddSeconds(300), token.ExpiresAt);
        Received sent = server.To("/token").Single();
        Assert.Equal(
            ["authorization_details", "client_assertion", "client_assertion_type", "grant_type", "resource", "subject_token", "subject_token_type"], sent.Fields);
        Assert.Equal("urn:ietf:params:oauth:grant-type:token-exchange", sent.Field("grant_type"));
        Assert.Equal("instance-1", sent.Field("subject_token"));
        Assert.Equal("urn:ietf:params:oauth:token-type:access_token", sent.Field("subject_token_type"));
        Assert.Equal(Resource, sent.Field("resource"));
        Assert.True(JsonElement.DeepEquals(Json("""
            [{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"task":{"id":"tsk_1"},
              "tools":{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}}]
            """), Json(sent.Field("authorization_details")!)));
        Assert.Equal(session.Key.Public.Thumbprint, sent.Proof!.Thumbprint);
    }

    [Fact]
    public async Task GetToken_LocationTheTaskDoesNotHave_IsLeftToTheServerToRefuse()
    {
        server.Answers["/token"] = _ => Answer.Error(400, "invalid_target");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => task.GetToken("https://elsewhere.example/mcp").AsTask());
        Assert.Equal("invalid_target", e.Error);
        Assert.Equal("tsk_1", Json(server.To("/token").Single().Field("authorization_details")!)[0].GetProperty("task").GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("https://files.example/mcp#tools")]
    [InlineData("https://files.example/mcp#")]
    [InlineData("//files.example/mcp")]
    [InlineData("/mcp")]
    [InlineData("mcp")]
    [InlineData("")]
    [Trait("Spec", "RFC8707-2")]
    public async Task Resource_ThatIsNoAbsoluteUriOrHasAFragment_IsNotAskedFor(string resource)
    {
        await Assert.ThrowsAsync<ArgumentException>(async () => await task.GetToken(resource));
        await Assert.ThrowsAsync<ArgumentException>(() => session.AcceptHandOff("the-other-agents-token", resource, Json(Details)));
        Assert.Empty(server.To("/token"));
    }

    [Fact]
    public async Task GetToken_TaskTakenUpWhoseDetailsNameATask_NamesItOnce()
    {
        server.Answers["/tasks/tsk_1"] = _ => Answer.Json("""
            {"id":"tsk_1","state":"active","purpose":"p","created_at":"2026-11-22T12:00:00Z","expires_at":"2026-11-22T13:00:00Z",
             "authorization_details":[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"task":{"id":"tsk_0"}}]}
            """);
        AgentTask opened = await session.OpenTask("tsk_1");
        await opened.GetToken(Resource);
        Assert.Equal(
            """[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"task":{"id":"tsk_1"}}]""",
            server.To("/token").Single().Field("authorization_details"));
    }

    [Fact]
    public async Task GetToken_Again_IsKeptPerToolServerAndRenewedNearItsExpiry()
    {
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
        Assert.Equal("token-2", (await task.GetToken(Other)).Value);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        Assert.Equal("token-3", (await task.GetToken(Resource)).Value);
        Assert.Equal("token-3", (await task.GetToken(Resource)).Value);
    }

    [Fact]
    public async Task GetToken_ServerRevokedTheKeyOfTheInstanceToken_AttestsAgainAndGetsIt()
    {
        Func<Received, Answer> issue = server.Answers["/token"];
        server.Answers["/token"] = r => r.Field("subject_token") == "instance-1" ? Answer.Error(400, "invalid_request", reason: "key_revoked") : issue(r);
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
        Assert.Equal(["instance-1", "instance-2"], server.To("/token").Select(r => r.Field("subject_token")));
        // The same instance: by the same key.
        Assert.Single(server.To("/agents/instances").Select(r => r.Proof!.Thumbprint).Distinct());
    }

    [Fact]
    public async Task GetToken_RefusedForTheKeyTwice_IsFinal()
    {
        server.Answers["/token"] = _ => Answer.Error(400, "invalid_request", reason: "key_revoked");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => task.GetToken(Resource).AsTask());
        Assert.Equal("key_revoked", e.Reason);
        Assert.Equal(2, server.To("/token").Count());
    }

    [Fact]
    public async Task GetToken_TaskEnded_SaysSo()
    {
        server.Answers["/token"] = _ => Answer.Error(400, "invalid_request", "The task has ended.", "task_ended");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => task.GetToken(Resource).AsTask());
        Assert.Equal(("invalid_request", "task_ended"), (e.Error, e.Reason));
        Assert.DoesNotContain("instance-1", e.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("complete", "completed")]
    [InlineData("fail", "failed")]
    [InlineData("suspend", "suspended")]
    [InlineData("resume", "active")]
    public async Task Transition_Answer_IsTheNewView(string verb, string state)
    {
        TaskView view = verb switch
        {
            "complete" => await task.Complete("because"),
            "fail" => await task.Fail("because"),
            "suspend" => await task.Suspend("because"),
            _ => await task.Resume("because"),
        };
        Assert.Equal(state, view.State);
        Assert.Equal(state, task.View.State);
        Received sent = server.To($"/tasks/tsk_1/{verb}").Single();
        Assert.Equal(("POST", "DPoP instance-1", """{"reason":"because"}"""), (sent.Method, sent.Authorization, sent.Body));
    }

    [Fact]
    public async Task Story_Events_AreReadInOrder()
    {
        server.Answers["/tasks/tsk_1/story"] = _ => Answer.Json($$"""
            {"task":{"id":"tsk_1","state":"completed","purpose":"p","created_at":"2026-11-22T12:00:00Z","expires_at":"2026-11-22T13:00:00Z","authorization_details":[]},
             "events":[{"id":"evt_1","time":1,"type":"task.created","outcome":"success"},{"id":"evt_2","time":2,"type":"call.decided","outcome":"deny","tool":"read_file"}]}
            """);
        TaskStory story = await task.Story();
        Assert.Equal(["task.created", "call.decided"], story.Events.Select(e => e.Type));
    }

    [Fact]
    public async Task BeginChild_Body_NamesTheParent()
    {
        await task.BeginChild("part", Json("[]"));
        Assert.Equal("tsk_1", server.To("/tasks").Last().Json.GetProperty("parent_task").GetString());
    }

    [Fact]
    public async Task Dispose_NotCompleted_FailsTheTask()
    {
        await task.DisposeAsync();
        Assert.Single(server.To("/tasks/tsk_1/fail"));
    }

    [Fact]
    public async Task Dispose_Suspended_FailsTheTask()
    {
        await task.Suspend();
        await task.DisposeAsync();
        Assert.Single(server.To("/tasks/tsk_1/fail"));
    }

    [Theory]
    [InlineData("active", 1)]
    [InlineData("suspended", 0)]
    [InlineData("completed", 0)]
    public async Task Dispose_Resumable_IsLeftSuspendedForAnotherInstance(string state, int suspensions)
    {
        server.Answers["/tasks/tsk_1/resume"] = _ => Answer.Json($$"""
            {"id":"tsk_1","state":"{{state}}","purpose":"p","created_at":"2026-11-22T12:00:00Z","expires_at":"2026-11-22T13:00:00Z","authorization_details":[],"resumable":true}
            """);
        await (await session.ResumeTask("tsk_1")).DisposeAsync();
        Assert.Equal((suspensions, 0), (server.To("/tasks/tsk_1/suspend").Count(), server.To("/tasks/tsk_1/fail").Count()));
    }

    [Fact]
    public async Task Dispose_OfATaskThatAnotherInstanceTookOver_DoesNotThrowAndTriesNothingElse()
    {
        server.Answers["/tasks/tsk_1/resume"] = _ => Answer.Json("""
            {"id":"tsk_1","state":"active","purpose":"p","created_at":"2026-11-22T12:00:00Z","expires_at":"2026-11-22T13:00:00Z","authorization_details":[],"resumable":true}
            """);
        server.Answers["/tasks/tsk_1/suspend"] = _ => Answer.Error(409, "invalid_request", "Another instance of the agent holds the task.", "held_by_another");
        await (await session.ResumeTask("tsk_1")).DisposeAsync();
        Assert.Equal((1, 0), (server.To("/tasks/tsk_1/suspend").Count(), server.To("/tasks/tsk_1/fail").Count()));
    }

    [Fact]
    public async Task Dispose_Completed_SendsNothingMore()
    {
        await task.Complete();
        await task.DisposeAsync();
        Assert.Empty(server.To("/tasks/tsk_1/fail"));
    }

    [Fact]
    public async Task Dispose_AfterTheSessionEnded_DoesNotThrow()
    {
        await session.EndAsync();
        await task.DisposeAsync();
        Assert.Empty(server.To("/tasks/tsk_1/fail"));
    }

    [Fact]
    public async Task Dispose_EndedBySomeoneElse_DoesNotThrow()
    {
        server.Answers["/tasks/tsk_1/fail"] = _ => Answer.Error(409, "invalid_request", reason: "task_ended");
        await task.DisposeAsync();
        Assert.Single(server.To("/tasks/tsk_1/fail"));
    }

    public async Task DisposeAsync()
    {
        await session.DisposeAsync();
        clientKey.Dispose();
    }
}
