using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Discovery;

/// <summary>A server whose issuer has a path.</summary>
public sealed class TenantServer : IAsyncLifetime
{
    public const string Issuer = TestServer.Issuer + "/tenant/one";

    public TestServer Server { get; } = new();

    public Task InitializeAsync()
    {
        Server.Settings["McpAuth:Issuer"] = Issuer;
        return Server.InitializeAsync();
    }

    public Task DisposeAsync() => Server.DisposeAsync();
}

public sealed class MetadataEndpointTests(TestServer server, TenantServer tenant) : IClassFixture<TestServer>, IClassFixture<TenantServer>
{
    [Theory]
    [InlineData("/.well-known/oauth-authorization-server/tenant/one")]
    [InlineData("/.well-known/openid-configuration/tenant/one")]
    [InlineData("/tenant/one/.well-known/openid-configuration")]
    [InlineData("/tenant/one/.well-known/oauth-authorization-server")]
    [Trait("Spec", "RFC8414-3.1")]
    public async Task Metadata_IssuerWithAPath_IsAtEveryPlaceClientsLook(string path)
    {
        using var answer = await tenant.Server.Client().GetAsync(path);
        var metadata = JsonElement.Parse(await answer.Content.ReadAsStringAsync());

        Assert.Equal(TenantServer.Issuer, metadata.GetProperty("issuer").GetString());
        Assert.True(answer.Headers.CacheControl is { Public: true, NoStore: false });
        foreach (var address in metadata.EnumerateObject().Where(m => m.Name.EndsWith("_endpoint", StringComparison.Ordinal) || m.Name == "jwks_uri"))
            Assert.StartsWith(TenantServer.Issuer + "/", address.Value.GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/.well-known/oauth-authorization-server")]
    [InlineData("/.well-known/openid-configuration")]
    [InlineData("/.well-known/oauth-authorization-server/tenant")]
    [InlineData("/jwks")]
    [InlineData("/revoke")]
    public async Task Metadata_OfAnotherIssuerOfTheHost_IsNotThere(string path) =>
        Assert.Equal(HttpStatusCode.NotFound, (await tenant.Server.Client().GetAsync(path)).StatusCode);

    [Theory]
    [InlineData("issuer", "")]
    [InlineData("authorization_endpoint", "/authorize")]
    [InlineData("token_endpoint", "/token")]
    [InlineData("jwks_uri", "/jwks")]
    [InlineData("introspection_endpoint", "/introspect")]
    [InlineData("revocation_endpoint", "/revoke")]
    [InlineData("userinfo_endpoint", "/userinfo")]
    [InlineData("end_session_endpoint", "/logout")]
    [InlineData("pushed_authorization_request_endpoint", "/par")]
    [InlineData("device_authorization_endpoint", "/device_authorization")]
    [Trait("Spec", "RFC8414-2")]
    public async Task Metadata_EveryAddress_IsTheIssuersAndServed(string member, string path)
    {
        var metadata = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OAuthMetadata));

        Assert.Equal(TestServer.Issuer + path, metadata.GetProperty(member).GetString());
        if (path.Length > 0)
            Assert.NotEqual(HttpStatusCode.NotFound, (await server.Client().GetAsync(path)).StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC8414-2")]
    public async Task Metadata_SaysWhatRealClientsAskFor()
    {
        var metadata = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OAuthMetadata));
        string[] Strings(string name) => [.. metadata.GetProperty(name).EnumerateArray().Select(v => v.GetString()!).Order(StringComparer.Ordinal)];

        foreach (var endpoint in new[] { "token", "revocation" })
            Assert.Equal(["client_secret_basic", "client_secret_post", "none", "private_key_jwt"], Strings(endpoint + "_endpoint_auth_methods_supported"));
        // Beside private_key_jwt they must be there.
        foreach (var endpoint in new[] { "token", "revocation", "introspection" })
            Assert.Equal(["ES256", "RS256"], Strings(endpoint + "_endpoint_auth_signing_alg_values_supported"));
        Assert.Equal(["authorization_code", "client_credentials", "refresh_token", Names.Device.GrantType, Names.Assertions.JwtBearer, Names.Exchange.GrantType, Names.Ciba.GrantType], Strings("grant_types_supported"));
        Assert.Equal(["poll"], Strings("backchannel_token_delivery_modes_supported"));
        Assert.Equal((TestServer.Issuer + "/bc-authorize", false), (metadata.GetProperty("backchannel_authentication_endpoint").GetString(), metadata.GetProperty("backchannel_user_code_parameter_supported").GetBoolean()));
        Assert.Equal(["code"], Strings("response_types_supported"));
        Assert.Equal(["form_post", "query"], Strings("response_modes_supported"));
        Assert.Equal(["pwd"], Strings("acr_values_supported"));
        Assert.False(metadata.GetProperty("require_pushed_authorization_requests").GetBoolean());
        Assert.Equal(TestServer.Issuer + "/authorize", metadata.GetProperty("authorization_endpoint").GetString());
        Assert.Equal(["ES256", "RS256"], Strings("dpop_signing_alg_values_supported"));
        Assert.Equal(["mcp_tool_call"], Strings("authorization_details_types_supported"));
        Assert.Equal(["email", "offline_access", "openid", "profile", "prompts:read", "resources:read", "tools:read"], Strings("scopes_supported"));
        Assert.Equal(["DPoP", "client_secret_basic", "client_secret_post", "private_key_jwt"], Strings("introspection_endpoint_auth_methods_supported"));
    }

