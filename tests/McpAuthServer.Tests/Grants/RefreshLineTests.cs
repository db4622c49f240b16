using System.Net;
using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Grants;

/// <summary>How long a line of refresh tokens lives, what ends it, and what becomes of its task.</summary>
public class RefreshLineTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task RefreshToken_ThatLiesUnused_IsExpiredAfterEightHours()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        server.Time.Advance(RefreshFamilies.Idle);

        await (await flow.RefreshRawAsync(first.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Expired);
    }

    [Fact]
    public async Task RefreshToken_WithoutOfflineAccess_EndsWithTheSignIn()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = await flow.TokenAsync();
        var offline = await flow.TokenAsync("tools:read offline_access");
        await server.Services.GetRequiredService<ICommitLog>().Commit(new McpAuthServer.People.EndSession(flow.Session!.Id, server.Time.GetUtcNow(), "test"));

        await (await flow.RefreshRawAsync(first.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);

        // What was issued in the session is gone at once, and not when it expires.
        var grant = Answers.Claims(first.AccessToken).GetProperty("grant").GetString();
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'grant' and subject = '{grant}'"));
        Assert.DoesNotContain("offline_access", Answers.Claims(offline.AccessToken).GetProperty("scope").GetString(), StringComparison.Ordinal);
        Assert.NotNull((await flow.RefreshAsync(offline.RefreshToken!)).AccessToken);
    }

    [Fact]
    public async Task SessionTask_ThatExpired_HasASuccessorAtTheNextRefresh()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync("tools:read offline_access");
        var first = Answers.Claims(token.AccessToken).GetProperty("task").GetProperty("id").GetString();
        for (var hours = 0; hours < 24; hours += 6)
        {
            // Set: the timers of many days need not run.
            server.Time.Set(server.Time.GetUtcNow().AddHours(6));
            token = await flow.RefreshAsync(token.RefreshToken!);
        }

        var next = Answers.Claims(token.AccessToken).GetProperty("task").GetProperty("id").GetString();
        Assert.NotEqual(first, next);
        Assert.Single(await server.EventsAsync($"task = '{first}' and type = 'task.expired'"));
        Assert.Single(await server.EventsAsync($"task = '{next}' and type = 'task.created'"));
        Assert.NotNull((await flow.RefreshAsync(token.RefreshToken!)).AccessToken);
    }

    [Fact]
    public async Task OfflineAccess_AfterThirtyDays_IsExpiredHoweverOftenItWasUsed()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync("tools:read offline_access");
        var end = server.Time.GetUtcNow() + RefreshFamilies.Offline;
        while (server.Time.GetUtcNow() + TimeSpan.FromHours(7) < end)
        {
            // Set: the timers of many days need not run.
            server.Time.Set(server.Time.GetUtcNow().AddHours(7));
            token = await flow.RefreshAsync(token.RefreshToken!);
        }
        server.Time.Set(end);

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Expired);
    }

    [Fact]
    public async Task SessionTask_ThatThePersonEnded_HasNoSuccessorAndIsNotRestored()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync("tools:read offline_access");
        var task = Answers.Claims(token.AccessToken).GetProperty("task").GetProperty("id").GetString()!;
        var now = server.Time.GetUtcNow();
        await server.Services.GetRequiredService<ICommitLog>().Commit(
            new EndTask(task, TaskState.Revoked, "ended_by_person", new Initiator(null, null, null, Rank.User, s.User), null, now, "test"));

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}' and remembered_until > 0"));
    }

    [Fact]
    [Trait("Attack", "90")]
    public async Task Refresh_OfADisabledUser_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync("tools:read offline_access");
        await server.ApplyAsync($$"""{"users":[{"id":"{{s.User}}","name":"Ann","enabled":false}]}""");

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.UserDisabled);
    }

    [Fact]
    [Trait("Attack", "90")]
    public async Task Refresh_OfASuspendedClient_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync();
        await server.ApplyAsync($$"""
            {"clients":[{"id":"{{s.PublicClient}}","name":"Browser client","auth_method":"none","grant_types":["authorization_code","refresh_token"],
              "redirect_uris":["{{s.RedirectUri}}"],"state":"suspended"}]}
            """);

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
    }

    [Fact]
    [Trait("Attack", "90")]
    public async Task Refresh_AfterTheConsentWasWithdrawn_IsRefusedAndTheTokensAreDead()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync("tools:read offline_access");
        var consent = Assert.Single(await server.Services.GetRequiredService<ConsentStore>().Of(s.User, default));
        var by = new Initiator(null, null, null, Rank.User, s.User);
        Assert.True(await server.Services.GetRequiredService<ICommitLog>().Commit(new WithdrawConsent(consent.Id, s.User, by, server.Time.GetUtcNow(), "test")));

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);

        var grant = Answers.Claims(token.AccessToken).GetProperty("grant").GetString();
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'grant' and subject = '{grant}' and op = 'deny'"));
    }

    [Fact]
    public async Task Refresh_WhileTheTaskIsSuspended_IsRefusedAndGoesOnAfterwards()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync();
        var task = Answers.Claims(token.AccessToken).GetProperty("task").GetProperty("id").GetString()!;
        Task<Transition> Move(bool suspend) => server.Services.GetRequiredService<ICommitLog>().Commit(new SuspendOrResumeTask(
            task, suspend, null, new Initiator(null, null, null, Rank.User, s.User), null, server.Time.GetUtcNow(), "test"));
        await Move(suspend: true);

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.TaskSuspended);
        await Move(suspend: false);

        // The refused attempt used nothing up.
        Assert.NotNull((await flow.RefreshAsync(token.RefreshToken!)).RefreshToken);
    }

    [Fact]
    [Trait("Spec", "RFC7009-2.1")]
    public async Task Revocation_OfARefreshToken_EndsItsLineAndItsAccessTokens()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync();
        var guard = await TestGuard.OfAsync(s);
        Assert.True(await guard.IsActiveAsync(token.AccessToken));
        using var answer = await server.Client().PostAsync(Names.Paths.Revoke, new FormUrlEncodedContent(
            new Dictionary<string, string> { ["token"] = token.RefreshToken!, ["client_id"] = s.PublicClient }));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);

        var grant = Answers.Claims(token.AccessToken).GetProperty("grant").GetString();
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'grant' and subject = '{grant}' and op = 'deny'"));
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
    }

    [Fact]
    public async Task WhatIsLongExpired_IsRemovedAndWhatLivesStays()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var signedIn = await flow.SignInAgainAsync();
        var bySession = await flow.TokenAsync();
        var offline = await flow.TokenAsync("tools:read offline_access");
        for (var hours = 0; hours < 42; hours += 7)
        {
            // Set: the timers of many days need not run.
            server.Time.Set(server.Time.GetUtcNow().AddHours(7));
            offline = await flow.RefreshAsync(offline.RefreshToken!);
        }

        await server.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<StoreUpkeep>().Single().Purge(default);

        Assert.Equal((0, 0, 0, 1), (
            await server.ScalarAsync($"select count(*) from sessions where id = '{signedIn.Id}'"), await server.ScalarAsync($"select count(*) from codes where session_id = '{signedIn.Id}'"),
            await server.ScalarAsync($"select count(*) from refresh_families where session_id = '{signedIn.Id}'"),
            await server.ScalarAsync($"select count(*) from refresh_families where user_id = '{s.User}'")));
        Assert.NotNull((await flow.RefreshAsync(offline.RefreshToken!)).AccessToken);
        await (await flow.RefreshRawAsync(bySession.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
    }

    [Fact]
    public async Task SessionTask_WidenedTwiceAtOnce_HoldsBoth()
    {
        for (var round = 0; round < 5; round++)
        {
            var s = await server.ScenarioAsync(o => o.Tools["write_file"] = "write");
            var flow = new PersonFlow(s);
            var task = (await flow.TokenAsync()).Task();
            // Both consents first, so that neither redemption knows of the other's words.
            var codes = new List<string>();
            foreach (var (scope, without) in new[] { ("tool:write_file", "tools:read"), ("tool:delete_file", "tool:write_file") })
                codes.Add(await flow.CodeAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = scope, ["redirect_uri"] = codes.Count == 0 ? s.RedirectUri : "http://127.0.0.1/callback" }), without));

            await Task.WhenAll(flow.RedeemAsync(codes[0]), flow.RedeemAsync(codes[1], new() { ["redirect_uri"] = null }));

            Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where id = '{task}' and authority like '%write_file%' and authority like '%delete_file%' and authority like '%read_file%'"));
        }
    }
}
