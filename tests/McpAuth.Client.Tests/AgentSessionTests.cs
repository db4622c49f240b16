using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

public sealed class AgentSessionTests : IClassFixture<FakeServer>, IDisposable
{
    private readonly FakeServer server;
    private readonly SigningKey clientKey = SigningKey.Create();

    public AgentSessionTests(FakeServer server) => Prepare(this.server = server, clientKey);

    [Fact]
    public async Task Attest_Request_IsAnAssertionAloneAndAProofByTheInstancesOwnKey()
    {
        await using AgentSession session = await Attest(server, clientKey);
        Assert.Equal(("ins_1", "agt_1"), (session.Instance, session.Agent));
        Received sent = server.To("/agents/instances").Single();
        Assert.Equal(["client_assertion", "client_assertion_type"], sent.Fields);
        Assert.Equal("summariser", sent.Client);
        Assert.Equal(session.Key.Public.Thumbprint, sent.Proof!.Thumbprint);
        Assert.NotEqual(clientKey.Public.Thumbprint, sent.Proof.Thumbprint);
        Assert.Null(sent.Authorization);
    }

    [Fact]
    public async Task Attest_Refused_IsTypedAndSaysWhy()
    {
        server.Answers["/agents/instances"] = _ => Answer.Error(400, "invalid_grant", "The agent is suspended.", "agent_suspended");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => Attest(server, clientKey));
        Assert.Equal(("invalid_grant", "agent_suspended", 400), (e.Error, e.Reason, e.Status));
        Assert.Equal("The agent is suspended.", e.Description);
    }

    [Fact]
    public async Task InstanceToken_NearItsExpiry_IsRenewedByAttestingWithTheSameKey()
    {
        await using AgentSession session = await Attest(server, clientKey);
        server.Clock.Advance(TimeSpan.FromSeconds(3571));
        await session.BeginTask("p", Json(Details));
        Assert.Equal(2, server.To("/agents/instances").Count());
        Assert.Single(server.To("/agents/instances").Select(r => r.Proof!.Thumbprint).Distinct());
        Assert.Equal("DPoP instance-2", server.To("/tasks").Single().Authorization);
    }

    [Fact]
    public async Task Dispose_EndsTheInstanceOnce()
    {
        AgentSession session = await Attest(server, clientKey);
        await session.EndAsync();
        await session.DisposeAsync();
        Received sent = server.To("/agents/instances/ins_1").Single();
        Assert.Equal(("DELETE", "DPoP instance-1"), (sent.Method, sent.Authorization));
    }

    [Fact]
    public async Task End_ServerRevokedTheKeyOfTheInstanceToken_EndsItWithANewOne()
    {
        AgentSession session = await Attest(server, clientKey);
        server.Answers["/agents/instances/ins_1"] = r => r.Authorization == "DPoP instance-1" ? Answer.Error(401, "invalid_token", reason: "key_revoked") : new Answer(204, null);
        await session.EndAsync();
        Assert.Equal(["DPoP instance-1", "DPoP instance-2"], server.To("/agents/instances/ins_1").Select(r => r.Authorization));
    }

    [Fact]
    public async Task AcceptHandOff_ServerRevokedTheKeyOfTheInstanceToken_IsTheActorWithANewOne()
    {
        await using AgentSession session = await Attest(server, clientKey);
        Func<Received, Answer> issue = server.Answers["/token"];
        server.Answers["/token"] = r => r.Field("actor_token") == "instance-1" ? Answer.Error(400, "invalid_request", reason: "key_revoked") : issue(r);
        await using AgentTask task = await session.AcceptHandOff("subject", Resource, Json(Details));
        Assert.Equal("tsk_1", task.Id);
        Assert.Equal(["instance-1", "instance-2"], server.To("/token").Select(r => r.Field("actor_token")));
    }

    [Fact]
    public async Task BeginTask_AfterTheEnd_DoesNotAttestAgain()
    {
        AgentSession session = await Attest(server, clientKey);
        await session.EndAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => session.BeginTask("p", Json(Details)));
        Assert.Single(server.To("/agents/instances"));
    }

    [Fact]
    public async Task BeginTask_InstanceEndedBySomeoneElse_DoesNotAttestAgain()
    {
        AgentSession session = await Attest(server, clientKey);
        server.Answers["/tasks"] = _ => Answer.Error(401, "invalid_token", reason: "instance_ended");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => session.BeginTask("p", Json(Details)));
        Assert.Equal("instance_ended", e.Reason);
        Assert.Single(server.To("/agents/instances"));
    }

    [Fact]
    public async Task Dispose_ServerRefuses_DoesNotThrow()
    {
        server.Answers["/agents/instances/ins_1"] = _ => Answer.Error(400, "invalid_request", reason: "instance_ended");
        AgentSession session = await Attest(server, clientKey);
        await session.DisposeAsync();
        Assert.Single(server.To("/agents/instances/ins_1"));
    }

    [Fact]
    public async Task BeginTask_Body_HasPurposeAuthorityAndEnd()
    {
        await using AgentSession session = await Attest(server, clientKey);
        await session.BeginTask("summarise", Json(Details), server.Clock.GetUtcNow().AddMinutes(10));
        JsonElement sent = server.To("/tasks").Single().Json;
        Assert.Equal("summarise", sent.GetProperty("purpose").GetString());
        Assert.Equal(server.Clock.GetUtcNow().AddMinutes(10), sent.GetProperty("expires_at").GetDateTimeOffset());
        Assert.True(JsonElement.DeepEquals(Json(Details), sent.GetProperty("authorization_details")));
        Assert.False(sent.TryGetProperty("parent_task", out _));
        Assert.False(sent.TryGetProperty("resumable", out JsonElement resumable) && resumable.GetBoolean());
    }

    [Fact]
    public async Task BeginTask_Resumable_SaysSoInBothForms()
    {
        await using AgentSession session = await Attest(server, clientKey);
        await session.BeginTask("summarise", Json(Details), resumable: true);
        AgentTask task = await session.BeginTask("summarise", Authority.ForTools(Resource, ["read_file"]), resumable: true);
        await task.BeginChild("part", Json("[]"), resumable: true);
        Assert.All(server.To("/tasks"), r => Assert.True(r.Json.GetProperty("resumable").GetBoolean()));
        Assert.Equal(3, server.To("/tasks").Count());
    }

    [Fact]
    public async Task ResumeTask_OfAnInstanceThatEnded_IsResumedAndItsTokensComeByTheInstanceTokenAlone()
    {
        await using AgentSession session = await Attest(server, clientKey);
        AgentTask task = await session.ResumeTask("tsk_1", "again");
        Assert.Equal(("tsk_1", "active"), (task.Id, task.View.State));
        Received resumed = server.To("/tasks/tsk_1/resume").Single();
        Assert.Equal(("POST", "DPoP instance-1", """{"reason":"again"}"""), (resumed.Method, resumed.Authorization, resumed.Body));
        await task.GetToken(Resource);
        Received exchange = server.To("/token").Single();
        Assert.Equal(("instance-1", null), (exchange.Field("subject_token"), exchange.Field("actor_token")));
        Assert.Equal("tsk_1", Json(exchange.Field("authorization_details")!)[0].GetProperty("task").GetProperty("id").GetString());
    }

    [Fact]
    public async Task ResumeTask_Refused_SaysWhy()
    {
        await using AgentSession session = await Attest(server, clientKey);
        server.Answers["/tasks/tsk_1/resume"] = _ => Answer.Error(409, "invalid_request", "The task is suspended.", "actor_unauthorized");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => session.ResumeTask("tsk_1"));
        Assert.Equal((409, "actor_unauthorized"), (e.Status, e.Reason));
    }

    [Fact]
    public async Task BeginTask_TypedAuthority_IsSentAsItsArray()
    {
        await using AgentSession session = await Attest(server, clientKey);
        await session.BeginTask("summarise", Authority.ForTools(Resource, ["read_file"]));
        JsonElement entry = server.To("/tasks").Single().Json.GetProperty("authorization_details")[0];
        Assert.Equal(Resource, entry.GetProperty("locations")[0].GetString());
        Assert.True(entry.GetProperty("tools").TryGetProperty("read_file", out _));
    }

    [Fact]
    [Trait("Spec", "RFC8693-2.1")]
    public async Task AcceptHandOff_Exchange_NamesSubjectAndActorAndContinuesWithItsOwnToken()
    {
        await using AgentSession session = await Attest(server, clientKey);
        JsonElement asked = Json("""[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"tools":{"read_file":{}},"task":{"purpose":"part"}}]""");
        AgentTask task = await session.AcceptHandOff("the-other-agents-token", Resource, asked);
        Assert.Equal("tsk_1", task.Id);
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
        Received exchange = server.To("/token").Single();
        Assert.Equal("the-other-agents-token", exchange.Field("subject_token"));
        Assert.Equal("instance-1", exchange.Field("actor_token"));
        Assert.Equal("urn:ietf:params:oauth:token-type:access_token", exchange.Field("actor_token_type"));
        Assert.True(JsonElement.DeepEquals(asked, Json(exchange.Field("authorization_details")!)));
        Assert.Equal(session.Key.Public.Thumbprint, exchange.Proof!.Thumbprint);

        server.Clock.Advance(TimeSpan.FromSeconds(271));
        await task.GetToken(Resource);
        server.Clock.Advance(TimeSpan.FromSeconds(271));
        await task.GetToken(Resource);
        Assert.Equal(["the-other-agents-token", "token-1", "token-2"], server.To("/token").Select(r => r.Field("subject_token")));
        Assert.Null(server.To("/token").Last().Field("actor_token"));
    }

    /// <summary>Whatever else it is, it does not open a tool server.</summary>
    [Theory]
    [InlineData("\"urn:ietf:params:oauth:token-type:refresh_token\"")]
    [InlineData("\"urn:ietf:params:oauth:token-type:jwt\"")]
    [InlineData("\"access_token\"")]
    [InlineData("null")]
    [Trait("Spec", "RFC8693-2.2.1")]
    public async Task AcceptHandOff_AnswerOfAnotherTokenTypeOrNone_IsAnInvalidResponse(string type)
    {
        await using AgentSession session = await Attest(server, clientKey);
        server.Answers["/token"] = _ => Answer.Json($$"""
            {"access_token":"token","token_type":"DPoP","expires_in":300,"issued_token_type":{{type}},
             "authorization_details":[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"task":{"id":"tsk_1"} }] }
            """);
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => session.AcceptHandOff("the-other-agents-token", Resource, Json(Details)));
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
        Assert.Single(server.To("/token"));
    }

    public void Dispose() => clientKey.Dispose();
}
