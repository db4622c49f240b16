using System.Diagnostics;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Registration;

namespace McpAuthServer.Tests.Hostile;

/// <summary>What anybody can send to the registration endpoint; what is refused leaves one event and nothing else.</summary>
public sealed class RegistrationAttackTests(RegisteringServer fixture) : IClassFixture<RegisteringServer>
{
    private readonly TestServer server = fixture.Server;

    [Theory]
    [InlineData("javascript:alert(1)")]
    [InlineData("JavaScript:alert(1)")]
    [InlineData(" JaVa\tScript:alert(1)")]
    [InlineData("data:text/html,x")]
    [InlineData("vbscript:x")]
    [InlineData("file:///etc/passwd")]
    [InlineData("about:blank")]
    [Trait("Attack", "8")]
    public Task RedirectUri_OfAScriptOrData_IsRefused(string uri) => RefusesRedirectAsync(uri);

    [Theory]
    [InlineData("http://app.example/cb")]
    [InlineData("http://10.0.0.1/cb")]
    [InlineData("https://app.example/cb#x")]
    [InlineData("https://user@app.example/cb")]
    [InlineData("https://*.app.example/cb")]
    [InlineData("https://app.example\\@evil.example/cb")]
    [InlineData("https://app.example/\\cb")]
    [InlineData("//app.example/cb")]
    [InlineData("https://app.example/cb?code=x")]
    [Trait("Attack", "9")]
    public Task RedirectUri_WithoutTlsOrOpenToReadings_IsRefused(string uri) => RefusesRedirectAsync(uri);

    private async Task RefusesRedirectAsync(string uri)
    {
        var refusal = await RefusedAsync(Registering.Public(json => json["redirect_uris"] = new JsonArray(Registering.Redirect, uri, "http://localhost/cb")).ToJsonString(), "invalid_redirect_uri");
        // It names itself, its place, and only what may stand in an answer.
        Assert.Contains("redirect_uris[1]", refusal, StringComparison.Ordinal);
        Assert.DoesNotContain("\t", refusal, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "11")]
    public async Task Grants_AndScopes_ThatAreNotForAnybody_AreNotRegistered_AndNotGranted()
    {
        var s = await server.ScenarioAsync();
        var registration = await server.RegisterAsync(Registering.Public(json =>
        {
            json["grant_types"] = new JsonArray("authorization_code", "refresh_token", "client_credentials", Names.Exchange.GrantType, "password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer");
            json["scope"] = "admin tool:delete_file";
            json["token_endpoint_auth_method"] = "client_secret_basic";
            json["agent"] = s.Agent.Id;
            json["authority"] = s.Details(["read_file"]);
        }));

        Assert.Equal("[\"authorization_code\",\"refresh_token\"]", registration.GetProperty("grant_types").GetRawText());
        Assert.False(registration.TryGetProperty("scope", out _) || registration.TryGetProperty("agent", out _) || registration.TryGetProperty("authority", out _));
        foreach (var grant in new[] { "client_credentials", Names.Exchange.GrantType })
            await server.RefusedAsync(() => TokenAsync(registration, grant, s), HttpStatusCode.BadRequest, "unauthorized_client", null, AuditTypes.TokenRefused, "unauthorized_client");
        // Its tokens come from a person's yes, and reach what the person left.
        var tokens = await s.TokensAsync(registration, Registering.Basic(registration));
        Assert.Equal("tools:read", Answers.Claims(tokens.AccessToken).GetProperty("scope").GetString());

        await RefusedAsync(Registering.Public(json => json["grant_types"] = new JsonArray("client_credentials", Names.Exchange.GrantType)).ToJsonString(), "invalid_client_metadata");
    }

    [Theory]
    [InlineData("eyJhbGciOiJub25lIn0.eyJzb2Z0d2FyZV9pZCI6IjEifQ.", "invalid_software_statement")]
    [InlineData("eyJhbGciOiJFUzI1NiJ9.eyJzb2Z0d2FyZV9pZCI6IjEifQ.c2lnbmF0dXJl", "unapproved_software_statement")]
    [Trait("Attack", "11")]
    public async Task SoftwareStatement_IsRefused(string statement, string error) =>
        await RefusedAsync(Registering.Public(json => json["software_statement"] = statement).ToJsonString(), error);

