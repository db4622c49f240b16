using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>What an enterprise's identity provider lets a shared program do for a person.</summary>
[Trait("Spec", "MCP-EMA-5")]
public abstract class IdentityAssertionSuite
{
    private protected abstract TestServer Server { get; }

    private protected async Task<(Scenario, TestProvider)> SceneAsync(Action<JsonObject>? change = null, Action<JsonObject>? desk = null)
    {
        var s = await Server.ScenarioAsync();
        var provider = new TestProvider(s);
        await provider.RegisterAsync(change, desk);
        return (s, provider);
    }

    [SuiteFact]
    public async Task Assertion_OfALinkedPerson_GivesATokenByScopeAndNoRefreshToken()
    {
        var (s, provider) = await SceneAsync();
        var mark = await Server.NowAsync();

        var token = await provider.RedeemAsync();

        Assert.Equal((Names.OAuth.Bearer, Names.Scopes.ToolsRead, null, null), (token.TokenType, token.Scope, token.RefreshToken, token.AuthorizationDetails));
        Assert.InRange(token.ExpiresIn, 1, 300);
        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal((s.User, "user", provider.Desk, s.Resource),
            (claims.GetProperty("sub").GetString(), claims.GetProperty("sub_profile").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("aud").GetString()));
        Assert.True(claims.GetProperty("step_up").GetBoolean());
        Assert.False(claims.TryGetProperty("act", out _));
        // How somebody signed in elsewhere is said in words of that place; when, is not.
        Assert.Equal(Server.Time.GetUtcNow().AddMinutes(-3).ToUnixTimeSeconds(), claims.GetProperty("auth_time").GetInt64());
        Assert.False(claims.TryGetProperty("acr", out _));
        var events = await Server.SinceAsync(mark);
        Assert.Equal([AuditTypes.ConsentGranted, AuditTypes.TaskCreated, AuditTypes.TokenIssued], events.Select(e => e.Type));
        Assert.All(events, e => Assert.Equal((s.User, provider.Desk, "success"), (e.User, e.Client, e.Outcome)));
        Assert.Equal((provider.Id, token.Jti()), ((string?)events[2].Data!["provider"], events[2].Jti));
        Assert.Equal((provider.Id, Names.Scopes.ToolsRead), ((string?)events[0].Data!["provider"], (string?)events[0].Data!["scope"]));
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
    }

    [SuiteFact]
    public async Task Assertion_AfterAnother_UsesTheSameSessionAndTheSameConsent()
    {
        var (s, provider) = await SceneAsync();
        var first = await provider.RedeemAsync();
        var mark = await Server.NowAsync();

        var second = await provider.RedeemAsync();

        Assert.Equal(first.Task(), second.Task());
        Assert.NotEqual(first.Grant(), second.Grant());
        Assert.Equal([AuditTypes.TokenIssued], (await Server.SinceAsync(mark)).Select(e => e.Type));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}'"));

