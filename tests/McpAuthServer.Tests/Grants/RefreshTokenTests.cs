using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Grants;

/// <summary>What a refresh token is good for: once, for its client, for what was granted.</summary>
public class RefreshTokenTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC6749-6")]
    public async Task Refresh_BringsATokenOfTheSameAuthorityAndANewRefreshToken()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        server.Time.Advance(TimeSpan.FromMinutes(4));

        var second = await flow.RefreshAsync(first.RefreshToken!);

        Assert.NotEqual(first.RefreshToken, second.RefreshToken);
        var (was, now) = (Answers.Claims(first.AccessToken), Answers.Claims(second.AccessToken));
        foreach (var same in new[] { "sub", "aud", "scope", "grant", "task", "auth_time", "acr", "client_id", "step_up" })
            Assert.Equal(was.GetProperty(same).ToString(), now.GetProperty(same).ToString());
        Assert.NotEqual(was.GetProperty("jti").GetString(), now.GetProperty("jti").GetString());
    }

    [Fact]
    [Trait("Attack", "86")]
    [Trait("Spec", "OAuth2.1-4.3.1")]
    public async Task RefreshToken_UsedAgainLater_EndsTheWholeLine()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        var second = await flow.RefreshAsync(first.RefreshToken!);
        server.Time.Advance(UseRefreshToken.Tolerance + TimeSpan.FromMilliseconds(1));
        var mark = await server.NowAsync();

        await (await flow.RefreshRawAsync(first.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        Assert.Equal("refresh_reuse", Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.ReplayDetected).Reason);
        await (await flow.RefreshRawAsync(second.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
        var grant = Answers.Claims(second.AccessToken).GetProperty("grant").GetString();
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'grant' and subject = '{grant}' and op = 'deny'"));
    }

    [Fact]
    [Trait("Attack", "86")]
    public async Task RefreshToken_RepeatedAtOnceByAPublicClient_GetsTheSameSuccessorAgain()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        var second = await flow.RefreshAsync(first.RefreshToken!);
        server.Time.Advance(UseRefreshToken.Tolerance);

        var again = await flow.RefreshAsync(first.RefreshToken!);

        Assert.Equal(second.RefreshToken, again.RefreshToken);
        Assert.NotNull((await flow.RefreshAsync(again.RefreshToken!)).AccessToken);
    }

    [Fact]
    [Trait("Attack", "86")]
    public async Task RefreshToken_RepeatedAfterItsSuccessorWasUsed_EndsTheWholeLine()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        var second = await flow.RefreshAsync(first.RefreshToken!);
        var third = await flow.RefreshAsync(second.RefreshToken!);

        await (await flow.RefreshRawAsync(first.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        await (await flow.RefreshRawAsync(third.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
    }

    [Fact]
    [Trait("Attack", "88")]
    public async Task RefreshToken_UsedBeforeARestart_IsStillUsed()
    {
        await using var nodes = Nodes.OnSqlite();
        var before = await nodes.StartAsync();
        var s = await before.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        var second = await flow.RefreshAsync(first.RefreshToken!);
        var now = before.Time.GetUtcNow();
        await nodes.StopAsync(before);
        var after = new PersonFlow(s, await nodes.StartAsync(now + TimeSpan.FromSeconds(31)));

        await (await after.RefreshRawAsync(first.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);
        await (await after.RefreshRawAsync(second.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
    }

    [Theory]
    [InlineData("resource", "https://elsewhere.test/mcp", Names.Errors.InvalidTarget)]
    [InlineData("resource", "another tool server's", Names.Errors.InvalidTarget)]
    [InlineData("scope", "tools:read tool:delete_file", Names.Errors.InvalidScope)]
    [InlineData("scope", "offline_access", Names.Errors.InvalidScope)]
    [InlineData("client_id", "service", Names.Errors.InvalidClient)]
    [Trait("Attack", "72")]
    [Trait("Spec", "RFC6749-6")]
    [Trait("Spec", "RFC8707-2.2")]
    public async Task Refresh_ForMoreOrElsewhere_IsRefusedAndTheTokenStaysGood(string parameter, string value, string error)
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        value = value == "another tool server's" ? other.Resource : value;
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();

        await (await flow.RefreshRawAsync(first.RefreshToken!, new() { [parameter] = value }))
            .RefusedAsync(error == Names.Errors.InvalidClient ? HttpStatusCode.Unauthorized : HttpStatusCode.BadRequest, error);

        Assert.NotNull((await flow.RefreshAsync(first.RefreshToken!)).AccessToken);
    }

    [Fact]
    [Trait("Attack", "69")]
    [Trait("Spec", "RFC6749-6")]
    [Trait("Spec", "OAuth2.1-4.3")]
    public async Task RefreshToken_OfAnotherClient_IsUnknownAndStaysGoodForItsOwner()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        await server.ApplyAsync($$"""
            {"clients":[{"id":"other-{{s.Suffix}}","name":"Another","auth_method":"client_secret_post","secret":"{{s.ServiceSecret}}-other","grant_types":["authorization_code","refresh_token"],
              "redirect_uris":["{{s.RedirectUri}}"]}]}
            """);

        await server.RefusedAsync(
            () => flow.RefreshRawAsync(first.RefreshToken!, new() { ["client_id"] = "other-" + s.Suffix, ["client_secret"] = s.ServiceSecret + "-other" }),
            HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_token", AuditTypes.TokenRefused, "unknown_token");

        Assert.NotNull((await flow.RefreshAsync(first.RefreshToken!)).AccessToken);
    }

    [Fact]
    [Trait("Spec", "RFC6749-10.4")]
    [Trait("Spec", "RFC6749-10.10")]
    public async Task RefreshToken_EachOfThem_HasMoreChanceThanCanBeGuessed()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();

        foreach (var token in new[] { first.RefreshToken!, (await flow.RefreshAsync(first.RefreshToken!)).RefreshToken! })
            Assert.True(Base64Url.TryDecode(token.Replace("rt_", "", StringComparison.Ordinal), out var bytes) && bytes.Length == 32);
    }

    [Fact]
    [Trait("Spec", "RFC6749-6")]
    public async Task Refresh_ForLess_GivesLessThisTimeOnly()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync("tools:read tool:delete_file");

        var less = await flow.RefreshAsync(first.RefreshToken!, new() { ["scope"] = "tool:read_file" });
        var all = await flow.RefreshAsync(less.RefreshToken!);

        Assert.Equal(("tool:read_file", "tool:delete_file tools:read"), (less.Scope, all.Scope));
    }

    [Fact]
    [Trait("Attack", "92")]
    public async Task CodesAndRefreshTokens_AreStoredAsHashesOnly()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());
        var first = await flow.RedeemAsync(code);
        var second = await flow.RefreshAsync(first.RefreshToken!);

        var stored = await server.Services.GetRequiredService<IReadStore>().All(
            new Sql("select hash from codes union all select hash from refresh_tokens union all select coalesce(successor_hash, '') from refresh_tokens union all select body from audit_events").With(),
            r => r.GetString(0), default);
        var boxes = await server.Services.GetRequiredService<IReadStore>().All(
            new Sql("select successor from refresh_tokens where successor is not null").With(), r => System.Text.Encoding.Latin1.GetString((byte[])r.GetValue(0)), default);
        foreach (var secret in new[] { code, first.RefreshToken!, second.RefreshToken! })
        {
            Assert.DoesNotContain(stored.Concat(boxes), text => text.Contains(secret, StringComparison.Ordinal));
            Assert.DoesNotContain(server.Logs.Lines, line => line.Contains(secret, StringComparison.Ordinal));
        }
    }
}
