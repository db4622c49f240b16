using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Grants;

public class AuthorizationCodeTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC6749-4.1.4")]
    [Trait("Spec", "RFC9068-2.2")]
    public async Task Code_OfAProgram_BecomesATokenByScopeForOneToolServer()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);

        var token = await flow.RedeemAsync(await flow.CodeAsync(s.AuthorizeQuery()));

        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal(
            (s.Resource, s.User, "user", s.PublicClient, "tools:read", "pwd", true),
            (claims.GetProperty("aud").GetString(), claims.GetProperty("sub").GetString(), claims.GetProperty("sub_profile").GetString(), claims.GetProperty("client_id").GetString(),
                claims.GetProperty("scope").GetString(), claims.GetProperty("acr").GetString(), claims.GetProperty("step_up").GetBoolean()));
        Assert.False(claims.TryGetProperty("act", out _));
        Assert.False(claims.TryGetProperty("authorization_details", out _));
        Assert.Equal(flow.Session!.AuthTime.ToUnixTimeSeconds(), claims.GetProperty("auth_time").GetInt64());
        Assert.Equal(("Bearer", "tools:read", 300), (token.TokenType, token.Scope, token.ExpiresIn));
        Assert.NotNull(token.RefreshToken);
        var task = claims.GetProperty("task").GetProperty("id").GetString();
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where id = '{task}' and origin = 'session' and user_id = '{s.User}' and state = 'active'"));
    }

    [Fact]
    [Trait("Spec", "RFC9068-2.2.3.1")]
    public async Task Groups_OfThePerson_AreToldInTheirTokensAsTheyAreNow()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        await s.Agent.AttestAsync();
        var (one, two) = ("grp_1" + s.Suffix, "grp_2" + s.Suffix);
        s.File["groups"] = new JsonArray(new JsonObject { ["id"] = one, ["name"] = one }, new JsonObject { ["id"] = two, ["name"] = two });
        Assert.False(Answers.Claims((await flow.TokenAsync()).AccessToken).TryGetProperty("groups", out _));

        await BelongsToAsync(one, two);
        var (first, work) = (await flow.TokenAsync(), await s.Agent.TakeOverAsync((await flow.DelegateAsync("read", "read_file")).AccessToken));
        await BelongsToAsync(two);

        foreach (var token in new[] { first, work })
            Assert.Equal([one, two], Groups(token));
        Assert.Equal([two], Groups(await flow.RefreshAsync(first.RefreshToken!)));

        async Task BelongsToAsync(params string[] groups)
        {
            s.File["users"]![0]!["groups"] = new JsonArray([.. groups.Select(g => JsonValue.Create(g))]);
            await server.ApplyAsync(s.File.ToJsonString());
        }

        static IEnumerable<string?> Groups(TokenResponse token) => Answers.Claims(token.AccessToken).GetProperty("groups").EnumerateArray().Select(g => g.GetString());
    }

    [Fact]
    public async Task Code_OfAnAgentsClient_BecomesADelegationThatNoGuardAccepts()
    {
        var s = await server.ScenarioAsync();

        var token = await new PersonFlow(s).DelegateAsync("sort the files", "list_files", "read_file");

        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal(
            (TestServer.Issuer + "/token", s.User, s.Agent.Id), (claims.GetProperty("aud").GetString(), claims.GetProperty("sub").GetString(), claims.GetProperty("may_act").GetProperty("sub").GetString()));
        Assert.False(claims.TryGetProperty("act", out _));
        Assert.False(claims.TryGetProperty("task", out _));
        Assert.Equal(s.Resource, claims.GetProperty("authorization_details")[0].GetProperty("locations")[0].GetString());
        // An agent never holds a person's own token: there is nothing to renew this with.
        Assert.Null(token.RefreshToken);
    }

    [Fact]
    [Trait("Spec", "RFC6749-3.3")]
    [Trait("Spec", "RFC6749-5.1")]
    public async Task Code_OfAnAgentsClientThatNamedAScope_SaysWhatWasGrantedInstead()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var query = s.AuthorizeQuery(s.Agent, s.Details(["read_file", "list_files"], new() { ["purpose"] = "p" }), new Dictionary<string, string?> { ["scope"] = "openid offline_access tool:read_file" });

        var token = await flow.DelegateAsync(query);

        // No word about it would mean that all of it was.
        Assert.Equal("tool:list_files tool:read_file", token.Scope);
    }

    [Fact]
    [Trait("Attack", "66")]
    [Trait("Spec", "RFC6749-4.1.2")]
    [Trait("Spec", "RFC6749-10.5")]
    public async Task Code_UsedTwice_RevokesWhatItsFirstUseLedTo()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());
        var token = await flow.RedeemAsync(code);
        var mark = await server.NowAsync();

        await (await flow.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        var replay = Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.ReplayDetected);
        Assert.Equal(("code_reuse", s.PublicClient), (replay.Reason, replay.Client));
        var grant = Answers.Claims(token.AccessToken).GetProperty("grant").GetString();
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from grants where id = '{grant}' and state = 'revoked'"));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'grant' and subject = '{grant}' and op = 'deny'"));
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
    }

    [Fact]
    [Trait("Attack", "66")]
    public async Task DelegationCode_UsedTwice_RevokesTheWorkThatBeganWithIt()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        await s.Agent.AttestAsync();
        var code = await flow.CodeAsync(s.AuthorizeQuery("read", "read_file"));
        var delegation = await (await flow.DelegateRawAsync(code)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var work = await s.Agent.TakeOverAsync(delegation.AccessToken);

        await (await flow.DelegateRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        var grant = Answers.Claims(work.AccessToken).GetProperty("grant").GetString();
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from grants where id = '{grant}' and state = 'revoked'"));
    }

    [Fact]
    [Trait("Attack", "69")]
    [Trait("Spec", "RFC6749-4.1.3")]
    public async Task Code_OfAnotherClient_IsUnknownAndStaysGoodForItsOwner()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());

        await server.RefusedAsync(
            () => flow.DelegateRawAsync(code), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_code", AuditTypes.TokenRefused, "unknown_code");

        Assert.NotNull((await flow.RedeemAsync(code)).AccessToken);
    }

    [Theory]
    [InlineData("wrong-verifier-0123456789abcdefghijklmnopqrstuvwxyz")]
    [InlineData("short")]
    [InlineData("a verifier with characters that do not belong there 0123456789")]
    [Trait("Attack", "70")]
    [Trait("Spec", "RFC7636-4.6")]
    public async Task Verifier_ThatIsNotTheRequests_IsRefusedAndTheCodeStaysGood(string verifier)
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());

        await server.RefusedAsync(
            () => flow.RedeemRawAsync(code, new() { ["code_verifier"] = verifier }), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "wrong_verifier", AuditTypes.TokenRefused, "wrong_verifier");

        Assert.NotNull((await flow.RedeemAsync(code)).AccessToken);
    }

    [Theory]
    [InlineData("code_verifier", null, Names.Errors.InvalidRequest, null)]
    [InlineData("code", null, Names.Errors.InvalidRequest, null)]
    [InlineData("redirect_uri", "https://other.test/cb", Names.Errors.InvalidGrant, "redirect_uri")]
    [InlineData("resource", "https://elsewhere.test/mcp", Names.Errors.InvalidTarget, null)]
    [InlineData("resource", "another tool server's", Names.Errors.InvalidTarget, null)]
    [InlineData("scope", "tools:read tool:delete_file", Names.Errors.InvalidScope, null)]
    [InlineData("authorization_details", "[]", Names.Errors.InvalidAuthorizationDetails, null)]
    [Trait("Attack", "70")]
    [Trait("Attack", "72")]
    [Trait("Spec", "RFC6749-4.1.3")]
    [Trait("Spec", "RFC8707-2.2")]
    public async Task Redemption_ThatDiffersFromTheRequest_IsRefusedAndTheCodeStaysGood(string parameter, string? value, string error, string? reason)
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        value = value == "another tool server's" ? other.Resource : value;
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());

        await server.RefusedAsync(
            () => flow.RedeemRawAsync(code, new() { [parameter] = value }), HttpStatusCode.BadRequest, error, reason, AuditTypes.TokenRefused, null);

        Assert.NotNull((await flow.RedeemAsync(code)).AccessToken);
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.1.2")]
    public async Task Code_AfterItsMinute_IsExpired()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());
        server.Time.Advance(TimeSpan.FromSeconds(60));

        await server.RefusedAsync(
            () => flow.RedeemRawAsync(code), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Expired, AuditTypes.TokenRefused, Names.Reasons.Expired);
    }

    [Fact]
    [Trait("Attack", "72")]
    [Trait("Spec", "RFC8707-2.2")]
    public async Task Resource_AtTheDelegationsCode_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery("read", "read_file"));
        var form = s.Agent.AssertionForm();
        (form["grant_type"], form["code"], form["code_verifier"], form["resource"]) = ("authorization_code", code, s.Verifier, s.Resource);

        await (await s.Agent.PostFormAsync(Names.Paths.Token, form, proof: null)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidTarget);
    }

    [Fact]
    [Trait("Attack", "90")]
    public async Task Code_OfADisabledUser_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());
        await server.ApplyAsync($$"""{"users":[{"id":"{{s.User}}","name":"Ann","enabled":false}]}""");

        await (await flow.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.UserDisabled);

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where user_id = '{s.User}'"));
    }

    [Fact]
    [Trait("Attack", "90")]
    public async Task Code_OfASignInThatEnded_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery());
        await server.Services.GetRequiredService<ICommitLog>().Commit(new McpAuthServer.People.EndSession(flow.Session!.Id, server.Time.GetUtcNow(), "test"));

        await (await flow.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where user_id = '{s.User}'"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Attack", "48")]
    public async Task Answer_WhoseSignInEndedWhileItWasOnItsWay_CountsForNothing(bool disabled)
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var session = await flow.SignInAgainAsync();
        if (disabled)
            await server.ApplyAsync($$"""{"users":[{"id":"{{s.User}}","name":"Ann","enabled":false}]}""");
        else
            await server.Services.GetRequiredService<ICommitLog>().Commit(new McpAuthServer.People.EndSession(session.Id, server.Time.GetUtcNow(), "test"));

        var (result, location) = await flow.AnswerAsync(s.AuthorizeQuery());

        Assert.Equal((IssueOutcome.Ended, null), (result.Outcome, location));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}'"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Attack", "90")]
    public async Task Code_OfAConsentThatWasWithdrawn_IsRefused(bool delegation)
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(delegation ? s.AuthorizeQuery("p", "read_file") : s.AuthorizeQuery());
        var consent = Assert.Single(await server.Services.GetRequiredService<ConsentStore>().Of(s.User, default));
        await server.Services.GetRequiredService<ICommitLog>().Commit(
            new WithdrawConsent(consent.Id, s.User, new Initiator(null, null, null, Rank.User, s.User), server.Time.GetUtcNow(), "test"));

        await (delegation ? await flow.DelegateRawAsync(code) : await flow.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where user_id = '{s.User}'"));
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task Token_RedeemedWithAProof_IsBoundToItsKeyAndSoIsItsRefreshToken()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        using var key = SigningKey.Create();
        string Proof(SigningKey by) => DpopProof.Create(by, "POST", new Uri(TestServer.Issuer + "/token"), null, server.Time.GetUtcNow());
        var token = await (await flow.RedeemRawAsync(await flow.CodeAsync(s.AuthorizeQuery()), proof: Proof(key))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(key.Public.Thumbprint, Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("jkt").GetString());
        using var other = SigningKey.Create();

        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing");
        await (await flow.RefreshRawAsync(token.RefreshToken!, proof: Proof(other))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key");
        var next = await (await flow.RefreshRawAsync(token.RefreshToken!, proof: Proof(key))).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal("DPoP", next.TokenType);
    }

    [Fact]
    public async Task SessionTask_OfSeveralCodes_IsOneAndHoldsWhatAllOfThemAllow()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var first = Answers.Claims((await flow.TokenAsync()).AccessToken);

        var second = Answers.Claims((await flow.TokenAsync("tool:delete_file")).AccessToken);

        Assert.Equal(first.GetProperty("task").GetProperty("id").GetString(), second.GetProperty("task").GetProperty("id").GetString());
        // A step-up keeps what the person allowed before.
        Assert.Equal("tool:delete_file tools:read", second.GetProperty("scope").GetString());
        Assert.Equal(0, await server.ScalarAsync(
            $"select count(*) from tasks where id = '{first.GetProperty("task").GetProperty("id").GetString()}' and authority not like '%delete_file%'"));
    }

    [Fact]
    public async Task Client_NotRegisteredToRefresh_GetsNoRefreshToken()
    {
        var s = await server.ScenarioAsync();
        await server.ApplyAsync($$"""
            {"clients":[{"id":"{{s.PublicClient}}","name":"Browser client","auth_method":"none","grant_types":["authorization_code"],"redirect_uris":["{{s.RedirectUri}}"]}]}
            """);
        var flow = new PersonFlow(s);

        Assert.Null((await flow.TokenAsync()).RefreshToken);
    }
}
