using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Tokens;

/// <summary>What a program is told of a person who signed in.</summary>
public sealed class IdTokenTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "OIDC-Core-2")]
    [Trait("Spec", "OIDC-Core-3.1.3.3")]
    [Trait("Spec", "OIDC-Core-3.1.3.6")]
    public async Task IdToken_OfASignIn_SaysWhoForWhomWhenAndHow()
    {
        var s = await server.ScenarioAsync();
        var (site, flow) = (await RelyingParty.OfAsync(s), new PersonFlow(s));
        var mark = await server.NowAsync();

        var answer = await site.RedeemAsync(await flow.CodeAsync(site.Query()));

        var claims = await RelyingParty.VerifyAsync(server, answer.IdToken!, "JWT");
        string? Text(string name) => claims.GetProperty(name).GetString();
        Assert.Equal((TestServer.Issuer, s.User, site.Id, site.Nonce, "pwd"), (Text("iss"), Text("sub"), Text("aud"), Text("nonce"), Text("acr")));
        Assert.Equal(("Ann", s.Person.Email), (Text("name"), Text("email")));
        var now = server.Time.GetUtcNow().ToUnixTimeSeconds();
        Assert.Equal((now, now + 300, flow.Session!.AuthTime.ToUnixTimeSeconds()), (claims.GetProperty("iat").GetInt64(), claims.GetProperty("exp").GetInt64(), claims.GetProperty("auth_time").GetInt64()));
        Assert.Equal(Base64Url.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(answer.AccessToken)).AsSpan(0, 16)), Text("at_hash"));
        // It names the sign-in without giving it away.
        Assert.NotEmpty(Text("sid")!);
        Assert.DoesNotContain(flow.Session.Id, claims.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(12, claims.EnumerateObject().Count());

        // Nothing that lasts comes with it.
        Assert.Equal(("Bearer", 300, "email openid profile", null), (answer.TokenType, answer.ExpiresIn, answer.Scope, answer.RefreshToken));
        var e = Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.TokenIssued);
        Assert.Equal((s.User, site.Id, answer.Jti(), answer.Grant(), "email openid profile"), (e.User, e.Client, e.Jti, e.Grant, (string?)e.Data!["scope"]));
        Assert.DoesNotContain(s.Person.Email, e.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openid", null, null)]
    [InlineData("openid profile", "Ann", null)]
    [InlineData("openid email nonsense", null, "email")]
    [Trait("Spec", "OIDC-Core-5.4")]
    public async Task IdToken_TellsWhatWasAskedFor(string scope, string? name, string? email)
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);

        var answer = await site.SignInAsync(site.Query(scope));

        var claims = Answers.Claims(answer.IdToken!);
        Assert.Equal(name, claims.TryGetProperty("name", out var told) ? told.GetString() : null);
        Assert.Equal(email is null ? null : s.Person.Email, claims.TryGetProperty("email", out told) ? told.GetString() : null);
        Assert.Equal(scope.Replace("openid email nonsense", "email openid", StringComparison.Ordinal), answer.Scope);
    }

    [Fact]
    public async Task IdToken_WhatThePersonLeftOut_IsNotTold()
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);

        var answer = await site.RedeemAsync(await new PersonFlow(s).CodeAsync(site.Query(), without: "email"));

        Assert.False(Answers.Claims(answer.IdToken!).TryGetProperty("email", out _));
        Assert.Equal((s.User, "Ann", null), await ToldAsync(site, answer));
    }

    /// <summary>A site that was allowed more at another time is told what it asks for this time.</summary>
    [Fact]
    public async Task IdToken_AskedForLessThanAllowed_TellsLessAndTakesNothingBack()
    {
        var s = await server.ScenarioAsync();
        var (site, flow) = (await RelyingParty.OfAsync(s), new PersonFlow(s));
        var all = await site.RedeemAsync(await flow.CodeAsync(site.Query()));

        var less = await site.RedeemAsync(await flow.CodeAsync(site.Query("openid")));

        Assert.False(Answers.Claims(less.IdToken!).TryGetProperty("name", out _));
        Assert.Equal((s.User, null, null), await ToldAsync(site, less));
        Assert.Equal((s.User, "Ann", s.Person.Email), await ToldAsync(site, all));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}' and client_id = '{site.Id}' and scope = 'email openid profile'"));
    }

    [Fact]
    public async Task ApprovingLessThanBefore_TakesTheRestBackAtOnce()
    {
        var s = await server.ScenarioAsync();
        var (site, flow) = (await RelyingParty.OfAsync(s), new PersonFlow(s));
        var all = await site.RedeemAsync(await flow.CodeAsync(site.Query()));

        await flow.CodeAsync(site.Query(), without: "email");

        await (await site.AskRawAsync(all.AccessToken)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Revoked);
    }

    [Fact]
    [Trait("Spec", "RFC9068-3")]
    public async Task IdToken_BesideAToolServersToken_LeavesThatTokenAsItIs()
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);

        // What mcp-remote falls back to: words about the person and a resource.
        var answer = await site.SignInAsync(site.Query(new Dictionary<string, string?> { ["resource"] = s.Resource, ["scope"] = "openid email profile groups offline" }));

        var claims = Answers.Claims(answer.AccessToken);
        Assert.Equal((s.Resource, "tools:read", true), (claims.GetProperty("aud").GetString(), claims.GetProperty("scope").GetString(), claims.GetProperty("step_up").GetBoolean()));
        Assert.StartsWith("tsk_", answer.Task(), StringComparison.Ordinal);
        foreach (var absent in new[] { "name", "email", "nonce" })
            Assert.False(claims.TryGetProperty(absent, out _), absent);
        Assert.Equal("email openid profile tools:read", answer.Scope);
        var told = await RelyingParty.VerifyAsync(server, answer.IdToken!, "JWT");
        Assert.Equal((site.Id, "Ann", s.Person.Email), (told.GetProperty("aud").GetString(), told.GetProperty("name").GetString(), told.GetProperty("email").GetString()));
        // Not for this server's own endpoint: it has the tool server's audience and no other.
        await (await site.AskRawAsync(answer.AccessToken)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "wrong_audience");

        // A renewal renews the access, and tells nothing anew.
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "refresh_token", ["refresh_token"] = answer.RefreshToken! }),
        };
        request.Headers.Authorization = site.Basic;
        var renewed = await (await server.Client().SendAsync(request)).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal((null, "tools:read", "tools:read"), (renewed.IdToken, renewed.Scope, Answers.Claims(renewed.AccessToken).GetProperty("scope").GetString()));
    }

    [Fact]
    public async Task StepUp_ByAProgramThatMayKnowThePerson_TellsNothingUnaskedAndEndsNothing()
    {
        var s = await server.ScenarioAsync();
        var (site, flow) = (await RelyingParty.OfAsync(s), new PersonFlow(s));
        Dictionary<string, string?> Asking(string scope) => new() { ["resource"] = s.Resource, ["scope"] = scope };
        var first = await site.RedeemAsync(await flow.CodeAsync(site.Query(Asking("openid profile tools:read"))));

        var more = await site.RedeemAsync(await flow.CodeAsync(site.Query(Asking("tools:read tool:delete_file"))));

        Assert.Null(more.IdToken);
        Assert.Equal("tool:delete_file tools:read", more.Scope);
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(first.AccessToken));
    }

    [Fact]
    public async Task WithoutAResource_TheClientsOnlyToolServerIsMeant()
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s, change: c => c["tool_servers"] = new JsonArray(s.ToolServer));

        var answer = await site.SignInAsync();

        Assert.Equal(s.Resource, Answers.Claims(answer.AccessToken).GetProperty("aud").GetString());
        Assert.NotNull(answer.IdToken);
    }

    [Theory]
    [InlineData("profile email")]
    [InlineData("openid tools:read")]
    [InlineData("openid tool:read_file")]
    [InlineData(null)]
    public async Task WithoutAResource_WhateverIsNotForIdentityAlone_IsRefused(string? scope)
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);

        var (error, _) = await server.RefusedAuthorizationAsync(s, site.Query(new Dictionary<string, string?> { ["scope"] = scope }), redirect: site.RedirectUri);

        Assert.Equal(Names.Errors.InvalidTarget, error);
    }

    [Theory]
    [InlineData("resource", null, Names.Errors.InvalidTarget)]
    [InlineData("scope", "openid email", Names.Errors.InvalidScope)]
    [InlineData("scope", "openid tools:read", Names.Errors.InvalidScope)]
    [InlineData("scope", "profile", Names.Errors.InvalidScope)]
    [Trait("Attack", "72")]
    public async Task Code_RedeemedForMoreThanIdentity_IsRefusedAndStaysGood(string name, string? value, string error)
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);
        var code = await new PersonFlow(s).CodeAsync(site.Query("openid profile"));

        await server.RefusedAsync(
            () => site.RedeemRawAsync(code, new() { [name] = value ?? s.Resource }), HttpStatusCode.BadRequest, error, null, AuditTypes.TokenRefused, error);

        var less = await (await site.RedeemRawAsync(code, new() { ["scope"] = "openid" })).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(("openid", false), (less.Scope, Answers.Claims(less.IdToken!).TryGetProperty("name", out _)));
    }

    [Fact]
    [Trait("Attack", "66")]
    public async Task Code_ForIdentityUsedTwice_RevokesWhatItsFirstUseLedTo()
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);
        var code = await new PersonFlow(s).CodeAsync(site.Query());
        var first = await site.RedeemAsync(code);
        var mark = await server.NowAsync();

        await (await site.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        Assert.Equal(
            [(AuditTypes.ReplayDetected, "code_reuse"), (AuditTypes.GrantRevoked, "code_reuse")], (await server.SinceAsync(mark)).Select(e => (e.Type, e.Reason!)));
        await (await site.AskRawAsync(first.AccessToken)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Revoked);
    }

    [Fact]
    [Trait("Attack", "90")]
    public async Task Code_OfAPersonDisabledMeanwhile_TellsNothing()
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);
        var code = await new PersonFlow(s).CodeAsync(site.Query());
        s.File["users"]![0]!["enabled"] = false;
        await server.ApplyAsync(s.File.ToJsonString());

        await server.RefusedAsync(
            () => site.RedeemRawAsync(code), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.UserDisabled, AuditTypes.TokenRefused, Names.Reasons.UserDisabled);
    }

    [Fact]
    [Trait("Attack", "96")]
    [Trait("Attack", "123")]
    public async Task IdToken_InThePlaceOfAnAccessToken_OpensNothing()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var (site, guard) = (await RelyingParty.OfAsync(s), await TestGuard.OfAsync(s));
        foreach (var query in new[] { site.Query(), site.Query(new Dictionary<string, string?> { ["resource"] = s.Resource }) })
        {
            var idToken = (await site.SignInAsync(query)).IdToken!;

            await server.RefusedAsync(() => site.AskRawAsync(idToken), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "wrong_type", AuditTypes.UserInfoRefused, "wrong_type");
            await server.RefusedAsync(
                () => s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Tasks, new JsonObject(), token: idToken), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "wrong_type",
                AuditTypes.TokenRefused, "wrong_type");
            Assert.False(await guard.IsActiveAsync(idToken));
            foreach (var (parameter, form) in new[] { ("subject_token", s.Agent.ExchangeForm(idToken)), ("subject_token", s.Agent.ExchangeForm(idToken, withActor: true)), ("actor_token", s.Agent.ExchangeForm(withActor: true)) })
            {
                form[parameter] = idToken;
                await server.RefusedAsync(
                    () => s.Agent.ExchangeRawAsync(form), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, "wrong_type", AuditTypes.TokenRefused, "wrong_type");
            }
        }
    }

    [Fact]
    [Trait("Attack", "96")]
    public async Task IdentitysAccessToken_AnywhereElse_OpensNothing()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var (site, guard) = (await RelyingParty.OfAsync(s), await TestGuard.OfAsync(s));
        var bound = await site.RedeemAsync(await new PersonFlow(s).CodeAsync(site.Query()), s.Agent.Proof(HttpMethod.Post, Names.Paths.Token));
        var claims = Answers.Claims(bound.AccessToken);
        Assert.Equal(
            (TestServer.Issuer + "/userinfo", s.User, site.Id, "email openid profile"),
            (claims.GetProperty("aud").GetString(), claims.GetProperty("sub").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("scope").GetString()));

        await server.RefusedAsync(
            () => s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Tasks, new JsonObject(), token: bound.AccessToken), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "wrong_audience",
            AuditTypes.TokenRefused, "wrong_audience");
        Assert.False(await guard.IsActiveAsync(bound.AccessToken));
        await server.RefusedAsync(
            () => s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(bound.AccessToken)), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.NotPresenter,
            AuditTypes.TokenRefused, Names.Reasons.NotPresenter);
        await server.RefusedAsync(
            () => s.Agent.TakeOverRawAsync(bound.AccessToken), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.WrongType, AuditTypes.TokenRefused, Names.Reasons.WrongType);
    }

    [Fact]
    [Trait("Attack", "92")]
    [Trait("Attack", "162")]
    public async Task IdToken_IsNeitherStoredNorLogged()
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);

        var answer = await site.SignInAsync();
        await site.AskAsync(answer.AccessToken);

        foreach (var token in new[] { answer.IdToken!, answer.AccessToken })
        {
            var signature = token.Split('.')[2];
            Assert.DoesNotContain(server.Logs.Lines, line => line.Contains(signature, StringComparison.Ordinal));
            foreach (var e in await server.EventsAsync())
                Assert.DoesNotContain(signature, JsonSerializer.Serialize(e), StringComparison.Ordinal);
        }
    }

    private static async Task<(string, string?, string?)> ToldAsync(RelyingParty site, TokenResponse answer)
    {
        var told = await site.AskAsync(answer.AccessToken);
        return (told.Subject, told.Name, told.Email);
    }
}