    [Fact]
    [Trait("Spec", "RFC8414-3.2")]
    public async Task Metadata_IsA200OfAnObjectWithoutEmptyMembers()
    {
        using var answer = await server.Client().GetAsync(Names.Paths.OAuthMetadata);
        var metadata = JsonElement.Parse(await answer.Content.ReadAsStringAsync());

        Assert.Equal((HttpStatusCode.OK, "application/json", JsonValueKind.Object), (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType, metadata.ValueKind));
        Assert.All(metadata.EnumerateObject(), m => Assert.True(m.Value.ValueKind switch
        {
            JsonValueKind.Array => m.Value.GetArrayLength() > 0,
            JsonValueKind.String => m.Value.GetString()!.Length > 0,
            var kind => kind is JsonValueKind.True or JsonValueKind.False,
        }, m.ToString()));
    }

    [Fact]
    [Trait("Spec", "OIDC-Discovery-3")]
    public async Task Metadata_ForOpenIdClients_SaysWhatThereIsAndWhatIsNot()
    {
        var metadata = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OpenIdMetadata));
        string[] Strings(string name) => [.. metadata.GetProperty(name).EnumerateArray().Select(v => v.GetString()!).Order(StringComparer.Ordinal)];

        Assert.Equal(["public"], Strings("subject_types_supported"));
        Assert.Equal(["acr", "at_hash", "aud", "auth_time", "email", "exp", "iat", "iss", "name", "nonce", "sid", "sub"], Strings("claims_supported"));
        foreach (var absent in new[] { "claims_parameter_supported", "request_uri_parameter_supported" })
            Assert.False(metadata.GetProperty(absent).GetBoolean());
        // What signs is what the key set has.
        var keys = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.Jwks)).GetProperty("keys").EnumerateArray().Select(k => k.GetProperty("alg").GetString()!).Distinct();
        foreach (var signed in new[] { "id_token", "introspection" })
            Assert.Equal(keys, Strings(signed + "_signing_alg_values_supported"));
    }

    [Theory]
    [InlineData("/tenant/one/token")]
    [InlineData("/token")]
    public async Task TokenEndpoint_IssuerWithAPath_IsThereAndAtTheRootForClientsThatIgnoreMetadata(string path)
    {
        var s = await tenant.Server.ScenarioAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "client_credentials", ["resource"] = s.Resource }),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));

        var token = await (await tenant.Server.Client().SendAsync(request)).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(TenantServer.Issuer, Answers.Claims(token.AccessToken).GetProperty("iss").GetString());
    }

    [Theory]
    [InlineData("/tenant/one/authorize")]
    [InlineData("/authorize")]
    public async Task AuthorizeEndpoint_IssuerWithAPath_IsThereAndAtTheRootAndLeadsToTheIssuersPages(string path)
    {
        var s = await tenant.Server.ScenarioAsync();
        var browser = new TestBrowser(tenant.Server);

        var start = await browser.GetAsync($"{path}?{s.AuthorizeQuery()}");
        Assert.StartsWith("/tenant/one/account/sign-in?continue=", start.Location, StringComparison.Ordinal);
        var back = await browser.SignInAsync(s.Person, start.Location!);
        Assert.StartsWith("/tenant/one/authorize/resume?continue=", back.Location, StringComparison.Ordinal);
        var consent = await browser.FollowAsync(back);
        Assert.StartsWith("/tenant/one/consent?continue=", consent.Location, StringComparison.Ordinal);
        var allowed = await browser.PostFormAsync(await browser.FollowAsync(consent), new() { ["decision"] = "allow" }, Names.Paths.Consent);

        Assert.StartsWith(s.RedirectUri + "?code=", allowed.Location, StringComparison.Ordinal);
        Assert.EndsWith("&iss=" + Uri.EscapeDataString(TenantServer.Issuer), allowed.Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST", "/token")]
    [InlineData("POST", "/revoke")]
    [InlineData("GET", "/userinfo")]
    [InlineData("POST", "/userinfo")]
    [InlineData("GET", Names.Paths.OAuthMetadata)]
    [InlineData("GET", Names.Paths.OpenIdMetadata)]
    [InlineData("GET", "/jwks")]
    public async Task Preflight_OfABrowserClient_IsAnswered(string method, string path)
    {
        using var ask = new HttpRequestMessage(HttpMethod.Options, path);
        ask.Headers.Add("Origin", "http://localhost:6274");
        ask.Headers.Add("Access-Control-Request-Method", method);
        ask.Headers.Add("Access-Control-Request-Headers", "authorization,content-type,dpop,mcp-protocol-version,mcp-method,mcp-name");
        using var answer = await server.Client().SendAsync(ask);

        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal("*", Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Contains(method, string.Join(',', answer.Headers.GetValues("Access-Control-Allow-Methods")), StringComparison.Ordinal);
        var allowed = string.Join(',', answer.Headers.GetValues("Access-Control-Allow-Headers"));
        foreach (var header in new[] { "Authorization", "Content-Type", "DPoP", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name" })
            Assert.Contains(header, allowed, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task RefusalOfABrowserClient_CanBeReadByIt()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = new FormUrlEncodedContent([new("client_id", "nobody")]) };
        request.Headers.Add("Origin", "http://localhost:6274");
        using var answer = await server.Client().SendAsync(request);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("*", Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        var exposed = string.Join(',', answer.Headers.GetValues("Access-Control-Expose-Headers"));
        Assert.Contains("WWW-Authenticate", exposed, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("DPoP-Nonce", exposed, StringComparison.OrdinalIgnoreCase);
    }
}
