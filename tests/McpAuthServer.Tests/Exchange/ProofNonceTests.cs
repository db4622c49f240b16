using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Exchange;

/// <summary>A server that demands its nonce in every proof (RFC 9449 §8).</summary>
public sealed class ProofNonceTests : IAsyncLifetime
{
    private readonly TestServer server = new();

    public async Task InitializeAsync()
    {
        server.Settings["McpAuth:RequireDpopNonce"] = "true";
        await server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();

    /// <summary>Where clients authenticate, and may or must send a proof.</summary>
    public static TheoryData<string, string> Doors => new()
    {
        { Names.Paths.Token, AuditTypes.TokenRefused }, { Names.Paths.Instances, AuditTypes.InstanceRefused }, { Names.Paths.Revoke, AuditTypes.TokenRevoked },
        { Names.Paths.PushedRequests, AuditTypes.AuthorizationRefused },
    };

    [Fact]
    [Trait("Attack", "107"), Trait("Spec", "RFC9449-9")]
    public async Task UserInfo_ProofWithoutANonce_AsksForOne()
    {
        var s = await ReadyAsync();
        var site = await RelyingParty.OfAsync(s);
        var code = await new PersonFlow(s).CodeAsync(site.Query());
        using var asked = await site.RedeemRawAsync(code, null, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token));
        var token = (await site.RedeemAsync(code, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, nonce: Nonce(asked)))).AccessToken;
        HttpResponseMessage? answer = null;

        await server.RefusedAsync(
            async () => answer = await site.AskRawAsync(token, "DPoP", proof: s.Agent.Proof(HttpMethod.Get, Names.Paths.UserInfo, token)), HttpStatusCode.Unauthorized, Names.Dpop.UseNonce,
            Names.Claims.Nonce, AuditTypes.UserInfoRefused, Names.Claims.Nonce);

