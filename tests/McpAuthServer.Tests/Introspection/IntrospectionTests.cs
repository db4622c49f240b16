using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Consents;
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
        // RFC 9449 §6.2, RFC 9396 §9.2: members of their own.
        Assert.Equal(s.Agent.Key.Public.Thumbprint, answer.GetProperty("cnf").GetProperty("jkt").GetString());
        Assert.Equal("mcp_tool_call", Assert.Single(answer.GetProperty("authorization_details").EnumerateArray()).GetProperty("type").GetString());
        Assert.Equal("Bearer", (await guard.IntrospectAsync((await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken)).GetProperty("token_type").GetString());
    }

    [SuiteFact]
    [Trait("Spec", "RFC8693-4.1")]
    public async Task Introspect_TokenOfAnAgentForAPerson_NamesThemAsTheTokenDoes()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var (guard, token) = (await TestGuard.OfAsync(s), await s.Agent.TakeOverAsync((await new PersonFlow(s).DelegateAsync("read", "read_file")).AccessToken));

        var (answer, claims) = (await guard.IntrospectAsync(token.AccessToken), Answers.Claims(token.AccessToken));

        Assert.Equal((s.User, s.Agent.Id), (answer.GetProperty("sub").GetString(), answer.GetProperty("act").GetProperty("sub").GetString()));
        foreach (var name in new[] { "act", "client_id", "scope", "aud" })
            Assert.Equal(claims.GetProperty(name).GetRawText(), answer.GetProperty(name).GetRawText());
    }

    [SuiteFact]
    [Trait("Spec", "RFC9470-6.2")]
    public async Task Introspect_TokenOfAPerson_TellsWhenAndHowTheySignedIn()
    {
        var s = await Server.ScenarioAsync();
        var (flow, asker) = (new PersonFlow(s), await IntrospectingServer.OfAsync(s));

        var answer = await asker.AskAsync((await flow.TokenAsync()).AccessToken);

        Assert.Equal((flow.Session!.AuthTime.ToUnixTimeSeconds(), "pwd"), (answer.GetProperty("auth_time").GetInt64(), answer.GetProperty("acr").GetString()));
    }

    [SuiteFact]
    [Trait("Attack", "116"), Trait("Spec", "RFC7662-2.1")]
    public async Task Introspect_Unauthenticated_Is401()
    {
        var (s, token, guard) = await ReadyAsync();
        var form = new Dictionary<string, string> { ["token"] = token.AccessToken };
        HttpResponseMessage? refused = null;
        await Server.RefusedAsync(
            async () => refused = await Server.Client().PostAsync(Names.Paths.Introspect, new FormUrlEncodedContent(form)), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null,
            AuditTypes.ClientRefused, "unknown_client");
        Assert.Equal(["DPoP algs=\"ES256 RS256\"", "Basic realm=\"introspection\""], refused!.Headers.WwwAuthenticate.Select(c => c.ToString()));
        // A client that does not prove to be one, or has nothing to prove it with.
        var asker = await IntrospectingServer.OfAsync(s);
        await Server.RefusedAsync(
            () => asker.AskRawAsync(token.AccessToken, secret: "wrong"), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "bad_secret");
        await Server.RefusedAsync(
            () => Server.Client().PostAsync(Names.Paths.Introspect, new FormUrlEncodedContent([.. form, KeyValuePair.Create("client_id", asker.Id)])), HttpStatusCode.Unauthorized,
            Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "no_credential");
        // An agent is no tool server; nor is any client that is not registered as one's, with its secret or without one.
        await Server.RefusedAsync(
            () => s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Introspect, new JsonObject()), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "wrong_audience",
            AuditTypes.GuardRefused, "wrong_audience");
        using var basic = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Introspect) { Content = new FormUrlEncodedContent(form) };
        basic.Headers.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
        await Server.RefusedAsync(
            () => Server.Client().SendAsync(basic), HttpStatusCode.Forbidden, Names.Errors.UnauthorizedClient, null, AuditTypes.IntrospectionRefused, Names.Errors.UnauthorizedClient);
        await Server.RefusedAsync(
            () => Server.Client().PostAsync(Names.Paths.Introspect, new FormUrlEncodedContent([.. form, KeyValuePair.Create("client_id", s.PublicClient)])), HttpStatusCode.Forbidden,
            Names.Errors.UnauthorizedClient, null, AuditTypes.IntrospectionRefused, Names.Errors.UnauthorizedClient);
        Assert.True(await guard.IsActiveAsync(token.AccessToken));
    }

    [SuiteFact]
    [Trait("Attack", "116")]
    public async Task Introspect_OtherAudiencesToken_SaysOnlyInactive()
    {
        var (_, token, _) = await ReadyAsync();
        var (other, _, guard) = await ReadyAsync();
        var asker = await IntrospectingServer.OfAsync(other);
        var identity = (await (await RelyingParty.OfAsync(other)).SignInAsync()).AccessToken;
        foreach (var foreign in new[] { token.AccessToken, other.Agent.InstanceToken, guard.Token, identity })
            foreach (var (ask, id) in new[] { ((Func<Task<bool>>)(() => guard.IsActiveAsync(foreign)), guard.Id), (() => asker.IsActiveAsync(foreign), asker.Id) })
            {
                var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
                Assert.False(await ask());
                var e = await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.IntrospectionRefused, "wrong_audience");
                Assert.Equal((id, other.Resource), (e.Client, e.Resource));
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
            var asker = await IntrospectingServer.OfAsync(s);
            await other.SeeRegistryAsync();
            Assert.True(await guard.IsActiveAsync(token.AccessToken, other.Client()), end);
            Assert.True(await asker.IsActiveAsync(token.AccessToken, other.Client()), end);
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
            {
                Assert.False(await guard.IsActiveAsync(token.AccessToken, node.Client()), end);
                Assert.False(await asker.IsActiveAsync(token.AccessToken, node.Client()), end);
            }
        }
    }

    [SuiteFact]
    [Trait("Attack", "120")]
    public async Task Introspect_AfterAPersonTookTheirTokenBack_IsInactiveAtOnceOnEveryNode()
    {
        var other = await OtherAsync();
        foreach (var end in new[] { "revoked", "refresh token revoked", "withdrawn", "signed out", "disabled", "client", "everything" })
        {
            var s = await Server.ScenarioAsync();
            var site = await RelyingParty.OfAsync(s);
            var (asker, browser) = (await IntrospectingServer.OfAsync(s), await s.BrowserAsync());
            var token = await site.SignInAsync(browser, site.Query(new Dictionary<string, string?> { ["resource"] = s.Resource }));
            await other.SeeRegistryAsync();
            Assert.True(await asker.IsActiveAsync(token.AccessToken, other.Client()), end);
            if (end is "revoked" or "everything")
                await RevokeAsync(site, token.AccessToken);
            if (end is "refresh token revoked")
                await RevokeAsync(site, token.RefreshToken!);
            if (end is "withdrawn" or "everything")
                Assert.Equal(HttpStatusCode.SeeOther, (await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: "/withdraw")).Status);
            if (end is "signed out" or "everything")
                await browser.GetAsync($"{Names.Paths.Logout}?id_token_hint={token.IdToken}");
            if (end is "disabled" or "everything")
            {
                s.File["users"]![0]!["enabled"] = false;
                await Server.ApplyAsync(s.File.ToJsonString());
            }
            if (end is "client" or "everything")
                await RelyingParty.OfAsync(s, change: c => c["state"] = "suspended");
            foreach (var node in new[] { other, Server })
                Assert.False(await asker.IsActiveAsync(token.AccessToken, node.Client()), end);
        }
    }

    [SuiteFact]
    [Trait("Spec", "RFC7662-2.1")]
    public async Task Introspect_UnderAnyHint_FindsTheTokenAllTheSame()
    {
        var (_, token, guard) = await ReadyAsync();
        foreach (var hint in new[] { "access_token", "refresh_token", "unheard_of" })
        {
            using var answer = await guard.SendAsync(
                Names.Paths.Introspect, new FormUrlEncodedContent(new Dictionary<string, string> { ["token"] = token.AccessToken, ["token_type_hint"] = hint }));
            Assert.Contains("\"active\":true", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [SuiteFact]
    [Trait("Spec", "RFC7662-2.1")]
    public async Task Introspect_ByAToolServersOwnClient_IsActiveWithItsClaims()
    {
        var (s, token, guard) = await ReadyAsync();
        var asker = await IntrospectingServer.OfAsync(s);

        var answer = await asker.AskAsync(token.AccessToken);

        Assert.Equal((await guard.IntrospectAsync(token.AccessToken)).GetRawText(), answer.GetRawText());
        Assert.Equal((true, s.Agent.Id), (answer.GetProperty("active").GetBoolean(), answer.GetProperty("sub").GetString()));
    }

    [SuiteFact]
    [Trait("Attack", "76")]
    public async Task Introspect_ByAnAssertionUsedBefore_Is401()
    {
        var (s, token, _) = await ReadyAsync();
        // The agent's key serves as the client's: what counts is that one assertion is good once.
        s.File["clients"]![0]!["introspects"] = s.ToolServer;
        await Server.ApplyAsync(s.File.ToJsonString());
        var form = s.Agent.AssertionForm();
        form["token"] = token.AccessToken;
        using (var first = await s.Agent.PostFormAsync(Names.Paths.Introspect, form, proof: null))
            Assert.Contains("\"active\":true", await first.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        await Server.RefusedAsync(
            () => s.Agent.PostFormAsync(Names.Paths.Introspect, form, proof: null), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected,
            Names.Reasons.Replay);
    }

    [SuiteFact]
    [Trait("Spec", "RFC9701-5")]
    public async Task Introspect_SignedAnswer_SaysForWhomItIsAndIsNoToken()
    {
        var (s, token, guard) = await ReadyAsync();
        var asker = await IntrospectingServer.OfAsync(s);

        var answer = await asker.AskSignedAsync(token.AccessToken);

        Assert.Equal(["aud", "iat", "iss", "token_introspection"], answer.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
        Assert.Equal((TestServer.Issuer, asker.Id, Server.Time.GetUtcNow().ToUnixTimeSeconds()), (answer.GetProperty("iss").GetString(), answer.GetProperty("aud").GetString(), answer.GetProperty("iat").GetInt64()));
        Assert.Equal((await asker.AskAsync(token.AccessToken)).GetRawText(), answer.GetProperty("token_introspection").GetRawText());
        // For a token that is not active, or not for the asker, nothing but that.
        foreach (var other in new[] { "garbage", s.Agent.InstanceToken })
            Assert.Equal("{\"active\":false}", (await asker.AskSignedAsync(other)).GetProperty("token_introspection").GetRawText());
        // Signed by the same keys as tokens, and yet none.
        using var response = await asker.AskRawAsync(token.AccessToken, "application/token-introspection+jwt");
        Assert.False(await guard.IsActiveAsync(await response.Content.ReadAsStringAsync()));
    }

    [SuiteFact]
    [Trait("Spec", "RFC9701-4")]
    public async Task Introspect_FormOfTheAnswer_IsTheOneThatIsLikedBest()
    {
        var (s, token, _) = await ReadyAsync();
        var asker = await IntrospectingServer.OfAsync(s);
        foreach (var (accept, signed) in new[]
        {
            (null, false), ("*/*", false), ("application/json", false), ("application/jwt", false), ("application/token-introspection+jwt;q=0", false),
            ("application/json, application/token-introspection+jwt;q=0.5", false), ("application/token-introspection+jwt, application/json;q=0.9", true),
            ("Application/Token-Introspection+JWT", true), ("garbage, application/token-introspection+jwt", true),
        })
        {
            using var answer = await asker.AskRawAsync(token.AccessToken, accept);
            Assert.Equal(signed ? "application/token-introspection+jwt" : "application/json", answer.Content.Headers.ContentType?.MediaType);
        }
    }

    private protected virtual Task<TestServer> OtherAsync() => Task.FromResult(Server);

    private async Task<(Scenario, TokenResponse, TestGuard)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return (s, await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file"), await TestGuard.OfAsync(s));
    }

    private async Task RevokeAsync(RelyingParty site, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Revoke) { Content = new FormUrlEncodedContent([KeyValuePair.Create("token", token)]) };
        request.Headers.Authorization = site.Basic;
        Assert.Equal(HttpStatusCode.OK, (await Server.Client().SendAsync(request)).StatusCode);
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
