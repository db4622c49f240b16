using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.UserInfo;

public abstract class UserInfoSuite
{
    protected abstract TestServer Server { get; }

    [SuiteFact]
    [Trait("Spec", "OIDC-Core-5.3.1")]
    [Trait("Spec", "OIDC-Core-5.3.2")]
    public async Task UserInfo_ByGetAndByPost_TellsWhatWasGrantedAsItIsNow()
    {
        var (s, site, answer) = await ReadyAsync();
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Post })
        {
            using var told = await site.AskRawAsync(answer.AccessToken, method: method);
            Assert.Equal("application/json", told.Content.Headers.ContentType?.MediaType);
            Assert.True(told.Headers.CacheControl?.NoStore);
            Assert.Equal(new UserInfoResponse(s.User, "Ann", s.Person.Email), await told.ReadAsync(ProtocolJson.Default.UserInfoResponse));
        }

        // OpenID Connect Core §5.3.2: the subject is the ID token's.
        Assert.Equal(Answers.Claims(answer.IdToken!).GetProperty("sub").GetString(), s.User);

        s.File["users"]![0]!["name"] = "Ann Other";
        await Server.ApplyAsync(s.File.ToJsonString());
        Assert.Equal("Ann Other", (await site.AskAsync(answer.AccessToken)).Name);
    }

    [SuiteFact]
    [Trait("Attack", "120")]
    public async Task UserInfo_AfterAnythingItsTokenStandsOnEnded_SaysNothingOnAnyNode()
    {
        var other = await OtherAsync();
        foreach (var end in new[] { "revoked", "withdrawn", "withdrawn twice over", "disabled", "client" })
        {
            var (s, site, answer) = await ReadyAsync();
            await other.SeeRegistryAsync();
            Assert.Equal(s.User, (await site.AskAsync(answer.AccessToken, other.Client())).Subject);
            if (end == "revoked")
                await RevokeAsync(site, answer.AccessToken);
            if (end.StartsWith("withdrawn", StringComparison.Ordinal))
            {
                if (end != "withdrawn")
                    await RevokeAsync(site, answer.AccessToken);
                var browser = await s.BrowserAsync();
                var done = await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: "/withdraw");
                Assert.Equal(HttpStatusCode.SeeOther, done.Status);
            }
            if (end == "disabled")
                s.File["users"]![0]!["enabled"] = false;
            await Server.ApplyAsync(s.File.ToJsonString());
            if (end == "client")
                await RelyingParty.OfAsync(s, change: c => c["state"] = "suspended");
            foreach (var node in new[] { other, Server })
                await (await site.AskRawAsync(answer.AccessToken, client: node.Client())).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Revoked);
        }
    }

    private protected virtual Task<TestServer> OtherAsync() => Task.FromResult(Server);

    private protected async Task<(Scenario, RelyingParty, TokenResponse)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);
        return (s, site, await site.SignInAsync());
    }

    private protected async Task RevokeAsync(RelyingParty site, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Revoke) { Content = new FormUrlEncodedContent([KeyValuePair.Create("token", token)]) };
        request.Headers.Authorization = site.Basic;
        Assert.Equal(HttpStatusCode.OK, (await Server.Client().SendAsync(request)).StatusCode);
    }
}

