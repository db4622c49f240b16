using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Admin;

/// <summary>Who gets a token that administers, and whose requests are listened to.</summary>
public sealed class AdminTokenTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC6749-4.4"), Trait("Spec", "RFC9449-5")]
    public async Task Token_OfAClientThatAdministers_IsForThisApiAloneAndBoundToItsKey()
    {
        var ops = await TestAdministrator.OfAsync(server);
        var mark = await server.NowAsync();

        var answer = await (await ops.TokenRawAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(("DPoP", "admin", 300), (answer.TokenType, answer.Scope, answer.ExpiresIn));
        var claims = Answers.Claims(answer.AccessToken);
        Assert.Equal(
            (TestAdministrator.Audience, ops.Id, ops.Id, "admin", ops.Key.Public.Thumbprint),
            (claims.GetProperty("aud").GetString(), claims.GetProperty("sub").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("scope").GetString(),
                claims.GetProperty("cnf").GetProperty("jkt").GetString()));
        var issued = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.TokenIssued, ops.Id, answer.Jti(), "admin"), (issued.Type, issued.Client, issued.Jti, (string?)issued.Data!["scope"]));
    }

    [Theory]
    [InlineData("resource", null, Names.Errors.InvalidTarget)]
    [InlineData("resource", TestServer.Issuer + "/guard", Names.Errors.InvalidTarget)]
    [InlineData("resource", TestAdministrator.Audience + "/", Names.Errors.InvalidTarget)]
    [InlineData("scope", "admin tools:read", Names.Errors.InvalidScope)]
    [InlineData("scope", "tools:read", Names.Errors.InvalidScope)]
    [InlineData("authorization_details", "[]", Names.Errors.InvalidAuthorizationDetails)]
    public async Task Token_ForAnythingElse_IsRefused(string parameter, string? value, string error)
    {
        var ops = await TestAdministrator.OfAsync(server);
        await server.RefusedAsync(() => ops.TokenRawAsync(form =>
        {
            form.Remove(parameter);
            if (value is not null)
                form[parameter] = value;
        }), HttpStatusCode.BadRequest, error, null, AuditTypes.TokenRefused, error);
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task Token_WithoutAProof_IsRefused()
    {
        var ops = await TestAdministrator.OfAsync(server);
        await server.RefusedAsync(() => ops.TokenRawAsync(proof: null), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing", AuditTypes.TokenRefused, "missing");
    }

    [Fact]
    public async Task Token_OfAClientThatDoesNotAdminister_IsRefused()
    {
        var s = await server.ScenarioAsync();
        await server.RefusedAsync(
            () => s.ServiceTokenAsync(change: form => form["resource"] = TestAdministrator.Audience), HttpStatusCode.BadRequest, Names.Errors.InvalidTarget, null, AuditTypes.TokenRefused, null);
        var ops = await TestAdministrator.OfAsync(server);
        await server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(ops.Entry(e => e.Remove("administers"))) }.ToJsonString());
        await (await ops.TokenRawAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidTarget);
        // What it has already is refused too.
        await (await ops.SendAsync(HttpMethod.Get, "/agents")).ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Revoked);
    }

    [Theory]
    [Trait("Invariant", "1")]
    [InlineData("""{"auth_method":"client_secret_basic","secret":"0123456789012345678901234567890123","jwks":null}""", "$.clients[0].administers")]
    [InlineData("""{"auth_method":"none","grant_types":[],"jwks":null}""", "$.clients[0].administers")]
    [InlineData("""{"agent":"agt_x"}""", "$.clients[0].agent")]
    [InlineData("""{"authority":[]}""", "$.clients[0].authority")]
    [InlineData("""{"administers":1}""", "$.clients[0].administers")]
    public async Task Registration_ThatAdministersInAnotherWay_IsRefused(string change, string path)
    {
        var ops = await TestAdministrator.OfAsync(server);
        var entry = ops.Entry(e =>
        {
            foreach (var (name, value) in JsonNode.Parse(change)!.AsObject())
                if (value is null)
                    e.Remove(name);
                else
                    e[name] = value.DeepClone();
        });
        var (_, faults) = ApplyParser.Parse(JsonSerializer.SerializeToUtf8Bytes(new JsonObject { ["clients"] = new JsonArray(entry) }));
        Assert.Contains(faults, f => f.Path == path);
    }

    [Fact]
    [Trait("Invariant", "1")]
    public async Task Registration_OfAToolServerWithThisAudience_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var file = new JsonObject
        {
            ["tool_servers"] = new JsonArray(new JsonObject { ["id"] = "srv_admin_" + s.Suffix, ["resource"] = TestAdministrator.Audience, ["name"] = "x", ["owner"] = s.User }),
        };
        var outcome = await server.Services.GetRequiredService<RegistryApply>().Apply(JsonSerializer.SerializeToUtf8Bytes(file));
        Assert.Equal(("conflict", "$.tool_servers[0].resource"), (Assert.Single(outcome.Faults).Code, outcome.Faults[0].Path));
    }

    public static TheoryData<string, string> Endpoints => new()
    {
        { "GET", "/agents" }, { "GET", "/agents/agt_x" }, { "PUT", "/agents/agt_x" }, { "GET", "/clients" }, { "GET", "/clients/x" }, { "PUT", "/clients/x" },
        { "GET", "/tool-servers" }, { "GET", "/tool-servers/srv_x" }, { "PUT", "/tool-servers/srv_x" }, { "GET", "/workload-issuers" }, { "GET", "/workload-issuers/wli_x" },
        { "PUT", "/workload-issuers/wli_x" }, { "GET", "/identity-providers" }, { "GET", "/identity-providers/idp_x" }, { "PUT", "/identity-providers/idp_x" },
        { "POST", "/consents/cns_x/lift" }, { "POST", "/apply" }, { "GET", "/instances" }, { "DELETE", "/instances/ins_x" }, { "GET", "/tasks" }, { "GET", "/tasks/tsk_x" },
        { "POST", "/tasks/tsk_x/suspend" }, { "POST", "/tasks/tsk_x/resume" }, { "POST", "/tasks/tsk_x/revoke" }, { "POST", "/revocations" },
    };

    [Theory, MemberData(nameof(Endpoints))]
    [Trait("Spec", "RFC9457-3")]
    public async Task Endpoint_WithAnythingButItsOwnToken_IsRefusedAndDoesNothing(string verb, string path)
    {
        var (s, ops, method) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server), new HttpMethod(verb));
        await s.Agent.AttestAsync();
        var guard = await TestGuard.OfAsync(s);
        var service = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var person = await new PersonFlow(s).TokenAsync();
        var full = Names.Paths.Admin + path;
        var body = method == HttpMethod.Get || method == HttpMethod.Delete ? null : new JsonObject { ["level"] = "everything", ["reason"] = "an attack" };
        var cases = new (string Token, string? Proof, string Scheme, string Code, string Reason)[]
        {
            ("", null, "DPoP", Names.Errors.InvalidToken, Names.Reasons.Malformed),
            (ops.Token, null, "Bearer", Names.Errors.InvalidToken, Names.Reasons.Malformed),
            (ops.Token, ops.Proof(method, full, ops.Token, guard.Key), "DPoP", Names.Errors.InvalidToken, "wrong_key"),
            (ops.Token, ops.Proof(method, Names.Paths.Admin + "/elsewhere", ops.Token), "DPoP", Names.Errors.InvalidDpopProof, "htu"),
            (s.Agent.InstanceToken, s.Agent.Proof(method, full, s.Agent.InstanceToken), "DPoP", Names.Errors.InvalidToken, "wrong_audience"),
            (guard.Token, guard.Proof(full, guard.Token, method: method), "DPoP", Names.Errors.InvalidToken, "wrong_audience"),
            (service.AccessToken, null, "DPoP", Names.Errors.InvalidToken, "wrong_audience"),
            (person.AccessToken, null, "DPoP", Names.Errors.InvalidToken, "wrong_audience"),
        };
        foreach (var (token, proof, scheme, code, reason) in cases)
        {
            var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
            var response = await ops.SendAsync(method, path, body, token, proof, scheme);
            await response.ProblemAsync(HttpStatusCode.Unauthorized, code, reason);
            Assert.Contains("DPoP", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
            await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AdminRefused, reason);
        }
    }

    [Theory, MemberData(nameof(Endpoints))]
    [Trait("Spec", "RFC6750-3.1")]
    public async Task Endpoint_WithATokenThatLacksTheScope_IsForbidden(string verb, string path)
    {
        var (ops, method) = (await TestAdministrator.OfAsync(server), new HttpMethod(verb));
        var scopeless = TokenText.Resign(server, ops.Token, claims => claims["scope"] = "administer admins");
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var response = await ops.SendAsync(method, path, method == HttpMethod.Get ? null : new JsonObject(), scopeless);

        await response.ProblemAsync(HttpStatusCode.Forbidden, Names.Errors.InsufficientScope);
        Assert.Contains("scope=\"admin\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AdminRefused, Names.Errors.InsufficientScope);
    }

    [Theory, MemberData(nameof(Endpoints))]
    [Trait("Attack", "108"), Trait("Spec", "RFC9449-11.1")]
    public async Task Endpoint_WithAProofUsedBefore_IsRefused(string verb, string path)
    {
        var (ops, method) = (await TestAdministrator.OfAsync(server), new HttpMethod(verb));
        var proof = ops.Proof(method, Names.Paths.Admin + path, ops.Token);
        await ops.SendAsync(method, path, null, proof: proof);
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        await (await ops.SendAsync(method, path, null, proof: proof)).ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidDpopProof, Names.Reasons.Replay);
        Assert.Equal(ops.Id, (await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.ReplayDetected, Names.Reasons.Replay)).Client);
    }

    [Fact]
    public async Task Token_OfASuspendedClient_IsRefusedAtOnceAndAfterFiveMinutesAnyway()
    {
        var ops = await TestAdministrator.OfAsync(server);
        await ops.GetAsync("/agents");
        server.Time.Advance(TimeSpan.FromMinutes(5));
        await (await ops.SendAsync(HttpMethod.Get, "/agents")).ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Expired);
        ops.Token = await ops.FreshTokenAsync();
        await server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(ops.Entry(e => e["state"] = "suspended")) }.ToJsonString());
        await (await ops.SendAsync(HttpMethod.Get, "/agents")).ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Revoked);
        await (await ops.TokenRawAsync()).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
    }

    [Fact]
    [Trait("Invariant", "1")]
    public async Task Token_ThatAdministers_IsGoodNowhereElse()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        foreach (var (method, path) in new[] { (HttpMethod.Post, Names.Paths.Tasks), (HttpMethod.Post, Names.Paths.GuardStreams) })
            await (await s.Agent.CallAsync(method, path, new JsonObject(), ops.Token, ops.Proof(method, path, ops.Token)))
                .RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "wrong_audience");
        Assert.False(await (await TestGuard.OfAsync(s)).IsActiveAsync(ops.Token));
    }
}