    [Fact]
    [Trait("Attack", "13")]
    public async Task Keys_ThatMustNotBeHere_AreRefused()
    {
        using var key = SigningKey.Create();
        var good = JsonNode.Parse(key.Public.Jwk.GetRawText())!;
        var bad = good.DeepClone();
        bad["d"] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
        foreach (var keys in new[] { new JsonArray(bad), new JsonArray(good, bad.DeepClone()), new JsonArray(new JsonObject { ["kty"] = "oct", ["k"] = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0" }) })
            await RefusedAsync(Registering.Public(json => (json["token_endpoint_auth_method"], json["jwks"]) = ("private_key_jwt", new JsonObject { ["keys"] = keys })).ToJsonString(), "invalid_client_metadata");
        await RefusedAsync(Registering.Public(json =>
        {
            json["jwks"] = new JsonObject { ["keys"] = new JsonArray(good.DeepClone()) };
            json["jwks_uri"] = "https://app.example/jwks";
        }).ToJsonString(), "invalid_client_metadata");
        Assert.DoesNotContain("jpsQnnGQmL", string.Join('\n', server.Logs.Lines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://127.0.0.1/jwks")]
    [InlineData("https://169.254.169.254/latest/meta-data")]
    [InlineData("https://localhost/jwks")]
    [InlineData("http://app.example/jwks")]
    [InlineData("https://2130706433/jwks")]
    [Trait("Attack", "14")]
    public async Task KeySet_AtThisMachineOrItsNetwork_IsRefused_AndNeverContacted(string address)
    {
        await RefusedAsync(Registering.Public(json => (json["token_endpoint_auth_method"], json["jwks_uri"]) = ("private_key_jwt", address)).ToJsonString(), "invalid_client_metadata");
        Assert.Empty(fixture.Internet.Connected);
    }

    [Fact]
    [Trait("Attack", "14")]
    public async Task Addresses_InARegistration_AreNotContacted_AndAKeySetInsideNeverIs()
    {
        var s = await server.ScenarioAsync();
        fixture.Internet.Names["inside.client.test"] = [IPAddress.Loopback];
        var registration = await server.RegisterAsync(Registering.Public(json =>
        {
            (json["token_endpoint_auth_method"], json["jwks_uri"]) = ("private_key_jwt", "https://inside.client.test/jwks");
            foreach (var member in new[] { "logo_uri", "client_uri", "policy_uri", "tos_uri" })
                json[member] = "https://inside.client.test/x";
        }));
        var code = await new PersonFlow(s).CodeAsync(s.QueryOf(registration));
        Assert.Empty(fixture.Internet.Asked);
        var client = new DocumentClient(s, registration.Text("client_id"), fixture.Internet);

        await server.RefusedAsync(() => s.RedeemRawAsync(registration, code, more: client.Assertion()), HttpStatusCode.Unauthorized, "invalid_client", null, AuditTypes.ClientRefused, "document_not_public");

        Assert.Equal((1, 0), (fixture.Internet.Asked.Count, fixture.Internet.Connected.Count));
    }

    public static TheoryData<string, HttpStatusCode> Large => new()
    {
        { "megabyte", HttpStatusCode.RequestEntityTooLarge }, { "uris", HttpStatusCode.RequestEntityTooLarge }, { "short_uris", HttpStatusCode.BadRequest }, { "deep", HttpStatusCode.BadRequest },
        { "deep_unclosed", HttpStatusCode.BadRequest }, { "duplicates", HttpStatusCode.BadRequest }, { "keys", HttpStatusCode.BadRequest }, { "nothing", HttpStatusCode.BadRequest }, { "number", HttpStatusCode.BadRequest },
    };

    [Theory, MemberData(nameof(Large))]
    [Trait("Attack", "16")]
    public async Task Body_TooLargeTooDeepOrAmbiguous_IsRefusedSoon(string what, HttpStatusCode status)
    {
        var body = what switch
        {
            "megabyte" => Registering.Public(json => json["client_name"] = new string('a', 1024 * 1024)).ToJsonString(),
            "uris" => Registering.Public(json => json["redirect_uris"] = new JsonArray([.. Enumerable.Range(0, 10_000).Select(i => (JsonNode)$"https://app.example/{i}")])).ToJsonString(),
            "short_uris" => Registering.Public(json => json["redirect_uris"] = new JsonArray([.. Enumerable.Range(0, 1000).Select(i => (JsonNode)$"a.b:/{i}")])).ToJsonString(),
            "deep" => $"{{\"redirect_uris\":{new string('[', 1000)}{new string(']', 1000)}}}",
            "deep_unclosed" => new string('[', 15_000),
            "duplicates" => """{"redirect_uris":["https://app.example/cb"],"redirect_uris":["https://evil.example/cb"],"token_endpoint_auth_method":"none"}""",
            "keys" => $"{{\"redirect_uris\":[\"https://a.example/cb\"],\"jwks\":{{\"keys\":[{string.Join(',', Enumerable.Repeat("{}", 4000))}]}}}}",
            "number" => """{"redirect_uris":["https://app.example/cb"],"x":1e400}""",
            _ => "",
        };
        var watch = Stopwatch.StartNew();

        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        using var response = await server.RegisterRawAsync(body);

        Assert.Equal(status, response.StatusCode);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}");
        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.RegistrationRefused, null);
        Assert.Contains(e.Reason, new[] { "invalid_client_metadata", "invalid_redirect_uri" });
        await server.RegisterAsync();
    }

    [Theory]
    [InlineData("text/plain", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/x-www-form-urlencoded", HttpStatusCode.UnsupportedMediaType)]
    public async Task Body_OfAnotherType_IsRefused(string type, HttpStatusCode status)
    {
        using var response = await server.RegisterRawAsync(Registering.Public().ToJsonString(), type: type);
        Assert.Equal(status, response.StatusCode);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public async Task Endpoint_ByAnotherMethod_IsRefused(string method)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        using var request = new HttpRequestMessage(new HttpMethod(method), Names.Paths.Register);
        using var response = await server.Client().SendAsync(request);
        await response.RefusedAsync(HttpStatusCode.MethodNotAllowed, "invalid_request");
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.RegistrationRefused, "method_not_allowed");
    }

    /// <summary>400, an answer of RFC 7591 §3.2.2, one event, no row.</summary>
    private async Task<string> RefusedAsync(string body, string error)
    {
        var (mark, before, rows) = (await server.NowAsync(), await Footprint.OfAsync(server), await server.ScalarAsync("select count(*) from clients"));
        using var response = await server.RegisterRawAsync(body);
        var refusal = await response.RefusedAsync(HttpStatusCode.BadRequest, error);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.RegistrationRefused, error);
        Assert.Equal(rows, await server.ScalarAsync("select count(*) from clients"));
        return refusal.Description!;
    }

    private async Task<HttpResponseMessage> TokenAsync(JsonElement registration, string grant, Scenario s)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = grant, ["resource"] = s.Resource }),
        };
        Registering.Basic(registration)(request);
        return await server.Client().SendAsync(request);
    }
}
