using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Attestation;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Attestation;

/// <summary>Programs that their platform vouches for: each kind of evidence, good and bad.</summary>
public sealed class WorkloadTests(OnTheInternet world) : IClassFixture<OnTheInternet>
{
    private TestServer Server => world.Server;

    public static TheoryData<string> Kinds => [.. TestPlatform.Kinds];

    private async Task<(Scenario, TestPlatform)> SceneAsync(string kind = "kubernetes")
    {
        var s = await Server.ScenarioAsync();
        var platform = TestPlatform.Of(kind, s, world.Internet);
        await platform.RegisterAsync();
        return (s, platform);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Evidence_OfEveryKind_MakesAnInstanceThatWorks(string kind)
    {
        var (s, platform) = await SceneAsync(kind);
        var mark = await Server.NowAsync();

        var answer = await platform.AttestAsync();

        var instance = await answer.ReadAsync(ProtocolJson.Default.InstanceResponse);
        Assert.Equal((HttpStatusCode.Created, s.Agent.Id, platform.Client), (answer.StatusCode, instance.Agent, instance.ClientId));
        var e = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal((AuditTypes.InstanceAttested, s.Agent.Id, platform.Client, kind), (e.Type, e.Agent, e.Client, (string?)e.Data!["evidence"]));

        // It authenticates with its own key, and its token says what it is.
        var assertion = s.Agent.Assertion(new() { ["iss"] = platform.Client, ["sub"] = platform.Client }, key: s.Agent.Key);
        var token = await (await s.Agent.ExchangeRawAsync(Exchange(s, instance.AccessToken, assertion))).ReadAsync(ProtocolJson.Default.TokenResponse);
        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal((s.Agent.Id, platform.Client), (claims.GetProperty("sub").GetString(), claims.GetProperty("client_id").GetString()));
        var context = claims.GetProperty("agent_ctx");
        Assert.Equal((instance.Instance, "platform"), (context.GetProperty("instance").GetString(), context.GetProperty("assurance").GetString()));
        Assert.Equal((string?)e.Data["workload"], context.GetProperty("workload").GetString());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Evidence_ThatDiffersInOneSelector_IsOfNobody(string kind)
    {
        var (_, platform) = await SceneAsync(kind);
        foreach (var selector in platform.Select.Select(p => p.Key).Where(name => name is not ("sub" or "spiffe_id")))
            await RefusedAsync(platform, platform.Token(c => Change(c, platform.Select[selector]!.GetValue<string>())), EvidenceVerifier.NoBinding, Names.Reasons.Malformed);
        await RefusedAsync(platform, platform.Token(c => c["sub"] = kind == "spiffe" ? c["sub"] + "/other" : kind == "aws" ? "arn:aws:iam::1:role/x" : "another"),
            kind is "azure" or "github" ? null : EvidenceVerifier.NoBinding, Names.Reasons.Malformed);
    }

    public static TheoryData<string, string> Broken => new()
    {
        { "for another server", EvidenceVerifier.WrongAudience }, { "for two servers", EvidenceVerifier.WrongAudience }, { "for nobody", EvidenceVerifier.WrongAudience },
        { "over", Names.Reasons.Expired }, { "without an end", Names.Reasons.Expired }, { "good for two hours", EvidenceVerifier.TooLong }, { "not yet", EvidenceVerifier.NotYet },
        { "from the future", EvidenceVerifier.NotYet }, { "of a stranger", EvidenceVerifier.UnknownIssuer }, { "by another key", Names.Reasons.BadSignature },
        { "an access token", "wrong_type" }, { "an ID-JAG", "wrong_type" }, { "no token", Names.Reasons.Malformed },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task Evidence_BrokenInOneThing_IsRefusedForIt(string how, string reason)
    {
        var (_, platform) = await SceneAsync();
        long In(int minutes) => Server.Time.GetUtcNow().AddMinutes(minutes).ToUnixTimeSeconds();
        using var other = SigningKey.Create("RS256");
        await RefusedAsync(platform, how switch
        {
            "for another server" => platform.Token(c => c["aud"] = "https://other.test"),
            "for two servers" => platform.Token(c => c["aud"] = new JsonArray(TestServer.Issuer, "https://other.test")),
            "for nobody" => platform.Token(c => c.Remove("aud")),
            "over" => platform.Token(c => c["exp"] = In(-1)),
            "without an end" => platform.Token(c => c.Remove("exp")),
            "good for two hours" => platform.Token(c => c["exp"] = In(120)),
            "not yet" => platform.Token(c => c["nbf"] = In(2)),
            "from the future" => platform.Token(c => c["iat"] = In(2)),
            "of a stranger" => platform.Token(c => c["iss"] = "https://stranger.test"),
            "by another key" => platform.Token(key: other),
            "an access token" => platform.Token(type: "at+jwt"),
            "an ID-JAG" => platform.Token(type: "oauth-id-jag+jwt"),
            _ => "no token",
        }, reason);
    }

    [Fact]
    public async Task Evidence_OfAnIssuerThatIsSuspended_IsRefused()
    {
        var (_, platform) = await SceneAsync();
        await platform.RegisterAsync(issuer => issuer["state"] = "suspended");
        await RefusedAsync(platform, platform.Token(), EvidenceVerifier.UnknownIssuer);
    }

    [Fact]
    public async Task Evidence_ThatTwoBindingsAdmit_IsRefused()
    {
        var (_, platform) = await SceneAsync();
        await platform.RegisterAsync(trust: bindings =>
        {
            var wider = platform.Binding();
            wider["select"]!.AsObject().Remove("namespace");
            bindings.Add(wider);
        });
        await RefusedAsync(platform, platform.Token(), EvidenceVerifier.Ambiguous);
    }

    [Fact]
    public async Task Evidence_PresentedAgain_IsGoodWithItsFirstKeyAlone()
    {
        var (s, platform) = await SceneAsync();
        var token = platform.Token();
        var first = await (await platform.AttestAsync(token)).ReadAsync(ProtocolJson.Default.InstanceResponse);

        var again = await platform.AttestAsync(token);
        Assert.Equal((HttpStatusCode.OK, first.Instance), (again.StatusCode, (await again.ReadAsync(ProtocolJson.Default.InstanceResponse)).Instance));

        using var thief = SigningKey.Create();
        await Server.RefusedAsync(() => platform.AttestAsync(token, thief), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Attesting.OtherKey,
            AuditTypes.InstanceRefused, Attesting.OtherKey);
    }

    [Fact]
    public async Task Key_OfAnotherProgramOfTheSameAgent_IsRefused()
    {
        var (s, platform) = await SceneAsync("oidc");
        await platform.RegisterAsync(trust: bindings => bindings.Add(new JsonObject
        {
            ["issuer"] = platform.Id, ["client"] = platform.Client, ["select"] = new JsonObject { ["sub"] = "second" },
        }));
        await (await platform.AttestAsync()).ReadAsync(ProtocolJson.Default.InstanceResponse);
        await Server.RefusedAsync(() => platform.AttestAsync(platform.Token(c => c["sub"] = "second")), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest,
            Attesting.OtherProgram, AuditTypes.InstanceRefused, Attesting.OtherProgram);
    }

    [Fact]
    public async Task Evidence_BesideAClientsCredential_IsRefused()
    {
        var (s, platform) = await SceneAsync();
        await Server.RefusedAsync(() => platform.AttestAsync(more: s.Agent.AssertionForm()), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, "two_methods",
            AuditTypes.InstanceRefused, "two_methods");
    }

    [Fact]
    public async Task Evidence_OfAnAgentThatIsSuspended_IsRefused()
    {
        var (s, platform) = await SceneAsync();
        s.File["agents"]![0]!["state"] = "suspended";
        await platform.RegisterAsync();
        await Server.RefusedAsync(() => platform.AttestAsync(), HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, Names.Reasons.AgentSuspended,
            AuditTypes.InstanceRefused, Names.Reasons.AgentSuspended);
    }

    /// <summary>An instance's key says who it is, not that its program is still what it was.</summary>
    [Fact]
    public async Task InstanceKey_AsEvidence_IsRefused()
    {
        var (s, platform) = await SceneAsync();
        await (await platform.AttestAsync()).ReadAsync(ProtocolJson.Default.InstanceResponse);
        var form = new Dictionary<string, string>
        {
            [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer,
            [Names.ClientAssertion.Parameter] = s.Agent.Assertion(new() { ["iss"] = platform.Client, ["sub"] = platform.Client }, key: s.Agent.Key),
        };
        await Server.RefusedAsync(() => s.Agent.AttestRawAsync(form), HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, null, AuditTypes.InstanceRefused,
            Names.Errors.UnauthorizedClient);
    }

    [Fact]
    public async Task InstanceKey_OfAnInstanceThatEnded_AuthenticatesNobody()
    {
        var (s, platform) = await SceneAsync();
        var instance = await (await platform.AttestAsync()).ReadAsync(ProtocolJson.Default.InstanceResponse);
        Server.Time.Advance(TimeSpan.FromMinutes(61));
        var assertion = s.Agent.Assertion(new() { ["iss"] = platform.Client, ["sub"] = platform.Client }, key: s.Agent.Key);
        await (await s.Agent.ExchangeRawAsync(Exchange(s, instance.AccessToken, assertion))).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null);
    }

    /// <summary>What a program says of its key beside the key itself is nobody's to keep.</summary>
    [Fact]
    public async Task InstanceKey_WithALongName_AuthenticatesLikeAnyOther()
    {
        var (s, platform) = await SceneAsync();
        var now = Server.Time.GetUtcNow();
        var jwk = JsonNode.Parse(s.Agent.Key.Public.Jwk.GetRawText())!.AsObject();
        jwk["kid"] = new string('k', 5000);
        var header = new JsonObject { ["typ"] = "dpop+jwt", ["alg"] = "ES256", ["jwk"] = jwk };
        var claims = new JsonObject
        {
            ["jti"] = Id.New("jti_", now), ["htm"] = "POST", ["htu"] = TestServer.Issuer + Names.Paths.Instances, ["iat"] = now.ToUnixTimeSeconds(),
        };
        var proof = Forge.Es256(s.Agent.Key, header.ToJsonString(), claims.ToJsonString());
        var instance = await (await s.Agent.AttestRawAsync(new() { ["assertion"] = platform.Token() }, proof)).ReadAsync(ProtocolJson.Default.InstanceResponse);

        var assertion = s.Agent.Assertion(new() { ["iss"] = platform.Client, ["sub"] = platform.Client }, key: s.Agent.Key);
        await (await s.Agent.ExchangeRawAsync(Exchange(s, instance.AccessToken, assertion))).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    public async Task ServiceAccount_OfWhichTheTokenContradictsItself_IsRefused()
    {
        var (_, platform) = await SceneAsync();
        await RefusedAsync(platform, platform.Token(c => c["sub"] = "system:serviceaccount:prod:admin"), Names.Reasons.Malformed);
    }

    /// <summary>A SPIFFE id is its trust domain's: what the token says of its issuer counts for nothing, and another issuer's keys do not either.</summary>
    [Fact]
    public async Task SpiffeId_SignedByAnotherIssuer_IsRefused()
    {
        var (s, spiffe) = await SceneAsync("spiffe");
        var oidc = TestPlatform.Of("oidc", s, world.Internet);
        await oidc.RegisterAsync(trust: bindings => bindings.Add(spiffe.Binding()));
        Assert.Equal(HttpStatusCode.Created, (await spiffe.AttestAsync(spiffe.Token(c => c["iss"] = oidc.Issuer))).StatusCode);
        await RefusedAsync(spiffe, spiffe.Token(c => c["iss"] = oidc.Issuer, oidc.Key), Names.Reasons.BadSignature);
    }

    private async Task RefusedAsync(TestPlatform platform, string token, string? reason, string? or = null)
    {
        using var key = SigningKey.Create();
        if (reason is null)
        {
            Assert.Equal(HttpStatusCode.Created, (await platform.AttestAsync(token, key)).StatusCode);
            return;
        }
        var mark = await Server.NowAsync();
        var before = await Footprint.OfAsync(Server);
        var answer = await platform.AttestAsync(token, key);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        Assert.Equal(Names.Errors.InvalidGrant, (string?)body["error"]);
        var said = (string?)body["mcpauth_reason"];
        Assert.True(said == reason || said == or, $"{said} instead of {reason}");
        await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.InstanceRefused, said);
    }

    /// <summary>Wherever the claims say this, they say something else.</summary>
    private static void Change(JsonObject claims, string value)
    {
        foreach (var (name, node) in claims.ToList())
            if (node is JsonObject inner)
                Change(inner, value);
            else if (node?.ToString() == value)
                claims[name] = value + "0";
    }

    private static Dictionary<string, string> Exchange(Scenario s, string instanceToken, string assertion)
    {
        var form = s.Agent.ExchangeForm(instanceToken, details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }));
        form[Names.ClientAssertion.Parameter] = assertion;
        return form;
    }
}