        // More than before is said once, and reaches the session; less than before takes nothing back.
        mark = await Server.NowAsync();
        await provider.RedeemAsync(c => c["scope"] = "tool:delete_file");
        await provider.RedeemAsync(c => c["scope"] = "tool:read_file");
        await provider.RedeemAsync();
        Assert.Equal([AuditTypes.ConsentGranted, AuditTypes.TokenIssued, AuditTypes.ConsentGranted, AuditTypes.TokenIssued, AuditTypes.TokenIssued], (await Server.SinceAsync(mark)).Select(e => e.Type));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}' and state = 'active' and scope = 'tool:delete_file tool:read_file tools:read'"));
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(first.AccessToken));
    }

    /// <summary>What is asked for and what the provider allows; the answer says what came of it (RFC 6749 §3.3).</summary>
    [SuiteFact]
    public async Task Scope_IsWhatIsBothAskedForAndAllowed()
    {
        var (_, provider) = await SceneAsync();
        foreach (var (allowed, asked, granted) in new (string?, string?, string)[]
                 {
                     ("tools:read", null, "tools:read"), ("tools:read", "tools:read", "tools:read"), ("tools:read", "tool:read_file", "tool:read_file"),
                     ("tool:read_file", "tools:read", "tool:read_file"), ("tool:read_file tool:delete_file", "tool:delete_file tool:list_files", "tool:delete_file"),
                     ("tool:delete_file chat.read openid offline_access", null, "tool:delete_file"), (null, null, "tools:read"), (null, "tool:list_files", "tool:list_files"),
                 })
        {
            var token = await provider.RedeemAsync(c => Put(c, "scope", allowed), form =>
            {
                if (asked is not null)
                    form["scope"] = asked;
            });
            Assert.Equal(granted, token.Scope);
            Assert.Equal(granted, Answers.Claims(token.AccessToken).GetProperty("scope").GetString());
        }
    }

    [SuiteFact]
    public async Task Resource_OfSeveral_IsTheOneThatIsAskedFor()
    {
        var (s, provider) = await SceneAsync();
        var other = await Server.ScenarioAsync();
        void Both(JsonObject claims) => claims["resource"] = new JsonArray("https://elsewhere.test/mcp", s.Resource, other.Resource);

        var token = await provider.RedeemAsync(Both, form => form["resource"] = other.Resource);
        Assert.Equal(other.Resource, Answers.Claims(token.AccessToken).GetProperty("aud").GetString());
        // One that is registered is enough, and several need a choice.
        Assert.Equal(s.Resource, Answers.Claims((await provider.RedeemAsync(c => c["resource"] = new JsonArray("https://elsewhere.test/mcp", s.Resource))).AccessToken).GetProperty("aud").GetString());
        await (await provider.RedeemRawAsync(provider.Assertion(Both))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "wrong_resource");
    }

    [SuiteFact]
    [Trait("Spec", "RFC9449-6.1")]
    public async Task Assertion_BoundToAKey_GivesATokenBoundToIt()
    {
        var (_, provider) = await SceneAsync();
        using var key = SigningKey.Create();
        string Proof(SigningKey by) => DpopProof.Create(by, "POST", new Uri(TestServer.Issuer + Names.Paths.Token), null, Server.Time.GetUtcNow());

        foreach (var confirmation in new JsonObject[] { new() { ["jkt"] = key.Public.Thumbprint }, new() { ["jwk"] = JsonNode.Parse(key.Public.Jwk.GetRawText()) } })
        {
            var token = await (await provider.RedeemRawAsync(provider.Assertion(c => c["cnf"] = confirmation.DeepClone()), proof: Proof(key))).ReadAsync(ProtocolJson.Default.TokenResponse);
            Assert.Equal((Names.Dpop.Scheme, key.Public.Thumbprint), (token.TokenType, Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("jkt").GetString()));
        }
        // One that is bound to none may be redeemed for a token that is.
        Assert.Equal(Names.Dpop.Scheme, (await (await provider.RedeemRawAsync(proof: Proof(key))).ReadAsync(ProtocolJson.Default.TokenResponse)).TokenType);
    }

    [SuiteFact]
    [Trait("Attack", "106")]
    public async Task Assertion_BoundToAKey_IsNothingWithoutAProofByThatKey()
    {
        var (_, provider) = await SceneAsync();
        using var key = SigningKey.Create();
        using var other = SigningKey.Create();
        var assertion = provider.Assertion(c => c["cnf"] = new JsonObject { ["jkt"] = key.Public.Thumbprint });
        string Proof(SigningKey by) => DpopProof.Create(by, "POST", new Uri(TestServer.Issuer + Names.Paths.Token), null, Server.Time.GetUtcNow());

        await Server.RefusedAsync(() => provider.RedeemRawAsync(assertion), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing", AuditTypes.TokenRefused, "missing");
        await Server.RefusedAsync(() => provider.RedeemRawAsync(assertion, proof: Proof(other)), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key", AuditTypes.TokenRefused, "wrong_key");
        // Neither has used it up: whoever has the key still can.
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(assertion, proof: Proof(key))).StatusCode);
    }

    [SuiteFact]
    [Trait("Attack", "106")]
    public async Task Assertion_UsedAgain_IsRefusedAndRecorded()
    {
        var (_, provider) = await SceneAsync();
        var assertion = provider.Assertion();
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(assertion)).StatusCode);

        var replay = await Server.RefusedAsync(
            () => provider.RedeemRawAsync(assertion), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);

        Assert.Equal(("id_jag", provider.Desk), ((string?)replay.Data!["space"], replay.Client));
        // Another assertion with its jti is the same; with a jti that another provider has used it is not.
        var jti = Answers.Claims(assertion).GetProperty("jti").GetString();
        await (await provider.RedeemRawAsync(provider.Assertion(c => c["jti"] = jti))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);
        var (_, elsewhere) = await SceneAsync();
        Assert.Equal(HttpStatusCode.OK, (await elsewhere.RedeemRawAsync(elsewhere.Assertion(c => c["jti"] = jti))).StatusCode);
    }

    [SuiteFact]
    [Trait("Invariant", "8")]
    public async Task Assertion_TakenOrRefused_IsInNoLogAndNoEvent()
    {
        var (_, provider) = await SceneAsync();
        var (good, bad) = (provider.Assertion(), provider.Assertion(c => c["aud"] = "https://other.test"));
        await provider.RedeemRawAsync(good);
        await provider.RedeemRawAsync(bad);
        var events = await Server.TextsAsync("select body from audit_events");
        foreach (var part in new[] { good, bad }.SelectMany(a => a.Split('.').Skip(1)))
        {
            Assert.DoesNotContain(Server.Logs.Lines, line => line.Contains(part, StringComparison.Ordinal));
            Assert.DoesNotContain(events, body => body.Contains(part, StringComparison.Ordinal));
        }
        Assert.NotEmpty(Server.Logs.Lines);
    }

    [SuiteFact]
    public async Task Metadata_NamesTheProfile_OnceAProviderSpeaksForPeople()
    {
        var (_, provider) = await SceneAsync();
        Assert.Contains(Names.IdJag.Profile, await ProfilesAsync());
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
    }

    private protected async Task<List<string?>> ProfilesAsync()
    {
        await Server.SeeRegistryAsync();
        await Server.Services.SnapshotAsync();
        var metadata = JsonElement.Parse(await Server.Client().GetStringAsync(Names.Paths.OAuthMetadata));
        return metadata.TryGetProperty(Names.IdJag.Profiles, out var profiles) ? [.. profiles.EnumerateArray().Select(p => p.GetString())] : [];
    }

    internal static void Put(JsonObject claims, string name, JsonNode? value)
    {
        claims.Remove(name);
        if (value is not null)
            claims[name] = value;
    }
}

