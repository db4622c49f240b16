using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Federation;
using McpAuthServer.Grants;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>Assertions about people that are not right: refused, with nothing left behind but the event that says why.</summary>
public sealed class IdentityAssertionAttackTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Issuer = TestServer.Issuer;

    private async Task<(Scenario, TestProvider)> SceneAsync()
    {
        var s = await server.ScenarioAsync();
        var provider = new TestProvider(s);
        await provider.RegisterAsync();
        return (s, provider);
    }

    private async Task RefusedAsync(Func<Task<HttpResponseMessage>> act, string? reason, string error = Names.Errors.InvalidGrant)
    {
        var people = await TestProvider.PeopleAsync(server);
        await server.RefusedAsync(act, HttpStatusCode.BadRequest, error, reason, AuditTypes.TokenRefused, reason);
        Assert.Equal(people, await TestProvider.PeopleAsync(server));
    }

    [Fact]
    [Trait("Attack", "106")]
    public async Task Assertion_ForThisServerAndAnother_IsRefused()
    {
        var (_, provider) = await SceneAsync();
        await RefusedAsync(() => provider.RedeemRawAsync(provider.Assertion(c => c["aud"] = new JsonArray(Issuer, "https://other.test"))), IdJagVerifier.WrongAudience);
        // A list of one is one.
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(provider.Assertion(c => c["aud"] = new JsonArray(Issuer)))).StatusCode);
    }

    [Theory]
    [InlineData("JWT")]
    [InlineData("at+jwt")]
    [InlineData("client-authentication+jwt")]
    [Trait("Attack", "106")]
    public async Task Assertion_OfAnotherType_IsRefused(string type)
    {
        var (_, provider) = await SceneAsync();
        await RefusedAsync(() => provider.RedeemRawAsync(provider.Assertion(type: type)), Names.Reasons.WrongType);
    }

    public static TheoryData<string, string?> Wrong => new()
    {
        { "aud: another server", IdJagVerifier.WrongAudience }, { "aud: the token endpoint", IdJagVerifier.WrongAudience }, { "aud: none", IdJagVerifier.WrongAudience },
        { "client_id: another client", IdJagVerifier.OtherClient }, { "client_id: none", IdJagVerifier.OtherClient }, { "client_id: a list", IdJagVerifier.OtherClient },
        { "exp: over", Names.Reasons.Expired }, { "exp: none", Names.Reasons.Expired }, { "exp: a text", Names.Reasons.Expired }, { "exp: too far", IdJagVerifier.TooLong },
        { "iat: none", IdJagVerifier.NotYet }, { "iat: to come", IdJagVerifier.NotYet }, { "nbf: to come", IdJagVerifier.NotYet }, { "nbf: a text", IdJagVerifier.NotYet },
        { "iss: unknown", IdJagVerifier.UnknownProvider }, { "iss: none", IdJagVerifier.UnknownProvider }, { "iss: with a slash", IdJagVerifier.UnknownProvider },
        { "iss: this server", IdJagVerifier.UnknownProvider },
        { "sub: none", Names.Reasons.Malformed }, { "sub: empty", Names.Reasons.Malformed }, { "sub: a number", Names.Reasons.Malformed }, { "sub: too long", Names.Reasons.Malformed },
        { "sub: unknown", Subjects.Unknown },
        { "jti: none", Names.Reasons.Malformed }, { "jti: empty", Names.Reasons.Malformed }, { "jti: too long", Names.Reasons.Malformed },
        { "resource: none", Names.Reasons.Malformed }, { "resource: an object", Names.Reasons.Malformed }, { "resource: an empty list", Names.Reasons.Malformed },
        { "resource: unknown", IdentityAssertionGrant.OtherResource }, { "resource: other than asked", IdentityAssertionGrant.OtherResource },
        { "scope: a list", Names.Reasons.Malformed }, { "scope: of others", IdentityAssertionGrant.OtherScope }, { "scope: empty", IdentityAssertionGrant.OtherScope },
        { "scope: less than asked", IdentityAssertionGrant.OtherScope }, { "scope: none, and more than the least is asked", IdentityAssertionGrant.OtherScope },
        { "authorization_details: to no agent", IdentityAssertionGrant.NotByScope }, { "authorization_details: of another type", Names.Reasons.Malformed },
        { "cnf: a certificate", Names.Reasons.Malformed }, { "cnf: two keys", Names.Reasons.Malformed }, { "cnf: a text", Names.Reasons.Malformed },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    [Trait("Attack", "106"), Trait("Spec", "RFC7523-3")]
    public async Task Assertion_WrongInOneThing_IsRefusedForIt(string how, string? reason)
    {
        var (s, provider) = await SceneAsync();
        var now = server.Time.GetUtcNow();
        var other = await server.ScenarioAsync();
        var (claim, what) = (how.Split(": ")[0], how.Split(": ")[1]);
        var assertion = provider.Assertion(c => IdentityAssertionSuite.Put(c, claim, what switch
        {
            "none" or "none, and more than the least is asked" => null,
            "another server" => "https://other.test", "the token endpoint" => Issuer + "/token", "another client" => s.Agent.ClientId, "over" => now.AddSeconds(-31).ToUnixTimeSeconds(),
            "too far" => now.AddSeconds(331).ToUnixTimeSeconds(), "to come" => now.AddSeconds(31).ToUnixTimeSeconds(), "with a slash" => provider.Issuer + "/", "this server" => Issuer,
            "unknown" => "https://unknown.test/mcp", "other than asked" => other.Resource, "empty" => "", "a number" => 7, "a text" => "1795345200", "an object" => new JsonObject(),
            "too long" => new string('a', 513), "an empty list" => new JsonArray(), "a list" => new JsonArray(provider.Desk), "of others" => "chat.read chat.history", "less than asked" => "tool:read_file",
            "to no agent" => s.Details(["read_file"]), "of another type" => new JsonArray(new JsonObject { ["type"] = "payment" }),
            "a certificate" => new JsonObject { ["x5t#S256"] = "x" }, "two keys" => new JsonObject { ["jkt"] = "x", ["x5t#S256"] = "x" },
            _ => throw new ArgumentException(how),
        }));

        await RefusedAsync(() => provider.RedeemRawAsync(assertion, form =>
        {
            if (what == "other than asked")
                form["resource"] = s.Resource;
            if (what is "less than asked" or "none, and more than the least is asked")
                form["scope"] = "tool:delete_file";
        }), reason);
    }

    public static TheoryData<string, string> Signatures => new()
    {
        { "none", "wrong_algorithm" }, { "hmac with the public key", "wrong_algorithm" }, { "another's key", Names.Reasons.BadSignature }, { "another's key under the right name", Names.Reasons.BadSignature },
        { "an unknown name of the right key", Names.Reasons.BadSignature }, { "the key in the header", "unsupported_header" }, { "nothing of its claims", Names.Reasons.BadSignature },
        { "not a token", Names.Reasons.Malformed },
    };

    [Theory]
    [MemberData(nameof(Signatures))]
    [Trait("Attack", "106"), Trait("Spec", "RFC8725-3.1")]
    public async Task Assertion_SignedByAnythingElse_IsRefused(string how, string reason)
    {
        var (s, provider) = await SceneAsync();
        using var es = SigningKey.Create();
        provider.Key = es;
        await provider.ApplyAsync();
        using var stranger = SigningKey.Create();
        string Made(string alg, string? kid, Func<byte[], byte[]> sign, JsonObject? more = null)
        {
            var header = new JsonObject { ["typ"] = Names.IdJag.Type, ["alg"] = alg };
            if (kid is not null)
                header["kid"] = kid;
            foreach (var (name, value) in more ?? [])
                header[name] = value?.DeepClone();
            return Forge.Signed(header.ToJsonString(), provider.Claims().ToJsonString(), sign);
        }

        var assertion = how switch
        {
            "none" => Made("none", null, _ => []),
            "hmac with the public key" => Made("HS256", es.KeyId, input => HMACSHA256.HashData(Encoding.UTF8.GetBytes(es.Public.Jwk.GetRawText()), input)),
            "another's key" => Made("ES256", null, input => Forge.Es256(stranger, input)),
            "another's key under the right name" => Made("ES256", es.KeyId, input => Forge.Es256(stranger, input)),
            "an unknown name of the right key" => Made("ES256", "nobody's", input => Forge.Es256(es, input)),
            "the key in the header" => Made("ES256", es.KeyId, input => Forge.Es256(stranger, input), new() { ["jwk"] = JsonNode.Parse(stranger.Public.Jwk.GetRawText()) }),
            "nothing of its claims" => TokenText.Forge(provider.Assertion(), claims: c => c["scope"] = "tool:delete_file"),
            _ => "not.a.token",
        };
        await RefusedAsync(() => provider.RedeemRawAsync(assertion), reason);
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC7521-4.1")]
    public async Task Assertion_OfAClientThatDoesNotAuthenticate_IsNothing()
    {
        var (s, provider) = await SceneAsync();
        await (await provider.RedeemRawAsync(secret: null)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        await (await provider.RedeemRawAsync(secret: null, change: f => f["client_id"] = provider.Desk)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        await (await provider.RedeemRawAsync(secret: "wrong-secret-0123456789abcdef0123456789")).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        // A client that has nothing to authenticate with cannot be given one (the draft: confidential clients only).
        await server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject { ["id"] = "open-" + s.Suffix, ["name"] = "Open", ["auth_method"] = "none", ["grant_types"] = new JsonArray(Names.Assertions.JwtBearer) }),
        }.ToJsonString());
        await provider.ApplyAsync(e => e["clients"]!.AsArray().Add("open-" + s.Suffix));
        var forOpen = provider.Assertion(c => c["client_id"] = "open-" + s.Suffix);
        await RefusedAsync(() => provider.RedeemRawAsync(forOpen, f => f["client_id"] = "open-" + s.Suffix, secret: null), null, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    public async Task Client_ThatIsNotRegisteredForTheGrant_IsRefused()
    {
        var (_, provider) = await SceneAsync();
        await provider.RegisterAsync(desk: d => d["grant_types"] = new JsonArray());
        await RefusedAsync(() => provider.RedeemRawAsync(), null, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    public async Task Client_ThatTheProviderMayNotSpeakTo_IsRefused()
    {
        var (s, provider) = await SceneAsync();
        await provider.ApplyAsync(e => e["clients"] = new JsonArray(s.Agent.ClientId));
        await RefusedAsync(() => provider.RedeemRawAsync(), IdJagVerifier.OtherClient);
    }

    [Fact]
    public async Task Resource_ThatIsNotForTheClient_IsRefused()
    {
        var (_, provider) = await SceneAsync();
        var other = await server.ScenarioAsync();
        await provider.RegisterAsync(desk: d => d["tool_servers"] = new JsonArray(other.ToolServer));
        await RefusedAsync(() => provider.RedeemRawAsync(), null, Names.Errors.InvalidTarget);
    }

    [Fact]
    public async Task Details_OfAClientThatIsNoAgent_AreRefused()
    {
        var (s, provider) = await SceneAsync();
        await RefusedAsync(() => provider.RedeemRawAsync(change: f => f["authorization_details"] = s.Details(["read_file"]).ToJsonString()), null, Names.Errors.InvalidAuthorizationDetails);
    }

    /// <summary>Two stores: the same issuer in the one says nothing in the other, and their tokens are told apart by their type.</summary>
    [Fact]
    [Trait("Attack", "106")]
    public async Task IssuerOfWorkloads_SpeaksForNobody_AndAProviderForNoProgram()
    {
        var (s, provider) = await SceneAsync();
        await server.ApplyAsync(new JsonObject
        {
            ["workload_issuers"] = new JsonArray(new JsonObject
            {
                ["id"] = "wli_" + s.Suffix, ["name"] = "Jobs", ["kind"] = "oidc", ["issuer"] = "https://jobs-" + s.Suffix + ".test", ["jwks"] = TestProvider.Keys(provider.Key),
            }),
        }.ToJsonString());
        await RefusedAsync(() => provider.RedeemRawAsync(provider.Assertion(c => c["iss"] = "https://jobs-" + s.Suffix + ".test")), IdJagVerifier.UnknownProvider);

        // What the provider says of a person, sent as what a platform says of a program: with its own type, and with another.
        await (await s.Agent.AttestRawAsync(new() { ["assertion"] = provider.Assertion() })).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.WrongType);
        await (await s.Agent.AttestRawAsync(new() { ["assertion"] = provider.Assertion(type: "JWT") })).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, IdJagVerifier.UnknownProvider);
        await (await provider.RedeemRawAsync(provider.Assertion(type: "JWT"), secret: null)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, IdJagVerifier.UnknownProvider);
    }

    [Fact]
    public async Task Provider_ThatIsSuspended_IsNotBelieved()
    {
        var (_, provider) = await SceneAsync();
        await provider.ApplyAsync(e => e["state"] = "suspended");
        await RefusedAsync(() => provider.RedeemRawAsync(), IdJagVerifier.UnknownProvider);
        // A file without a state lifts no suspension.
        await provider.ApplyAsync();
        await RefusedAsync(() => provider.RedeemRawAsync(), IdJagVerifier.UnknownProvider);
        await provider.ApplyAsync(e => e["state"] = "active");
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
    }

    [Fact]
    public async Task Person_WhoIsDisabled_IsRefused()
    {
        var (s, provider) = await SceneAsync();
        await provider.RedeemAsync();
        await server.ApplyAsync(new JsonObject { ["users"] = new JsonArray(new JsonObject { ["id"] = s.User, ["name"] = "Ann", ["email"] = s.Person.Email, ["enabled"] = false }) }.ToJsonString());
        await RefusedAsync(() => provider.RedeemRawAsync(), Names.Reasons.UserDisabled);
    }
}
