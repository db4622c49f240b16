using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;
using static McpAuthServer.Tests.Harness.Exchanging;

namespace McpAuthServer.Tests.Revocation;

public sealed class RevocationTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Attack", "120"), Trait("Spec", "RFC7009-2.1")]
    public async Task Revoke_OwnToken_KillsItsGrantAndAllBelow()
    {
        var s = await ReadyAsync(server, 2);
        var root = await StartAsync(s.Agent);
        var second = await s.Agents[1].TakeOverAsync(root.AccessToken);
        var form = s.Agents[1].ExchangeForm(second.AccessToken);
        form["scope"] = "tool:read_file";
        var narrow = await (await s.Agents[1].ExchangeRawAsync(form)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var third = await s.Agents[2].TakeOverAsync(narrow.AccessToken);
        var guard = await TestGuard.OfAsync(s);
        var mark = await server.NowAsync();

        await RevokeAsync(s.Agents[1], second.AccessToken);

        var events = await server.SinceAsync(mark);
        Assert.Equal(
            [(AuditTypes.TokenRevoked, second.Grant(), "revoked_by_client"), (AuditTypes.GrantRevoked, narrow.Grant(), "parent_revoked"), (AuditTypes.GrantRevoked, third.Grant(), "parent_revoked")],
            events.Select(e => (e.Type, e.Grant!, e.Reason!)));
        Assert.Equal(second.Jti(), events[0].Jti);
        Assert.All(events.Skip(1), e => Assert.Equal(events[0].Id, e.Cause));
        // One entry in the feed: what is below names it in its lineage.
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'grant' and subject in ('{second.Grant()}', '{narrow.Grant()}', '{third.Grant()}')"));
        Assert.All(new[] { narrow, third }, t => Assert.Contains(second.Grant(), t.Lineage()));
        Assert.True(await guard.IsActiveAsync(root.AccessToken));
        foreach (var dead in new[] { second, narrow, third })
            Assert.False(await guard.IsActiveAsync(dead.AccessToken));
    }

    [Fact]
    [Trait("Spec", "RFC7009-2.1")]
    public async Task Revoke_InstanceToken_EndsTheInstance()
    {
        var s = await ReadyAsync(server);
        var token = await StartAsync(s.Agent);
        var guard = await TestGuard.OfAsync(s);
        var mark = await server.NowAsync();
        await RevokeAsync(s.Agent, s.Agent.InstanceToken);
        Assert.Equal([AuditTypes.InstanceEnded, AuditTypes.TaskFailed], (await server.SinceAsync(mark)).Select(e => e.Type));
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        await (await s.Agent.AttestRawAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded);
        // Again: 200, nothing more happens, and the attempt is recorded.
        mark = await server.NowAsync();
        await RevokeAsync(s.Agent, s.Agent.InstanceToken);
        Assert.Equal("refused", Assert.Single(await server.SinceAsync(mark)).Outcome);
    }

    [Fact]
    [Trait("Attack", "118"), Trait("Spec", "RFC7009-2.2")]
    public async Task Revoke_AnothersToken_Is200AndHasNoEffect()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var guard = await TestGuard.OfAsync(s);
        foreach (var foreign in new[] { token.AccessToken, s.Agent.InstanceToken, guard.Token })
            await NoEffectAsync(() => RevokeAsync(s.Agents[1], foreign), Names.Reasons.NotPresenter);
        // Also for the one it was handed to: the giver's token is the giver's.
        await s.Agents[1].TakeOverAsync(token.AccessToken);
        await NoEffectAsync(() => RevokeAsync(s.Agents[1], token.AccessToken), Names.Reasons.NotPresenter);
        Assert.True(await guard.IsActiveAsync(token.AccessToken));
    }

    [Fact]
    [Trait("Spec", "RFC7009-2.2")]
    public async Task Revoke_WhatIsNoToken_Is200AndHasNoEffect()
    {
        var s = await ReadyAsync(server);
        var token = await StartAsync(s.Agent);
        await NoEffectAsync(() => RevokeAsync(s.Agent, "garbage"), Names.Reasons.Malformed);
        await NoEffectAsync(() => RevokeAsync(s.Agent, TokenText.Forge(token.AccessToken, null, c => c["client_id"] = s.Agent.ClientId + "x")), Names.Reasons.BadSignature);
        // RFC 7009 §2.1: an unknown hint is ignored.
        await RevokeAsync(s.Agent, token.AccessToken, f => f["token_type_hint"] = "refresh_token");
        Assert.False(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
        var second = await StartAsync(s.Agent);
        server.Time.Advance(TimeSpan.FromMinutes(5));
        await NoEffectAsync(() => RevokeAsync(s.Agent, second.AccessToken), Names.Reasons.Expired);
    }

    [Fact]
    [Trait("Spec", "RFC7009-2.1")]
    public async Task Revoke_RefreshTokenUnderAnyHint_IsFoundAllTheSame()
    {
        foreach (var hint in new[] { null, "access_token", "refresh_token", "unheard_of" })
        {
            var s = await server.ScenarioAsync();
            var flow = new PersonFlow(s);
            var token = await flow.TokenAsync();
            var form = new Dictionary<string, string> { ["token"] = token.RefreshToken!, ["client_id"] = s.PublicClient };
            if (hint is not null)
                form["token_type_hint"] = hint;

            using var answer = await server.Client().PostAsync(Names.Paths.Revoke, new FormUrlEncodedContent(form));

            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
        }
    }

    [Fact]
    [Trait("Spec", "RFC7009-2.2.1")]
    public async Task Revoke_AGuardsOwnToken_IsSaidNotToBePossible()
    {
        var s = await ReadyAsync(server);
        var guard = await TestGuard.OfAsync(s);
        var form = new Dictionary<string, string>
        {
            ["token"] = guard.Token, [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer, [Names.ClientAssertion.Parameter] = guard.Assertion(),
        };

        // 200 would say that nobody can use it any more.
        await server.RefusedAsync(
            () => server.Client().PostAsync(Names.Paths.Revoke, new FormUrlEncodedContent(form)), HttpStatusCode.BadRequest, Names.Errors.UnsupportedTokenType, null,
            AuditTypes.TokenRevoked, Names.Reasons.WrongType);

        await guard.OpenStreamAsync();
    }

    [Fact]
    [Trait("Spec", "RFC7009-2.1")]
    public async Task Revoke_UnauthenticatedOrWithoutToken_IsRefused()
    {
        var s = await ReadyAsync(server);
        var token = await StartAsync(s.Agent);
        var form = new Dictionary<string, string> { ["token"] = token.AccessToken };
        await server.RefusedAsync(() => s.Agent.PostFormAsync(Names.Paths.Revoke, form, null), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.TokenRevoked, null);
        form["client_id"] = s.Agent.ClientId;
        await server.RefusedAsync(() => s.Agent.PostFormAsync(Names.Paths.Revoke, form, null), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.TokenRevoked, null);
        await server.RefusedAsync(
            () => s.Agent.PostFormAsync(Names.Paths.Revoke, s.Agent.AssertionForm(), null), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, null, AuditTypes.TokenRevoked, null);
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
    }

    [Fact]
    public async Task Revoke_WithAUsedAssertion_IsRefusedAndHasNoEffect()
    {
        var s = await ReadyAsync(server);
        var token = await StartAsync(s.Agent);
        var form = s.Agent.AssertionForm();
        await s.Agent.AttestRawAsync(new(form));
        form["token"] = token.AccessToken;
        await server.RefusedAsync(() => s.Agent.PostFormAsync(Names.Paths.Revoke, form, null), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
    }

    [Fact]
    public async Task Revoke_ByAPlainClient_WorksOnItsTokenAndNotOnAnothers()
    {
        var (s, other) = (await ReadyAsync(server), await ReadyAsync(server));
        var own = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var foreign = await (await other.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var (guard, otherGuard) = (await TestGuard.OfAsync(s), await TestGuard.OfAsync(other));
        async Task RevokeBasicAsync(string token)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Revoke) { Content = new FormUrlEncodedContent([KeyValuePair.Create("token", token)]) };
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
            Assert.Equal(HttpStatusCode.OK, (await server.Client().SendAsync(request)).StatusCode);
        }
        await NoEffectAsync(() => RevokeBasicAsync(foreign.AccessToken), Names.Reasons.NotPresenter);
        Assert.True(await otherGuard.IsActiveAsync(foreign.AccessToken));
        await RevokeBasicAsync(own.AccessToken);
        Assert.False(await guard.IsActiveAsync(own.AccessToken));
    }

    private async Task NoEffectAsync(Func<Task> act, string recorded)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        await act();
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.TokenRevoked, recorded);
    }

    private static async Task RevokeAsync(TestAgent agent, string token, Action<Dictionary<string, string>>? change = null)
    {
        var form = agent.AssertionForm();
        form["token"] = token;
        change?.Invoke(form);
        var answer = await agent.PostFormAsync(Names.Paths.Revoke, form, proof: null);
        Assert.Equal((HttpStatusCode.OK, ""), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));
        Assert.True(answer.Headers.CacheControl?.NoStore);
    }
}
