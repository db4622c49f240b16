using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Introspection;

public abstract class IntrospectionSuite
{
    protected abstract TestServer Server { get; }

    [SuiteFact]
    [Trait("Spec", "RFC7662-2.2")]
    public async Task Introspect_LiveToken_IsActiveWithItsClaims()
    {
        var (s, token, guard) = await ReadyAsync();
        var answer = await guard.IntrospectAsync(token.AccessToken);
        Assert.True(answer.GetProperty("active").GetBoolean());
        Assert.Equal("DPoP", answer.GetProperty("token_type").GetString());
        foreach (var claim in Answers.Claims(token.AccessToken).EnumerateObject())
            Assert.Equal(claim.Value.GetRawText(), answer.GetProperty(claim.Name).GetRawText());
        Assert.Equal("Bearer", (await guard.IntrospectAsync((await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken)).GetProperty("token_type").GetString());
    }

    [SuiteFact]
    [Trait("Attack", "116"), Trait("Spec", "RFC7662-2.1")]
    public async Task Introspect_Unauthenticated_Is401()
    {
        var (s, token, guard) = await ReadyAsync();
        var form = new Dictionary<string, string> { ["token"] = token.AccessToken };
        await Server.RefusedAsync(
            () => Server.Client().PostAsync(Names.Paths.Introspect, new FormUrlEncodedContent(form)), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, null, AuditTypes.GuardRefused, null);
        // An agent, or a client with its secret, is no tool server either.
        await Server.RefusedAsync(
            () => s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Introspect, new JsonObject()), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "wrong_audience",
            AuditTypes.GuardRefused, "wrong_audience");
        using var basic = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Introspect) { Content = new FormUrlEncodedContent(form) };
        basic.Headers.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
        await Server.RefusedAsync(() => Server.Client().SendAsync(basic), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, null, AuditTypes.GuardRefused, null);
        Assert.True(await guard.IsActiveAsync(token.AccessToken));
    }

    [SuiteFact]
    [Trait("Attack", "116")]
    public async Task Introspect_OtherAudiencesToken_SaysOnlyInactive()
    {
        var (_, token, _) = await ReadyAsync();
        var (other, _, guard) = await ReadyAsync();
        foreach (var foreign in new[] { token.AccessToken, other.Agent.InstanceToken, guard.Token })
        {
            var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
            Assert.False(await guard.IsActiveAsync(foreign));
            await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.GuardRefused, "wrong_audience");
        }
    }

    [SuiteFact]
    [Trait("Spec", "RFC7662-2.2")]
    public async Task Introspect_WhatIsNoLiveToken_SaysOnlyInactive()
    {
        var (_, token, guard) = await ReadyAsync();
        foreach (var text in new[] { "garbage", "a.b.c", TokenText.Forge(token.AccessToken, null, c => c["sub"] = "usr_x"), TokenText.Forge(token.AccessToken, h => h["alg"] = "none", null, _ => []) })
            Assert.False(await guard.IsActiveAsync(text));
        Server.Time.Advance(TimeSpan.FromMinutes(5));
        await guard.AuthenticateAsync();
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        await (await guard.SendAsync(Names.Paths.Introspect, new FormUrlEncodedContent([]))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    [SuiteFact]
    [Trait("Attack", "120")]
    public async Task Introspect_AfterAnythingItStandsOnEnded_IsInactiveAtOnceOnEveryNode()
    {
        var other = await OtherAsync();
        foreach (var end in new[] { "token", "task", "suspended task", "instance", "client", "agent", "retired", "everything" })
        {
            var (s, token, guard) = await ReadyAsync();
            await other.SeeRegistryAsync();
            Assert.True(await guard.IsActiveAsync(token.AccessToken, other.Client()), end);
            if (end is "token" or "everything")
                await RevokeAsync(s.Agent, token.AccessToken);
            if (end is "task" or "suspended task" or "everything")
                await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{token.Task()}/{(end == "suspended task" ? "suspend" : "complete")}")).ReadAsync(ProtocolJson.Default.TaskView);
            if (end is "instance" or "everything")
                await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}");
            if (end is "client" or "everything")
                s.File["clients"]![0]!["state"] = "suspended";
            if (end is "agent" or "retired" or "everything")
                s.File["agents"]![0]!["state"] = end == "agent" ? "suspended" : "retired";
            // The registry changes on one node; the other, whose clock stands still, is asked before it could have polled.
            await Server.ApplyAsync(s.File.ToJsonString());
            foreach (var node in new[] { other, Server })
                Assert.False(await guard.IsActiveAsync(token.AccessToken, node.Client()), end);
        }
    }

    private protected virtual Task<TestServer> OtherAsync() => Task.FromResult(Server);

    private async Task<(Scenario, TokenResponse, TestGuard)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return (s, await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file"), await TestGuard.OfAsync(s));
    }

    private static async Task RevokeAsync(TestAgent agent, string token)
    {
        var form = agent.AssertionForm();
        form["token"] = token;
        Assert.Equal(HttpStatusCode.OK, (await agent.PostFormAsync(Names.Paths.Revoke, form, proof: null)).StatusCode);
    }
}

public sealed class IntrospectionOnSqliteTests(TestServer server) : IntrospectionSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class IntrospectionOnPostgresTests(PostgresServer postgres) : IntrospectionSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> OtherAsync() => postgres.AnotherAsync();
}