public sealed class IdentityAssertionTests(TestServer server) : IdentityAssertionSuite, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;

    [Fact]
    public async Task Metadata_WithoutAProvider_NamesNoProfile()
    {
        await using var nodes = Nodes.OnSqlite();
        var alone = await nodes.StartAsync();
        var s = await alone.ScenarioAsync();
        async Task<string> MetadataAsync()
        {
            await alone.Services.SnapshotAsync();
            return await alone.Client().GetStringAsync(Names.Paths.OAuthMetadata);
        }

        Assert.DoesNotContain(Names.IdJag.Profiles, await MetadataAsync(), StringComparison.Ordinal);
        var provider = new TestProvider(s);
        await provider.RegisterAsync();
        Assert.Contains(Names.IdJag.Profiles, await MetadataAsync(), StringComparison.Ordinal);
        await provider.ApplyAsync(e => e["state"] = "suspended");
        Assert.DoesNotContain(Names.IdJag.Profiles, await MetadataAsync(), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "106")]
    public async Task Assertion_UsedAgainAfterARestart_IsRefused()
    {
        await using var nodes = Nodes.OnSqlite();
        var first = await nodes.StartAsync();
        var provider = new TestProvider(await first.ScenarioAsync());
        await provider.RegisterAsync();
        var assertion = provider.Assertion();
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(assertion)).StatusCode);
        var now = first.Time.GetUtcNow();
        await nodes.StopAsync(first);
        var second = await nodes.StartAsync(now);
        await (await provider.RedeemRawAsync(assertion, node: second.Client())).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);
    }
}

[NeedsPostgres]
public sealed class IdentityAssertionOnPostgresTests(PostgresServer postgres) : IdentityAssertionSuite, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}