/// <summary>A server whose keys are RSA.</summary>
public sealed class RsaServer : IAsyncLifetime
{
    public TestServer Server { get; } = new();

    public Task InitializeAsync()
    {
        Server.Settings["McpAuth:SigningAlgorithm"] = "RS256";
        return Server.InitializeAsync();
    }

    public Task DisposeAsync() => Server.DisposeAsync();
}

public sealed class RsaIdTokenTests(RsaServer rsa) : IClassFixture<RsaServer>
{
    [Fact]
    [Trait("Spec", "OIDC-Core-3.1.3.7")]
    public async Task IdToken_SignedWithRsa_IsWhatTheMetadataSays()
    {
        var s = await rsa.Server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s);

        var answer = await site.SignInAsync();

        Assert.Equal(s.User, (await RelyingParty.VerifyAsync(rsa.Server, answer.IdToken!, "JWT")).GetProperty("sub").GetString());
        Assert.Equal("RS256", JsonElement.Parse(Encoding.UTF8.GetString(Decode(answer.IdToken!.Split('.')[0]))).GetProperty("alg").GetString());
        var metadata = JsonElement.Parse(await rsa.Server.Client().GetStringAsync(Names.Paths.OpenIdMetadata));
        Assert.Equal(["RS256"], metadata.GetProperty("id_token_signing_alg_values_supported").EnumerateArray().Select(v => v.GetString()!));
    }

    private static byte[] Decode(string part) => Base64Url.TryDecode(part, out var bytes) ? bytes : throw new FormatException(part);
}
