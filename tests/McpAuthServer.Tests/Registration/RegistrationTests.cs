using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Clients;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Registration;

public sealed class RegistrationTests(RegisteringServer fixture) : IClassFixture<RegisteringServer>
{
    private readonly TestServer server = fixture.Server;

    [Fact]
    [Trait("Spec", "RFC7591-3.2.1")]
    public async Task Registration_OfAPublicClient_AnswersAllThatIsRegistered_AndNothingElse()
    {
        var mark = await server.NowAsync();
        using var response = await server.RegisterRawAsync(Registering.Public(json =>
        {
            json["logo_uri"] = "https://app.example/logo.png";
            json["scope"] = "tools:read admin";
            json["contacts"] = new JsonArray("a@app.example");
            json["x-unknown"] = 1;
            json["client_id"] = "mine";
            json["client_secret"] = "mine";
        }).ToJsonString());

        var registration = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        Assert.True(response.Headers.CacheControl?.NoStore);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(
            ["client_id", "client_id_issued_at", "client_name", "grant_types", "redirect_uris", "registration_access_token", "registration_client_uri", "response_types", "token_endpoint_auth_method"],
            registration.EnumerateObject().Select(m => m.Name).Order());
        Assert.StartsWith("dyn_", registration.Text("client_id"), StringComparison.Ordinal);
        Assert.Equal($"{TestServer.Issuer}/register/{registration.Text("client_id")}", registration.Text("registration_client_uri"));
        Assert.Equal(server.Time.GetUtcNow().ToUnixTimeSeconds(), registration.GetProperty("client_id_issued_at").GetInt64());
        Assert.Equal("[\"code\"]", registration.GetProperty("response_types").GetRawText());
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.ClientRegistered, registration.Text("client_id"), "dynamic"), (e.Type, e.Client, (string?)e.Data!["origin"]));
    }

    public static TheoryData<string> OfOthers =>
        [.. ClientMetadataTests.OfOthers.Where(row => (string)row[0] == McpAuthServer.Registry.ClientOrigin.Dynamic).Select(row => (string)row[1])];

    /// <summary>Registered as they do, and then through the browser to a token.</summary>
    [Theory, MemberData(nameof(OfOthers))]
    [Trait("Spec", "RFC7591-3.1")]
    [Trait("Attack", "52")]
    public async Task Registration_OfClientsOfOthers_LeadsToAToken(string body)
    {
        var s = await server.ScenarioAsync();
        using var response = await server.RegisterRawAsync(body);
        var registration = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.True(response.StatusCode == HttpStatusCode.Created, registration.GetRawText());

        Assert.Equal(JsonElement.Parse(body).GetProperty("redirect_uris").EnumerateArray().Select(u => u.GetString()), registration.GetProperty("redirect_uris").EnumerateArray().Select(u => u.GetString()));
        foreach (var redirect in registration.GetProperty("redirect_uris").EnumerateArray())
        {
            var given = redirect.GetString()!;
            if (given.StartsWith("http://127.0.0.1", StringComparison.Ordinal))
                given = given.Replace("127.0.0.1:33418", "127.0.0.1", StringComparison.Ordinal).Replace("127.0.0.1/", "127.0.0.1:49152/", StringComparison.Ordinal);
            var browser = new TestBrowser(server);
            await browser.SignInAsync(s.Person);
            var page = await browser.FollowAsync(await browser.GetAsync("/authorize?" + s.QueryOf(registration, new() { ["redirect_uri"] = given, ["scope"] = "" })));
            Assert.Contains("Nobody here has checked its name: the program registered itself.", page.Text, StringComparison.Ordinal);
            var answer = await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);
            Assert.StartsWith(given + "?code=", answer.Location, StringComparison.Ordinal);
            var code = System.Web.HttpUtility.ParseQueryString(new Uri(answer.Location!).Query)["code"]!;
            var secret = registration.TryGetProperty("client_secret", out _) ? Registering.Basic(registration) : null;
            var tokens = await (await s.RedeemRawAsync(registration, code, secret)).ReadAsync(ProtocolJson.Default.TokenResponse);
            Assert.NotNull(tokens.RefreshToken);
        }
    }

    [Theory]
    [InlineData("client_secret_basic")]
    [InlineData("client_secret_post")]
    [InlineData(null)]
    [Trait("Spec", "RFC7591-3.2.1")]
    public async Task Registration_WithASecret_ShowsOneOfTheServersOnce_AndKeepsItsHash(string? method)
    {
        var s = await server.ScenarioAsync();
        var registration = await server.RegisterAsync(Registering.Public(json =>
        {
            json.Remove("token_endpoint_auth_method");
            if (method is not null)
                json["token_endpoint_auth_method"] = method;
        }));

        // RFC 7591 §2: the default is Basic.
        Assert.Equal(method ?? "client_secret_basic", registration.Text("token_endpoint_auth_method"));
        Assert.Equal(0, registration.GetProperty("client_secret_expires_at").GetInt64());
        var (id, secret) = (registration.Text("client_id"), registration.Text("client_secret"));
        Assert.True(Base64Url.TryDecode(secret.Replace("cs_", "", StringComparison.Ordinal), out var bytes) && bytes.Length == 32);
        // RFC 7592 §5.
        Assert.True(Base64Url.TryDecode(registration.Text("registration_access_token").Replace("reg_", "", StringComparison.Ordinal), out bytes) && bytes.Length == 32);

        var post = method == "client_secret_post";
        await s.TokensAsync(registration, post ? null : Registering.Basic(registration), post ? new() { ["client_secret"] = secret } : null);
        await (await s.RedeemRawAsync(registration, "x", post ? Registering.Basic(registration) : null, post ? null : new() { ["client_secret"] = secret })).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        await (await s.RedeemRawAsync(registration, "x", Registering.Basic(registration, "cs_wrong"))).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        await (await s.RedeemRawAsync(registration, "x")).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");

        using var shown = await server.ManageRawAsync(HttpMethod.Get, registration);
        Assert.DoesNotContain(secret, await shown.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        foreach (var hidden in new[] { secret, registration.Text("registration_access_token") })
        {
            Assert.Equal(0, await server.ScalarAsync($"select count(*) from clients where id = '{id}' and (secret_hash like '%{hidden}%' or registration_hash like '%{hidden}%' or metadata like '%{hidden}%')"));
            Assert.DoesNotContain(hidden, string.Join('\n', server.Logs.Lines), StringComparison.Ordinal);
            Assert.DoesNotContain(await server.EventsAsync(), e => e.ToString().Contains(hidden, StringComparison.Ordinal));
        }
    }

    [Fact]
    [Trait("Spec", "RFC7591-3.2.1")]
    public async Task Registration_TwiceTheSame_IsTwoClientsWithSecretsOfTheirOwn()
    {
        var body = Registering.Public(json => json["token_endpoint_auth_method"] = "client_secret_basic");

        var (one, two) = (await server.RegisterAsync(body), await server.RegisterAsync(body));

        foreach (var own in new[] { "client_id", "client_secret", "registration_access_token", "registration_client_uri" })
            Assert.NotEqual(one.Text(own), two.Text(own));
    }

    [Fact]
    [Trait("Spec", "RFC7591-2")]
    public async Task Registration_WithAKey_IsTakenByItsAssertion()
    {
        var s = await server.ScenarioAsync();
        using var key = SigningKey.Create();
        var registration = await server.RegisterAsync(Registering.Public(json =>
        {
            json["token_endpoint_auth_method"] = "private_key_jwt";
            json["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(key.Public.Jwk.GetRawText())) };
        }));
        var client = new DocumentClient(s, registration.Text("client_id"), fixture.Internet);

        await s.TokensAsync(registration, more: client.Assertion(key: key));
        await (await s.RedeemRawAsync(registration, "x", more: client.Assertion())).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        await (await s.RedeemRawAsync(registration, "x")).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
    }

    [Fact]
    [Trait("Spec", "RFC9126-6")]
    [Trait("Spec", "RFC9449-5.2")]
    public async Task Registration_ForPushedRequestsAndBoundTokens_IsHeldToIt()
    {
        var s = await server.ScenarioAsync();
        var registration = await server.RegisterAsync(Registering.Public(json => (json["require_pushed_authorization_requests"], json["dpop_bound_access_tokens"]) = (true, true)));

        var answer = await new TestBrowser(server).GetAsync("/authorize?" + s.QueryOf(registration, new() { ["prompt"] = "none" }));
        Assert.Contains("error=invalid_request", answer.Location, StringComparison.Ordinal);
        await (await s.RedeemRawAsync(registration, "x")).RefusedAsync(HttpStatusCode.BadRequest, "invalid_dpop_proof");
    }

    [Fact]
    public async Task Registration_NeverUsed_GoesAfterItsTime_AndOneThatIsUsedStays()
    {
        var s = await server.ScenarioAsync();
        var (unused, used) = (await server.RegisterAsync(), await server.RegisterAsync());
        var tokens = await s.TokensAsync(used);
        var mark = await server.NowAsync();

        server.Time.Advance(TimeSpan.FromDays(7) + TimeSpan.FromMinutes(1));

        var gone = await WaitForAsync(mark, AuditTypes.ClientDeleted, unused.Text("client_id"));
        Assert.Equal(("unused", "success"), (gone.Reason, gone.Outcome));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from clients where id = '{unused.Text("client_id")}'"));
        await server.SeeRegistryAsync();
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(server).GetAsync("/authorize?" + s.QueryOf(unused))).Status);
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(server).GetAsync("/authorize?" + s.QueryOf(used))).Status);
        Assert.NotNull(tokens.RefreshToken);
    }

    [Fact]
    public async Task Registration_UsedLongAgo_GoesWithAllThatStoodOnIt_ButNotWhileItHasRefreshTokens()
    {
        var s = await server.ScenarioAsync();
        var registration = await server.RegisterAsync();
        var id = registration.Text("client_id");
        var tokens = await s.TokensAsync(registration);
        // As long as it keeps coming back.
        await ExecuteAsync($"update clients set expires_at = {server.Time.GetUtcNow().ToUnixTimeMilliseconds()} where id = '{id}'");
        server.Time.Advance(TimeSpan.FromMinutes(2));
        tokens = await (await s.RefreshRawAsync(registration, tokens.RefreshToken!)).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from clients where id = '{id}' and state = 'active'"));

        var mark = await server.NowAsync();
        server.Time.Advance(TimeSpan.FromHours(13));

        var gone = await WaitForAsync(mark, AuditTypes.ClientDeleted, id);
        var consent = await WaitForAsync(mark, AuditTypes.ConsentWithdrawn, id);
        Assert.Equal(gone.Id, consent.Cause);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from clients where id = '{id}' and state = 'retired' and registration_hash is null and expires_at is null"));
        await server.SeeRegistryAsync();
        await (await s.RefreshRawAsync(registration, tokens.RefreshToken!)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        await (await server.ManageRawAsync(HttpMethod.Get, registration)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
    }

    [Fact]
    public async Task Metadata_NamesTheEndpoint_AndABrowsersScriptMayUseIt()
    {
        var metadata = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OAuthMetadata));
        Assert.Equal(TestServer.Issuer + "/register", metadata.Text("registration_endpoint"));

        using var preflight = new HttpRequestMessage(HttpMethod.Options, Names.Paths.Register);
        preflight.Headers.Add("Origin", "http://localhost:6274");
        preflight.Headers.Add("Access-Control-Request-Method", "POST");
        preflight.Headers.Add("Access-Control-Request-Headers", "content-type,mcp-protocol-version");
        using var answer = await server.Client().SendAsync(preflight);
        Assert.Equal("*", Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.False(answer.Headers.Contains("Access-Control-Allow-Credentials"));
    }

    /// <summary>The sweep runs beside the clock that a test moves.</summary>
    private async Task<AuditEvent> WaitForAsync(long mark, string type, string client)
    {
        for (var i = 0; i < 500; i++)
        {
            if ((await server.SinceAsync(mark)).FirstOrDefault(e => e.Type == type && e.Client == client) is { } e)
                return e;
            await Task.Delay(10);
        }
        throw new Xunit.Sdk.XunitException($"There was no {type} of {client}.");
    }

    private Task<int> ExecuteAsync(string sql) => server.Services.GetRequiredService<ICommitLog>().Commit(new LambdaUnit<int>(tx => tx.Run(new Sql(sql).With()), StateLock.Exclusive));
}