        Assert.Equal("DPoP error=\"use_dpop_nonce\", algs=\"ES256 RS256\"", Assert.Single(answer!.Headers.GetValues("WWW-Authenticate")));
        var proof = s.Agent.Proof(HttpMethod.Get, Names.Paths.UserInfo, token, nonce: Nonce(answer));
        Assert.Equal(s.User, (await (await site.AskRawAsync(token, "DPoP", proof: proof)).ReadAsync(ProtocolJson.Default.UserInfoResponse)).Subject);
    }

    [Theory]
    [MemberData(nameof(Doors))]
    [Trait("Attack", "107"), Trait("Spec", "RFC9449-8")]
    public async Task Door_ProofWithoutOrWithAForeignNonce_AsksForOneAndTheSameRequestWithItPasses(string path, string refused)
    {
        var s = await ReadyAsync();
        var form = path switch
        {
            Names.Paths.Token => s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" })),
            Names.Paths.PushedRequests => Pushed(s),
            Names.Paths.Revoke => new(s.Agent.AssertionForm()) { ["token"] = s.Agent.InstanceToken },
            _ => s.Agent.AssertionForm(),
        };
        var used = await server.ScalarAsync("select count(*) from used_once");
        string? given = null;
        foreach (var nonce in new[] { null, "bm9uY2UtYnktc29tZWJvZHk", "" })
        {
            HttpResponseMessage? answer = null;
            var e = await server.RefusedAsync(
                async () => answer = await s.Agent.PostFormAsync(path, form, s.Agent.Proof(HttpMethod.Post, path, nonce: nonce)),
                HttpStatusCode.BadRequest, Names.Dpop.UseNonce, Names.Claims.Nonce, refused, Names.Claims.Nonce);
            Assert.Equal(s.Agent.ClientId, e.Client);
            given = Nonce(answer!);
        }

        // Nothing was used up: the assertion is the one that was sent before.
        Assert.Equal(used, await server.ScalarAsync("select count(*) from used_once"));
        using var done = await s.Agent.PostFormAsync(path, form, s.Agent.Proof(HttpMethod.Post, path, nonce: given));
        Assert.True(done.IsSuccessStatusCode, await done.Content.ReadAsStringAsync());
        // RFC 9449 §8.2: with the answer comes the nonce for the next proof.
        Assert.Equal(given, Nonce(done));
    }

    private static Dictionary<string, string> Pushed(Scenario s)
    {
        var query = System.Web.HttpUtility.ParseQueryString(s.AuthorizeQuery("read one", "read_file"));
        return s.Agent.AssertionForm().Concat(query.AllKeys.Select(k => KeyValuePair.Create(k!, query[k]!))).ToDictionary();
    }

    /// <summary>What is called with a token; some by an agent, some by a guard.</summary>
    public static TheoryData<string, string> Apis => new()
    {
        { "/tasks", AuditTypes.TokenRefused }, { "/guard/streams", AuditTypes.GuardRefused }, { "/guard/manifest", AuditTypes.GuardRefused }, { "/introspect", AuditTypes.GuardRefused },
    };

    [Theory]
    [MemberData(nameof(Apis))]
    [Trait("Attack", "107"), Trait("Spec", "RFC9449-9")]
    public async Task Api_ProofWithoutNonce_IsChallengedAndWithItPasses(string path, string refused)
    {
        var s = await ReadyAsync();
        var guard = await GuardAsync(s);
        var (token, key) = path == "/tasks" ? (s.Agent.InstanceToken, s.Agent.Key) : (guard.Token, guard.Key);
        async Task<HttpResponseMessage> CallAsync(string? nonce)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path)
            {
                Content = path switch
                {
                    "/tasks" => JsonContent.Create(new JsonObject { ["purpose"] = "p", ["authorization_details"] = s.Details(["read_file"]) }),
                    "/guard/manifest" => JsonContent.Create(new JsonObject { ["tools"] = new JsonArray() }),
                    "/introspect" => new FormUrlEncodedContent([KeyValuePair.Create("token", "x")]),
                    _ => null,
                },
            };
            request.Headers.Authorization = new AuthenticationHeaderValue("DPoP", token);
            request.Headers.Add("DPoP", DpopProof.Create(key, "POST", new Uri(TestServer.Issuer + path), token, server.Time.GetUtcNow(), nonce));
            return await server.Client().SendAsync(request);
        }
        HttpResponseMessage? challenged = null;

        await server.RefusedAsync(async () => challenged = await CallAsync(null), HttpStatusCode.Unauthorized, Names.Dpop.UseNonce, Names.Claims.Nonce, refused, Names.Claims.Nonce);

        var challenge = Assert.Single(challenged!.Headers.WwwAuthenticate);
        Assert.Equal("DPoP", challenge.Scheme);
        Assert.Contains("error=\"use_dpop_nonce\"", challenge.Parameter, StringComparison.Ordinal);
        using var done = await CallAsync(Nonce(challenged));
        Assert.True(done.IsSuccessStatusCode, await done.Content.ReadAsStringAsync());
        Assert.NotNull(Nonce(done));
    }

    [Fact]
    [Trait("Attack", "107"), Trait("Spec", "RFC9449-8.2")]
    public async Task Nonce_LivesOneToTwoMinutes()
    {
        var s = await ReadyAsync();
        server.Time.Set(DateTimeOffset.FromUnixTimeSeconds(server.Time.GetUtcNow().ToUnixTimeSeconds() / 60 * 60 + 60));
        var nonce = await AskAsync(s);
        foreach (var (after, good) in new[] { (0, true), (59, true), (119, true), (120, false) })
        {
            server.Time.Advance(TimeSpan.FromSeconds(after - (after switch { 59 => 0, 119 => 59, 120 => 119, _ => 0 })));
            using var answer = await s.Agent.AttestRawAsync(null, s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, nonce: nonce));
            Assert.True(answer.IsSuccessStatusCode == good, $"{after} s: {await answer.Content.ReadAsStringAsync()}");
            // An answer never brings one that is about to end.
            if (after >= 60)
                Assert.NotEqual(nonce, Nonce(answer));
        }
    }

    [Fact]
    [Trait("Spec", "RFC9449-8")]
    public async Task Nonce_UsedByManyProofs_AndByAnotherKey_IsGood()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var nonce = await AskAsync(s);
        foreach (var agent in s.Agents)
            Assert.True((await agent.AttestRawAsync(null, agent.Proof(HttpMethod.Post, Names.Paths.Instances, nonce: nonce))).IsSuccessStatusCode);
        // It is no key: the proof is still used once.
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, nonce: nonce);
        Assert.True((await s.Agent.AttestRawAsync(null, proof)).IsSuccessStatusCode);
        await server.RefusedAsync(
            () => s.Agent.AttestRawAsync(null, proof), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
    }

    [Fact]
    [Trait("Attack", "107")]
    public async Task OtherChecks_FailFirst_AndTheAnswerBringsTheNonceAllTheSame()
    {
        var s = await ReadyAsync();
        using var answer = await s.Agent.AttestRawAsync(null, s.Agent.Proof(HttpMethod.Get, Names.Paths.Instances));
        await answer.RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "htm");
        Assert.NotNull(Nonce(answer));
    }

    [Fact]
    public async Task Client_WithoutProofs_IsNotAsked()
    {
        var s = await server.ScenarioAsync();
        using var answer = await s.ServiceTokenAsync();
        await answer.ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Null(Nonce(answer));
    }

    /// <summary>An attested agent.</summary>
    private async Task<Scenario> ReadyAsync()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync(await AskAsync(s));
        return s;
    }

    private static async Task<TestGuard> GuardAsync(Scenario s)
    {
        var guard = new TestGuard(s);
        await guard.EnrollAsync();
        await guard.AuthenticateAsync(nonce: await AskAsync(s));
        return guard;
    }

    /// <summary>The nonce that a refusal brings.</summary>
    private static async Task<string> AskAsync(Scenario s)
    {
        using var answer = await s.Agent.AttestRawAsync();
        await answer.RefusedAsync(HttpStatusCode.BadRequest, Names.Dpop.UseNonce);
        return Nonce(answer)!;
    }

    internal static string? Nonce(HttpResponseMessage answer) => answer.Headers.TryGetValues(Names.Dpop.Nonce, out var values) ? Assert.Single(values) : null;
}

