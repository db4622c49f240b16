using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Grants;

/// <summary>RFC 6749 §4.4: a client by scope, an agent without an instance where its record allows it; RFC 8707 and RFC 9068 on the way.</summary>
public sealed class ClientCredentialsTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC6749-5.1")]
    public async Task Answer_Success_HasTheMembersOfTheStandardAndIsNotStored()
    {
        var s = await server.ScenarioAsync();
        using var answer = await s.ServiceTokenAsync();
        var body = JsonElement.Parse(await answer.Content.ReadAsStringAsync());

        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.Equal(["access_token", "expires_in", "scope", "token_type"], body.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
        Assert.Equal(("Bearer", 300), (body.GetProperty("token_type").GetString(), body.GetProperty("expires_in").GetInt32()));
    }

    [Fact]
    [Trait("Spec", "RFC9068-2.2")]
    public async Task Token_ByScope_HasTheClaimsOfTheProfileAndAPublishedKeysSignature()
    {
        var s = await server.ScenarioAsync();
        var token = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);

        var jwt = StrictJwt.Read(token.AccessToken, new JwtRules("access token", [Names.Types.AccessToken], TypeRequired: true, ["ES256"])).Value;
        var keys = VerificationKey.FromJwks(JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.Jwks))).Value;
        Assert.True(keys.Single(k => k.KeyId == jwt.KeyId).Verify(jwt));
        Assert.Equal("at+jwt", jwt.Header.GetProperty("typ").GetString());
        var now = server.Time.GetUtcNow();
        Assert.Equal(
            (TestServer.Issuer, s.ServiceClient, s.ServiceClient, "tools:read", now, now.AddMinutes(5)),
            (jwt.Text("iss"), jwt.Text("sub"), jwt.Text("client_id"), jwt.Text("scope"), jwt.Time("iat"), jwt.Time("exp")));
        Assert.Equal([s.Resource], jwt.Audiences);
        Assert.Matches("^at_[0-9a-f]{32}$", jwt.Text("jti"));
        Assert.False(jwt.Payload.TryGetProperty("act", out _));
        Assert.False(jwt.Payload.TryGetProperty("cnf", out _));
        Assert.False(jwt.Payload.TryGetProperty("authorization_details", out _));
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task Token_WithAProof_IsBoundToItsKey()
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        using var key = SigningKey.Create();

        var token = await (await AgentAsync(s, s.Details(["read_file"], New("read")), proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: key)))
            .ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal("DPoP", token.TokenType);
        Assert.Equal(key.Public.Thumbprint, Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("jkt").GetString());
    }

    [Theory]
    [InlineData(null, "tools:read")]
    [InlineData("", "tools:read")]
    [InlineData("tools:read", "tools:read")]
    [InlineData("tool:read_file", "tool:read_file")]
    [InlineData("tool:read_file tool:list_files  tool:read_file", "tool:list_files tool:read_file")]
    [InlineData("tool:read_file tools:read", "tool:read_file tools:read")]
    [Trait("Spec", "RFC6749-3.3")]
    public async Task Scope_WithinTheClientsAuthority_IsGranted(string? asked, string granted)
    {
        var s = await server.ScenarioAsync();

        var token = await (await s.ServiceTokenAsync(asked)).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(granted, token.Scope);
        Assert.Equal(granted, Answers.Claims(token.AccessToken).GetProperty("scope").GetString());
    }

    [Theory]
    [InlineData("tool:unknown")]
    [InlineData("tool:")]
    [InlineData("tool:Read_file")]
    [InlineData("tool:delete_file")]
    [InlineData("tools:read tool:delete_file")]
    [InlineData("tools:write")]
    [InlineData("tools:READ")]
    [InlineData("offline_access")]
    [InlineData("openid")]
    [InlineData("*")]
    [InlineData(" ")]
    [InlineData("tools:read\ttool:read_file")]
    [InlineData("tools:read\ntool:read_file")]
    [Trait("Spec", "RFC6749-5.2")]
    public async Task Scope_UnknownOrBeyondTheClientsAuthority_IsRefused(string scope)
    {
        var s = await server.ScenarioAsync();

        await server.RefusedAsync(
            () => s.ServiceTokenAsync(scope), HttpStatusCode.BadRequest, Names.Errors.InvalidScope, null, AuditTypes.TokenRefused, Names.Errors.InvalidScope);
    }

    [Fact]
    public async Task Scope_LessAuthorityThanAllReading_DefaultsToTheToolsByName()
    {
        var s = await server.ScenarioAsync();
        s.File["clients"]!.AsArray()[^1]!["authority"] = s.Details(["read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.Equal("tool:read_file", (await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse)).Scope);
        await (await s.ServiceTokenAsync("tools:read")).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidScope);
    }

    [Fact]
    [Trait("Spec", "RFC8707-2.2")]
    public async Task Resource_UnknownForeignOrSeveral_IsRefused()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        foreach (var resource in new[] { "https://unknown.test/mcp", s.Resource + "/", s.Resource + "#f", s.Resource.ToUpperInvariant(), "mcp", TestServer.Issuer, TestServer.Issuer + "/guard" })
            await server.RefusedAsync(
                () => s.ServiceTokenAsync(change: f => f["resource"] = resource), HttpStatusCode.BadRequest, Names.Errors.InvalidTarget, null, AuditTypes.TokenRefused, Names.Errors.InvalidTarget);
        await server.RefusedAsync(
            () => s.ServiceTokenAsync(change: f => f["audience"] = other.Resource), HttpStatusCode.BadRequest, Names.Errors.InvalidTarget, null, AuditTypes.TokenRefused, Names.Errors.InvalidTarget);

        // A tool server at which the client has nothing: known, and still nothing to be had.
        await server.RefusedAsync(
            () => s.ServiceTokenAsync(change: f => f["resource"] = other.Resource), HttpStatusCode.BadRequest, Names.Errors.InvalidScope, null, AuditTypes.TokenRefused, Names.Errors.InvalidScope);
    }

    [Fact]
    [Trait("Spec", "RFC8707-2")]
    public async Task Resource_Absent_IsTheClientsOnlyToolServer()
    {
        var s = await server.ScenarioAsync();

        var token = await (await s.ServiceTokenAsync(change: f => f.Remove("resource"))).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(s.Resource, Answers.Claims(token.AccessToken).GetProperty("aud").GetString());
    }

    [Theory]
    [InlineData("https://root-a.test", "https://root-a.test/")]
    [InlineData("https://root-b.test/", "https://root-b.test")]
    [Trait("Spec", "RFC8707-2")]
    public async Task Resource_RootSlashMoreOrLess_IsTheSameAndTheRegisteredFormIsTheAudience(string registered, string asked)
    {
        var s = await server.ScenarioAsync();
        var file = JsonNode.Parse(s.File.ToJsonString().Replace(s.Resource, registered, StringComparison.Ordinal))!;
        file["tool_servers"]![0]!["id"] = "srv_root" + s.Suffix;
        file["tool_servers"]![0]!["enrolment_secrets"] = new JsonArray();
        await server.ApplyAsync(new JsonObject { ["tool_servers"] = file["tool_servers"]!.DeepClone(), ["clients"] = new JsonArray(file["clients"]!.AsArray()[^1]!.DeepClone()) }.ToJsonString());

        var token = await (await s.ServiceTokenAsync(change: f => f["resource"] = asked)).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(registered, Answers.Claims(token.AccessToken).GetProperty("aud").GetString());
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.4")]
    public async Task Agent_WithoutItsRecordsLeave_IsRefused()
    {
        var s = await server.ScenarioAsync();

        await server.RefusedAsync(
            () => AgentAsync(s, s.Details(["read_file"], New("read"))), HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, null, AuditTypes.TokenRefused, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    public async Task Agent_WithItsRecordsLeave_GetsANewTasksTokenAndMoreOfTheSameTask()
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        var first = await (await AgentAsync(s, s.Details(["read_file", "list_files"], New("read all")))).ReadAsync(ProtocolJson.Default.TokenResponse);
        var claims = Answers.Claims(first.AccessToken);
        var task = claims.GetProperty("task").GetProperty("id").GetString()!;

        var second = await (await AgentAsync(s, s.Details(["read_file"], new() { ["id"] = task }))).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal((s.Agent.Id, s.Agent.ClientId, "ai_agent"), (Text(claims, "sub"), Text(claims, "client_id"), Text(claims, "sub_profile")));
        Assert.False(claims.TryGetProperty("act", out _));
        Assert.False(claims.TryGetProperty("step_up", out _));
        Assert.Equal("tool:list_files tool:read_file", first.Scope);
        Assert.Equal(task, Answers.Claims(second.AccessToken).GetProperty("task").GetProperty("id").GetString());
        Assert.Equal("tool:read_file", second.Scope);
        Assert.NotNull(second.AuthorizationDetails);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where agent_id = '{s.Agent.Id}'"));
    }

    [Theory]
    [InlineData("no details", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("no task", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("an unknown task", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("another agent's task", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("beyond the ceiling", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("beyond the running task", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("no JSON", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("a member twice", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("another location than the resource", Names.Errors.InvalidTarget)]
    [InlineData("a scope beyond the details", Names.Errors.InvalidScope)]
    [Trait("Spec", "RFC9396-5")]
    public async Task Agent_AskingForWhatItMayNot_IsRefused(string what, string error)
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        var other = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        async Task<string> TaskOf(Scenario of) => Answers.Claims((await (await AgentAsync(of, of.Details(["read_file"], New("t")))).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken)
            .GetProperty("task").GetProperty("id").GetString()!;
        var details = what switch
        {
            "no task" => s.Details(["read_file"]),
            "an unknown task" => s.Details(["read_file"], new() { ["id"] = Id.New(Id.Task, server.Time.GetUtcNow()) }),
            "another agent's task" => s.Details(["read_file"], new() { ["id"] = await TaskOf(other) }),
            "beyond the ceiling" => s.Details(["read_file", "format_disk"], New("t")),
            "beyond the running task" => s.Details(["read_file", "delete_file"], new() { ["id"] = await TaskOf(s) }),
            _ => s.Details(["read_file"], New("t")),
        };
        Action<Dictionary<string, string>>? change = what switch
        {
            "no details" => f => f.Remove("authorization_details"),
            "no JSON" => f => f["authorization_details"] = "[{",
            "a member twice" => f => f["authorization_details"] = f["authorization_details"].Replace("[{", "[{\"type\":\"x\",", StringComparison.Ordinal),
            "another location than the resource" => f => f["resource"] = other.Resource,
            "a scope beyond the details" => f => f["scope"] = "tool:list_files",
            _ => null,
        };

        await server.RefusedAsync(() => AgentAsync(s, details, change), HttpStatusCode.BadRequest, error, null, AuditTypes.TokenRefused, error);
    }

    [Fact]
    public async Task Agent_WhoseRecordRequiresAProof_GetsNoBearerToken()
    {
        var s = await server.ScenarioAsync(o => (o.Agent["client_credentials"], o.Agent["require_dpop"]) = (true, true));

        await server.RefusedAsync(
            () => AgentAsync(s, s.Details(["read_file"], New("t"))), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, null, AuditTypes.TokenRefused, Names.Errors.InvalidDpopProof);
    }

    [Fact]
    public async Task PlainClient_WithAuthorizationDetails_IsRefused()
    {
        var s = await server.ScenarioAsync();

        await server.RefusedAsync(
            () => s.ServiceTokenAsync(change: f => f["authorization_details"] = s.Details(["read_file"], New("t")).ToJsonString()),
            HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null, AuditTypes.TokenRefused, Names.Errors.InvalidAuthorizationDetails);
    }

    private static JsonObject New(string purpose) => new() { ["purpose"] = purpose };

    private static string? Text(JsonElement claims, string name) => claims.GetProperty(name).GetString();

    private static Task<HttpResponseMessage> AgentAsync(Scenario s, JsonArray details, Action<Dictionary<string, string>>? change = null, string? proof = null)
    {
        var form = s.Agent.AssertionForm();
        form["grant_type"] = Names.OAuth.ClientCredentials;
        form["authorization_details"] = details.ToJsonString();
        change?.Invoke(form);
        return s.Agent.PostFormAsync(Names.Paths.Token, form, proof);
    }
}