public sealed class UserInfoOnSqliteTests(TestServer server) : UserInfoSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;

    [Fact]
    [Trait("Spec", "RFC6750-3.1")]
    public async Task UserInfo_WithoutAToken_IsChallengedWithoutAnError()
    {
        var (_, site, answer) = await ReadyAsync();
        foreach (var (path, header, form) in new[]
        {
            ("/userinfo", null, null), ("/userinfo", "Basic " + site.Basic.Parameter, null), ("/userinfo", "Bearer", null), ("/userinfo", answer.AccessToken, null),
            // Where a token would end in logs it is not looked for.
            ($"/userinfo?access_token={answer.AccessToken}", null, null), ("/userinfo", (string?)null, $"access_token={answer.AccessToken}"),
        })
        {
            using var request = new HttpRequestMessage(form is null ? HttpMethod.Get : HttpMethod.Post, path);
            if (header is not null)
                request.Headers.TryAddWithoutValidation("Authorization", header);
            if (form is not null)
                request.Content = new StringContent(form, null, "application/x-www-form-urlencoded");
            HttpResponseMessage? refused = null;

            await server.RefusedAsync(async () => refused = await server.Client().SendAsync(request), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Malformed, AuditTypes.UserInfoRefused, Names.Reasons.Malformed);

            // RFC 6750 §3: the scheme is followed by a parameter at least, also where there is no error to name.
            Assert.Equal(["Bearer realm=\"userinfo\"", "DPoP algs=\"ES256 RS256\""], refused!.Headers.WwwAuthenticate.Select(c => c.ToString()));
        }
    }

    [Fact]
    [Trait("Attack", "127"), Trait("Spec", "RFC6750-3.1")]
    public async Task UserInfo_WithTwoAuthorizationHeaders_SaysNothing()
    {
        var (_, _, answer) = await ReadyAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, Names.Paths.UserInfo);
        foreach (var token in new[] { "garbage", answer.AccessToken })
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");

        HttpResponseMessage? refused = null;

        await server.RefusedAsync(
            async () => refused = await server.Client().SendAsync(request), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.Malformed, AuditTypes.UserInfoRefused, Names.Reasons.Malformed);

        Assert.Equal("Bearer error=\"invalid_request\"", Assert.Single(refused!.Headers.WwwAuthenticate).ToString());
    }

    [Fact]
    public async Task UserInfo_WithAnotherTokenOfThisServer_SaysNothing()
    {
        var (s, site, answer) = await ReadyAsync();
        await s.Agent.AttestAsync();
        var flow = new PersonFlow(s);
        var (tool, guard) = (await flow.TokenAsync("tools:read offline_access"), await TestGuard.OfAsync(s));
        foreach (var (token, reason) in new[]
        {
            (tool.AccessToken, "wrong_audience"), ((await flow.DelegateAsync("p", "read_file")).AccessToken, "wrong_audience"), (s.Agent.InstanceToken, "wrong_audience"), (guard.Token, "wrong_audience"),
            (answer.IdToken!, Names.Reasons.WrongType), (tool.RefreshToken!, Names.Reasons.Malformed), (s.Agent.Assertion(), Names.Reasons.WrongType),
            (TokenText.Forge(answer.AccessToken, null, c => c["sub"] = "usr_other"), Names.Reasons.BadSignature),
        })
        {
            var e = await server.RefusedAsync(() => site.AskRawAsync(token), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, reason, AuditTypes.UserInfoRefused, reason);
            Assert.Equal(reason == "wrong_audience", e.Client is not null);
        }
    }

    [Fact]
    [Trait("Attack", "111")]
    [Trait("Spec", "RFC9449-7.2")]
    public async Task UserInfo_OneFormOfTokenAsTheOther_SaysNothing()
    {
        var (s, site, plain) = await ReadyAsync();
        var bound = await BoundAsync(s, site);
        Assert.Equal("DPoP", bound.TokenType);

        await RefusedAsync(() => site.AskRawAsync(bound.AccessToken), Names.Errors.InvalidToken, "wrong_scheme", "Bearer error=\"invalid_token\"");
        await RefusedAsync(
            () => site.AskRawAsync(plain.AccessToken, "DPoP", proof: s.Agent.Proof(HttpMethod.Get, Names.Paths.UserInfo, plain.AccessToken)), Names.Errors.InvalidToken, "wrong_scheme",
            "DPoP error=\"invalid_token\", algs=\"ES256 RS256\"");
        Assert.Equal(s.User, (await AskBoundAsync(s, site, bound)).Subject);
    }

    [Fact]
    [Trait("Attack", "108")]
    [Trait("Attack", "110")]
    [Trait("Spec", "RFC9449-7.1")]
    public async Task UserInfo_BoundToken_NeedsAFreshProofByItsKey()
    {
        var (s, site, _) = await ReadyAsync();
        var bound = await BoundAsync(s, site);
        const string dpop = "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 RS256\"";

        await RefusedAsync(() => site.AskRawAsync(bound.AccessToken, "DPoP"), Names.Errors.InvalidDpopProof, null, dpop);
        using var other = SigningKey.Create();
        await RefusedAsync(
            () => site.AskRawAsync(bound.AccessToken, "DPoP", proof: s.Agent.Proof(HttpMethod.Get, Names.Paths.UserInfo, bound.AccessToken, other)), Names.Errors.InvalidToken, "wrong_key",
            "DPoP error=\"invalid_token\", algs=\"ES256 RS256\"");
        await RefusedAsync(() => site.AskRawAsync(bound.AccessToken, "DPoP", proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.UserInfo, bound.AccessToken)), Names.Errors.InvalidDpopProof, null, dpop);

        var proof = s.Agent.Proof(HttpMethod.Get, Names.Paths.UserInfo, bound.AccessToken);
        await (await site.AskRawAsync(bound.AccessToken, "DPoP", proof: proof)).ReadAsync(ProtocolJson.Default.UserInfoResponse);
        await server.RefusedAsync(
            () => site.AskRawAsync(bound.AccessToken, "DPoP", proof: proof), HttpStatusCode.Unauthorized, Names.Errors.InvalidDpopProof, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
    }

    [Fact]
    public async Task UserInfo_FiveMinutesLater_SaysNothing()
    {
        var (_, site, answer) = await ReadyAsync();
        server.Time.Advance(TimeSpan.FromMinutes(5));

        await RefusedAsync(() => site.AskRawAsync(answer.AccessToken), Names.Errors.InvalidToken, Names.Reasons.Expired, "Bearer error=\"invalid_token\"");
    }

    [Fact]
    [Trait("Attack", "118")]
    public async Task Revoke_AnotherSitesToken_Is200AndHasNoEffect()
    {
        var (s, site, answer) = await ReadyAsync();
        var other = await RelyingParty.OfAsync(s, "other");
        var mark = await server.NowAsync();

        await RevokeAsync(other, answer.AccessToken);

        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.TokenRevoked, "refused", Names.Reasons.NotPresenter, other.Id), (e.Type, e.Outcome, e.Reason, e.Client));
        Assert.Equal(s.User, (await site.AskAsync(answer.AccessToken)).Subject);
    }

    private static async Task<TokenResponse> BoundAsync(Scenario s, RelyingParty site) =>
        await site.RedeemAsync(await new PersonFlow(s).CodeAsync(site.Query()), s.Agent.Proof(HttpMethod.Post, Names.Paths.Token));

    private static async Task<UserInfoResponse> AskBoundAsync(Scenario s, RelyingParty site, TokenResponse bound) =>
        await (await site.AskRawAsync(bound.AccessToken, "DPoP", proof: s.Agent.Proof(HttpMethod.Get, Names.Paths.UserInfo, bound.AccessToken))).ReadAsync(ProtocolJson.Default.UserInfoResponse);

    private async Task RefusedAsync(Func<Task<HttpResponseMessage>> ask, string error, string? reason, string challenge)
    {
        HttpResponseMessage? refused = null;
        await server.RefusedAsync(async () => refused = await ask(), HttpStatusCode.Unauthorized, error, reason, AuditTypes.UserInfoRefused, reason);
        Assert.Equal(challenge, Assert.Single(refused!.Headers.GetValues("WWW-Authenticate")));
    }
}

[NeedsPostgres]
public sealed class UserInfoOnPostgresTests(PostgresServer postgres) : UserInfoSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> OtherAsync() => postgres.AnotherAsync();
}
