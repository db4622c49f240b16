using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.GuardFeed;

public abstract class EnrolmentSuite
{
    protected abstract TestServer Server { get; }

    /// <summary>Where parallel calls go: all nodes in turn.</summary>
    private protected virtual Task<IReadOnlyList<TestServer>> NodesAsync() => Task.FromResult<IReadOnlyList<TestServer>>([Server]);

    [SuiteFact]
    public async Task Enrol_RightSecret_RegistersTheKeyOnce()
    {
        var s = await Server.ScenarioAsync();
        var mark = await Server.NowAsync();
        var guard = new TestGuard(s);
        await guard.EnrollAsync();
        Assert.Equal((s.ToolServer, s.Resource, 1), (guard.Enrolled.ToolServer, guard.Enrolled.Resource, guard.Enrolled.ArgsKey.Version));
        var e = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal((AuditTypes.GuardEnrolled, guard.Id, s.Resource), (e.Type, e.Client, e.Resource));
        await guard.AuthenticateAsync();
        Assert.Equal(TestServer.Issuer + "/guard", Answers.Claims(guard.Token).GetProperty("aud").GetString());

        // The secret was used; so it is for the same key, too.
        foreach (var again in new[] { guard, new TestGuard(s) })
            await RefusedAsync(() => again.EnrollRawAsync());
        // Applying the same file again does not renew it.
        await Server.ApplyAsync(s.File.ToJsonString());
        await RefusedAsync(() => new TestGuard(s).EnrollRawAsync());
    }

    [SuiteFact]
    public async Task Enrol_KeyWithALongName_AuthenticatesLikeAnyOther()
    {
        var guard = new TestGuard(await Server.ScenarioAsync());
        var body = guard.EnrollBody();
        body["jwk"]!["kid"] = new string('k', 5000);
        await guard.EnrollAsync(body);

        // Its assertion names no key: it has the one.
        var now = Server.Time.GetUtcNow();
        var claims = new JsonObject
        {
            ["iss"] = guard.Id, ["sub"] = guard.Id, ["aud"] = TestServer.Issuer, ["exp"] = now.AddMinutes(1).ToUnixTimeSeconds(), ["jti"] = Id.New("jti_", now),
        };
        var assertion = Forge.Es256(guard.Key, $$"""{"typ":"{{Names.Types.ClientAuthentication}}","alg":"ES256"}""", claims.ToJsonString());
        await (await guard.TokenRawAsync(assertion: assertion)).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [SuiteFact]
    public async Task Enrol_TwentyAtOnceWithOneSecret_OneSucceeds()
    {
        var s = await Server.ScenarioAsync();
        var nodes = await NodesAsync();
        foreach (var node in nodes)
            await node.SeeRegistryAsync();
        var before = await Server.ScalarAsync("select count(*) from guards");
        var mark = await Server.NowAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => new TestGuard(s).EnrollRawAsync(client: nodes[i % nodes.Count].Client())))
            .WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(1, answers.Count(a => a.StatusCode == HttpStatusCode.Created));
        foreach (var refused in answers.Where(a => a.StatusCode != HttpStatusCode.Created))
            await refused.RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, "bad_secret");
        Assert.Equal(before + 1, await Server.ScalarAsync("select count(*) from guards"));
        var events = await Server.SinceAsync(mark);
        Assert.Equal((1, 19), (events.Count(e => e.Type == AuditTypes.GuardEnrolled), events.Count(e => e.Type == AuditTypes.GuardRefused)));
    }

    [SuiteFact]
    public async Task Enrol_WrongSecretResourceOrServer_IsRefusedAlike()
    {
        var (s, other) = (await Server.ScenarioAsync(), await Server.ScenarioAsync());
        var guard = new TestGuard(s);
        var texts = new HashSet<string>();
        foreach (var change in new Action<JsonObject>[]
        {
            b => b["enrolment_secret"] = "wrong", b => b["enrolment_secret"] = other.EnrolmentSecret, b => b["resource"] = other.Resource,
            b => b["resource"] = "https://unknown.test/mcp", b => b["resource"] = s.Resource + "/",
        })
        {
            var body = guard.EnrollBody();
            change(body);
            await RefusedAsync(async () =>
            {
                var answer = await guard.EnrollRawAsync(body);
                texts.Add(await answer.Content.ReadAsStringAsync());
                return answer;
            });
        }
        Assert.Single(texts);
        await guard.EnrollAsync();
    }

    [SuiteFact]
    public async Task Enrol_BodyWithHolesOrAPrivateKey_IsRefusedAndTheSecretStays()
    {
        var s = await Server.ScenarioAsync();
        var guard = new TestGuard(s);
        JsonObject Changed(Action<JsonObject> change)
        {
            var body = guard.EnrollBody();
            change(body);
            return body;
        }
        foreach (var body in new JsonNode[]
        {
            new JsonObject(), new JsonArray(), Changed(b => b.Remove("jwk")), Changed(b => b["jwk"] = null), Changed(b => b["jwk"] = "x"), Changed(b => b["resource"] = null),
            Changed(b => b.Remove("enrolment_secret")), Changed(b => b["enrolment_secret"] = 1), Changed(b => b["jwk"]!["d"] = "AAAA"),
            Changed(b => b["jwk"] = new JsonObject { ["kty"] = "oct", ["k"] = "AAAA" }),
        })
            await Server.RefusedAsync(() => guard.EnrollRawAsync(body), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, null, AuditTypes.GuardRefused, null);
        await guard.EnrollAsync();
    }

    private Task<AuditEvent> RefusedAsync(Func<Task<HttpResponseMessage>> act) =>
        Server.RefusedAsync(act, HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, "bad_secret", AuditTypes.GuardRefused, "bad_secret");
}

public sealed class EnrolmentOnSqliteTests(TestServer server) : EnrolmentSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class EnrolmentOnPostgresTests(PostgresServer postgres) : EnrolmentSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override async Task<IReadOnlyList<TestServer>> NodesAsync() => [Server, await postgres.AnotherAsync()];
}