/// <summary>A server that does not demand its nonce.</summary>
public sealed class OptionalNonceTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Attack", "107"), Trait("Spec", "RFC9449-8")]
    public async Task Nonce_NotDemanded_IsCheckedWhereItIsPresentedAndNotGivenOtherwise()
    {
        var s = await server.ScenarioAsync();
        using var plain = await s.Agent.AttestRawAsync();
        await plain.ReadAsync(ProtocolJson.Default.InstanceResponse);
        Assert.Null(ProofNonceTests.Nonce(plain));

        HttpResponseMessage? refused = null;
        await server.RefusedAsync(
            async () => refused = await s.Agent.AttestRawAsync(null, s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, nonce: "stale")),
            HttpStatusCode.BadRequest, Names.Dpop.UseNonce, Names.Claims.Nonce, AuditTypes.InstanceRefused, Names.Claims.Nonce);

        using var again = await s.Agent.AttestRawAsync(null, s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, nonce: ProofNonceTests.Nonce(refused!)));
        await again.ReadAsync(ProtocolJson.Default.InstanceResponse);
        Assert.Null(ProofNonceTests.Nonce(again));
    }
}

/// <summary>The key of nonces is in the database: one for all nodes, and for a node that comes back.</summary>
public sealed class NonceKeyTests
{
    [Fact]
    public async Task Nonce_FromBeforeARestart_IsGoodAfterIt()
    {
        await using var nodes = Nodes.OnSqlite();
        var before = await nodes.StartAsync();
        var (s, nonce) = await AskAsync(before);
        await nodes.StopAsync(before);
        await TakenAsync(s, nonce, await nodes.StartAsync(before.Time.GetUtcNow()));
    }

    internal static async Task<(Scenario, string)> AskAsync(TestServer at)
    {
        var s = await at.ScenarioAsync();
        using var answer = await s.Agent.AttestRawAsync(null, s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, nonce: "stale"));
        await answer.RefusedAsync(HttpStatusCode.BadRequest, Names.Dpop.UseNonce);
        return (s, ProofNonceTests.Nonce(answer)!);
    }

    internal static async Task TakenAsync(Scenario s, string nonce, TestServer at)
    {
        using var answer = await s.Agent.PostFormAsync(Names.Paths.Instances, s.Agent.AssertionForm(), s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, nonce: nonce), at.Client());
        await answer.ReadAsync(ProtocolJson.Default.InstanceResponse);
        // One was made, once.
        Assert.Single(await at.EventsAsync($"type = '{AuditTypes.KeyCreated}'"), e => (string?)e.Data?["kind"] == "dpop_nonce_key");
    }
}

[NeedsPostgres]
public sealed class NonceOfTwoNodesTests
{
    [SuiteFact]
    [Trait("Spec", "RFC9449-8")]
    public async Task Nonce_OfOneNode_IsGoodAtAnother_AlsoWhenItsClockIsBehind()
    {
        await using var nodes = await Nodes.OnPostgresAsync();
        var first = await nodes.StartAsync();
        var other = await nodes.StartAsync(first.Time.GetUtcNow() - TimeSpan.FromSeconds(2));
        var (s, nonce) = await NonceKeyTests.AskAsync(first);
        await other.SeeRegistryAsync();
        await NonceKeyTests.TakenAsync(s, nonce, other);
    }
}
