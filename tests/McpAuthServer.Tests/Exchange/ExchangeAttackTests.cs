using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;
using static McpAuthServer.Tests.Harness.Exchanging;

namespace McpAuthServer.Tests.Exchange;

/// <summary>Hostile exchanges: each is refused, mints nothing, and leaves one event.</summary>
public sealed class ExchangeAttackTests(TestServer server) : IClassFixture<TestServer>
{
    private const HttpStatusCode Bad = HttpStatusCode.BadRequest;

    [Fact]
    [Trait("Attack", "93"), Trait("Spec", "RFC6749-5.2")]
    public async Task Exchange_ClientNotRegisteredForIt_IsUnauthorized()
    {
        var s = await ReadyAsync(server);
        s.File["clients"]![0]!["grant_types"] = new JsonArray("client_credentials");
        await server.ApplyAsync(s.File.ToJsonString());
        var e = await RefusedAsync(s, s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "x" })), Names.Errors.UnauthorizedClient);
        Assert.Equal((s.Agent.ClientId, s.Agent.Id), (e.Client, e.Agent));
    }

    [Fact]
    [Trait("Attack", "93")]
    public async Task Exchange_ClientOfNoAgent_IsRefused()
    {
        var s = await ReadyAsync(server);
        var mark = await server.NowAsync();
        var before = await Footprint.OfAsync(server);
        var form = s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "x" }));
        form.Remove(Names.ClientAssertion.Parameter);
        form.Remove(Names.ClientAssertion.TypeParameter);
        await (await s.ServiceTokenAsync(change: f =>
        {
            f.Clear();
            foreach (var (name, value) in form)
                f[name] = value;
        })).RefusedAsync(Bad, Names.Errors.UnauthorizedClient);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.TokenRefused, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    [Trait("Attack", "94"), Trait("Spec", "RFC8693-2.2.2")]
    public async Task Exchange_ActorThatTheSubjectsAgentMayNotHandTo_IsRefused()
    {
        // The third agent is the second one's to hand to, not the first one's.
        var s = await ReadyAsync(server, 2);
        var token = await StartAsync(s.Agent);
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(token.AccessToken, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized);
    }

    [Fact]
    [Trait("Attack", "95")]
    public async Task Exchange_ExpiredSubject_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        server.Time.Advance(TimeSpan.FromMinutes(5));
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.Expired);
    }

    [Fact]
    [Trait("Attack", "95")]
    public async Task Exchange_RevokedSubject_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var form = s.Agent.AssertionForm();
        form["token"] = token.AccessToken;
        Assert.Equal(HttpStatusCode.OK, (await s.Agent.PostFormAsync(Names.Paths.Revoke, form, proof: null)).StatusCode);
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(token.AccessToken, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.Revoked);
    }

    [Theory]
    [InlineData("another key", Names.Reasons.Foreign)]
    [InlineData("our kid, another key", Names.Reasons.BadSignature)]
    [InlineData("changed claim", Names.Reasons.BadSignature)]
    [InlineData("none", "wrong_algorithm")]
    [InlineData("public key as HMAC secret", "wrong_algorithm")]
    [InlineData("no jwt", Names.Reasons.Malformed)]
    [Trait("Attack", "95")]
    public async Task Exchange_SubjectNotSignedByThisServer_IsRefused(string how, string reason)
    {
        var s = await ReadyAsync(server, 1);
        var token = (await StartAsync(s.Agent)).AccessToken;
        using var foreign = SigningKey.Create();
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(foreign.ExportPkcs8(), out _);
        byte[] Sign(byte[] input) => ecdsa.SignData(input, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        var forged = how switch
        {
            "another key" => TokenText.Forge(token, h => h["kid"] = foreign.KeyId, c => c["iss"] = "https://elsewhere.test", Sign),
            "our kid, another key" => TokenText.Forge(token, null, null, Sign),
            "changed claim" => TokenText.Forge(token, null, c => c["sub"] = s.Agents[1].Id),
            "none" => TokenText.Forge(token, h => h["alg"] = "none", null, _ => []),
            "public key as HMAC secret" => TokenText.Forge(token, h => h["alg"] = "HS256", null, input => HMACSHA256.HashData(s.Agent.ClientKey.ExportPkcs8(), input)),
            _ => "not.a.jwt",
        };
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(forged, withActor: true), Names.Errors.InvalidRequest, reason);
    }

    [Theory]
    [InlineData("expired", Names.Reasons.Expired)]
    [InlineData("of an instance that ended", Names.Reasons.InstanceEnded)]
    [InlineData("another key", Names.Reasons.Foreign)]
    [InlineData("changed claim", Names.Reasons.BadSignature)]
    [InlineData("no jwt", Names.Reasons.Malformed)]
    [Trait("Attack", "95"), Trait("Spec", "RFC8693-2.1"), Trait("Spec", "RFC8693-2.2.2")]
    public async Task Exchange_ActorThatIsNotGood_IsRefused(string how, string reason)
    {
        var s = await ReadyAsync(server, 1);
        var taker = s.Agents[1];
        if (how == "expired")
        {
            server.Time.Advance(TimeSpan.FromMinutes(61));
            await s.Agent.AttestAsync();
        }
        var token = await StartAsync(s.Agent);
        var form = taker.ExchangeForm(token.AccessToken, withActor: true);
        if (how == "of an instance that ended")
            Assert.Equal(HttpStatusCode.NoContent, (await taker.CallAsync(HttpMethod.Delete, $"/agents/instances/{taker.Instance}")).StatusCode);
        using var foreign = SigningKey.Create();
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(foreign.ExportPkcs8(), out _);
        form[Names.Exchange.ActorToken] = how switch
        {
            "another key" => TokenText.Forge(
                taker.InstanceToken, h => h["kid"] = foreign.KeyId, null, input => ecdsa.SignData(input, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)),
            "changed claim" => TokenText.Forge(taker.InstanceToken, null, c => c["exp"] = 4_000_000_000),
            "no jwt" => "not.a.jwt",
            _ => taker.InstanceToken,
        };
        await RefusedAsync(taker, form, Names.Errors.InvalidRequest, reason);
    }

    [Theory]
    [InlineData(Names.Exchange.SubjectToken)]
    [InlineData(Names.Exchange.SubjectTokenType)]
    [InlineData(Names.Exchange.ActorToken)]
    [InlineData(Names.Exchange.ActorTokenType)]
    [Trait("Spec", "RFC8693-2.1")]
    public async Task Exchange_TokenWithoutItsTypeOrTypeWithoutItsToken_IsRefused(string missing)
    {
        var s = await ReadyAsync(server, 1);
        var form = s.Agents[1].ExchangeForm((await StartAsync(s.Agent)).AccessToken, withActor: true);
        form.Remove(missing);
        await RefusedAsync(s.Agents[1], form, Names.Errors.InvalidRequest, Names.Reasons.WrongType);
    }

    [Theory]
    [InlineData("urn:ietf:params:oauth:token-type:id_token")]
    [InlineData("urn:ietf:params:oauth:token-type:refresh_token")]
    [InlineData("urn:ietf:params:oauth:token-type:jwt")]
    [InlineData("urn:ietf:params:oauth:token-type:saml2")]
    [InlineData("access_token")]
    [InlineData("")]
    [Trait("Attack", "96"), Trait("Spec", "RFC8693-2.1")]
    public async Task Exchange_OtherTokenType_IsRefusedWhereverItStands(string type)
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        foreach (var parameter in new[] { Names.Exchange.SubjectTokenType, Names.Exchange.ActorTokenType, Names.Exchange.RequestedTokenType })
        {
            // An empty value is an absent one, and requested_token_type may be absent.
            if (type.Length == 0 && parameter == Names.Exchange.RequestedTokenType)
                continue;
            var form = s.Agents[1].ExchangeForm(token.AccessToken, withActor: true);
            form[parameter] = type;
            await RefusedAsync(s.Agents[1], form, Names.Errors.InvalidRequest, Names.Reasons.WrongType);
        }
    }

    [Fact]
    [Trait("Attack", "96")]
    public async Task Exchange_OneKindOfOwnTokenInTheOthersPlace_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var guard = await TestGuard.OfAsync(s);
        var byScope = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var (first, second) = (s.Agents[0], s.Agents[1]);

        // A task's token as actor, an instance token under an actor, a guard's token, a token by scope.
        var actor = second.ExchangeForm(token.AccessToken, withActor: true);
        actor[Names.Exchange.ActorToken] = token.AccessToken;
        await RefusedAsync(second, actor, Names.Errors.InvalidRequest, Names.Reasons.WrongType);
        await RefusedAsync(second, second.ExchangeForm(first.InstanceToken, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.WrongType);
        await RefusedAsync(second, second.ExchangeForm(guard.Token, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.WrongType);
        await RefusedAsync(second, second.ExchangeForm(byScope.AccessToken, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.WrongType);
        var assertion = second.ExchangeForm(second.Assertion());
        await RefusedAsync(second, assertion, Names.Errors.InvalidRequest, "wrong_type");
    }

    [Theory]
    [InlineData("tool:delete_file")]
    [InlineData("tool:read_file tool:delete_file")]
    [InlineData("tools:read")]
    [InlineData("tool:nothing")]
    [InlineData("offline_access")]
    [InlineData("TOOL:read_file")]
    [Trait("Attack", "98"), Trait("Spec", "RFC8693-2.2.2")]
    public async Task Exchange_ScopeBeyondTheSubjects_IsRefused(string scope)
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        foreach (var agent in s.Agents)
        {
            var form = agent.ExchangeForm(token.AccessToken, withActor: agent != s.Agent);
            form["scope"] = scope;
            await RefusedAsync(agent, form, Names.Errors.InvalidScope);
        }
    }

    [Fact]
    [Trait("Attack", "98")]
    public async Task Exchange_NarrowedAndThenWidenedAgain_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var token = await StartAsync(s.Agent);
        var form = s.Agent.ExchangeForm(token.AccessToken);
        form["scope"] = "tool:read_file";
        var narrow = await (await s.Agent.ExchangeRawAsync(form)).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal("tool:read_file", narrow.Scope);

        foreach (var agent in s.Agents)
        {
            var wider = agent.ExchangeForm(narrow.AccessToken, withActor: agent != s.Agent);
            wider["scope"] = "tool:list_files";
            await RefusedAsync(agent, wider, Names.Errors.InvalidScope);
            await RefusedAsync(agent, agent.ExchangeForm(narrow.AccessToken, agent != s.Agent, s.Details(["list_files"])), Names.Errors.InvalidAuthorizationDetails);
        }
    }

    [Fact]
    [Trait("Attack", "99"), Trait("Spec", "RFC8693-2.2.2")]
    public async Task Exchange_UnlistedOrSeveralAudiences_IsRefused()
    {
        var s = await ReadyAsync(server, 1);
        var other = await server.ScenarioAsync();
        var token = await StartAsync(s.Agent);
        var agent = s.Agents[1];
        foreach (var resource in new[] { other.Resource, "https://unknown.test/mcp", s.Resource + "/", s.Resource[..^1], TestServer.Issuer + Names.Paths.Token })
        {
            var form = agent.ExchangeForm(token.AccessToken, withActor: true);
            form["resource"] = resource;
            await RefusedAsync(agent, form, Names.Errors.InvalidTarget);
        }
        foreach (var (name, value) in new[] { ("resource", other.Resource), ("audience", other.Resource), ("audience", "files") })
        {
            using var content = new FormUrlEncodedContent(agent.ExchangeForm(token.AccessToken, withActor: true).Append(KeyValuePair.Create(name, value)));
            using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = content };
            request.Headers.Add("DPoP", agent.Proof(HttpMethod.Post, Names.Paths.Token));
            await server.RefusedAsync(() => server.Client().SendAsync(request), Bad, Names.Errors.InvalidTarget, null, AuditTypes.TokenRefused, Names.Errors.InvalidTarget);
        }
    }

    [Fact]
    [Trait("Attack", "101"), Trait("Spec", "RFC8693-4.1")]
    public async Task Exchange_CallersOwnAct_IsIgnoredAndTheTrueChainRecorded()
    {
        var s = await ReadyAsync(server, 2);
        var first = await StartAsync(s.Agent);
        var second = await s.Agents[1].TakeOverAsync(first.AccessToken);
        var form = s.Agents[2].ExchangeForm(second.AccessToken, withActor: true);
        form["act"] = """{"sub":"usr_admin"}""";
        form["may_act"] = """{"sub":"usr_admin"}""";
        form["chain"] = "usr_admin";
        form[Names.ClientAssertion.Parameter] = s.Agents[2].Assertion(new() { ["act"] = new Dictionary<string, string> { ["sub"] = "usr_admin" } });
        var mark = await server.NowAsync();

        var third = await (await s.Agents[2].ExchangeRawAsync(form)).ReadAsync(ProtocolJson.Default.TokenResponse);

        var claims = Answers.Claims(third.AccessToken);
        Assert.DoesNotContain("usr_admin", claims.GetRawText(), StringComparison.Ordinal);
        Assert.False(claims.TryGetProperty("may_act", out _));
        var act = claims.GetProperty("act");
        Assert.Equal((s.Agents[2].Id, s.Agents[1].Id), (act.GetProperty("sub").GetString(), act.GetProperty("act").GetProperty("sub").GetString()));
        Assert.False(act.GetProperty("act").TryGetProperty("act", out _));
        var issued = Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.TokenIssued);
        Assert.Equal([s.Agents[2].Id, s.Agents[1].Id], issued.Chain!);
        Assert.Equal((third.Jti(), second.Jti()), (issued.Jti, issued.Cause));
    }

    [Fact]
    [Trait("Attack", "103")]
    public async Task Exchange_AgentSuspended_IsRefusedForItAndForAllBelow()
    {
        var s = await ReadyAsync(server, 2);
        var first = await StartAsync(s.Agent);
        var second = await s.Agents[1].TakeOverAsync(first.AccessToken);
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);
        var guard = await TestGuard.OfAsync(s);
        Assert.True(await guard.IsActiveAsync(third.AccessToken));

        // The one in the middle.
        s.File["agents"]![1]!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.True(await guard.IsActiveAsync(first.AccessToken));
        Assert.False(await guard.IsActiveAsync(second.AccessToken));
        Assert.False(await guard.IsActiveAsync(third.AccessToken));
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(first.AccessToken, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.AgentSuspended);
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(third.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.AgentSuspended);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'agent' and subject = '{s.Agents[1].Id}' and op = 'deny'"));
    }

    [Fact]
    [Trait("Attack", "103")]
    public async Task Exchange_TaskEnded_IsRefusedAndItsDescendantsDie()
    {
        var s = await ReadyAsync(server, 1);
        var first = await StartAsync(s.Agent);
        var second = await s.Agents[1].TakeOverAsync(first.AccessToken);
        var guard = await TestGuard.OfAsync(s);
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{first.Task()}/fail")).ReadAsync(ProtocolJson.Default.TaskView);

        Assert.False(await guard.IsActiveAsync(first.AccessToken));
        Assert.False(await guard.IsActiveAsync(second.AccessToken));
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(first.AccessToken, withActor: true), Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
        await RefusedAsync(s.Agents[1], s.Agents[1].ExchangeForm(second.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(first.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
        Assert.Equal(2, await server.ScalarAsync($"select count(*) from revocations where kind = 'task' and subject in ('{first.Task()}', '{second.Task()}')"));
    }

    [Fact]
    [Trait("Attack", "104")]
    public async Task Exchange_RootGrantRevoked_TheWholeTreeIsInactive()
    {
        var s = await ReadyAsync(server, 2);
        var first = await StartAsync(s.Agent);
        var narrowed = s.Agent.ExchangeForm(first.AccessToken);
        narrowed["scope"] = "tool:read_file";
        var leaf = await (await s.Agent.ExchangeRawAsync(narrowed)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var second = await s.Agents[1].TakeOverAsync(first.AccessToken);
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);
        var guard = await TestGuard.OfAsync(s);

        var form = s.Agent.AssertionForm();
        form["token"] = first.AccessToken;
        Assert.Equal(HttpStatusCode.OK, (await s.Agent.PostFormAsync(Names.Paths.Revoke, form, proof: null)).StatusCode);

        foreach (var token in new[] { first, leaf, second, third })
            Assert.False(await guard.IsActiveAsync(token.AccessToken));
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(leaf.AccessToken), Names.Errors.InvalidRequest, Names.Reasons.Revoked);
        await RefusedAsync(s.Agent, s.Agent.ExchangeForm(first.AccessToken, details: s.Details(["list_files"])), Names.Errors.InvalidRequest, Names.Reasons.Revoked);
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(second.AccessToken, withActor: true), Names.Errors.InvalidRequest);
        await RefusedAsync(s.Agents[2], s.Agents[2].ExchangeForm(third.AccessToken), Names.Errors.InvalidRequest);
    }

    private Task<AuditEvent> RefusedAsync(Scenario s, Dictionary<string, string> form, string error) => RefusedAsync(s.Agent, form, error);

    private Task<AuditEvent> RefusedAsync(TestAgent agent, Dictionary<string, string> form, string error, string? reason = null)
    {
        // One assertion, one request: a form that is sent again gets a fresh one.
        form[Names.ClientAssertion.Parameter] = agent.Assertion();
        return server.RefusedAsync(() => agent.ExchangeRawAsync(form), Bad, error, reason, AuditTypes.TokenRefused, reason);
    }
}
