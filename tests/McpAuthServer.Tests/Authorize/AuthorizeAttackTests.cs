using System.Net;
using System.Web;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Authorize;

/// <summary>What an attacker sends to the authorization endpoint. Until client and redirect are known nothing leaves the server; afterwards only errors do.</summary>
public class AuthorizeAttackTests(TestServer server) : IClassFixture<TestServer>
{
    [Theory]
    [InlineData("client_id", "nobody")]
    [InlineData("client_id", null)]
    [InlineData("client_id", "<script>alert(1)</script>")]
    [Trait("Attack", "29")]
    [Trait("Spec", "RFC6749-4.1.2.1")]
    public async Task Client_ThatIsUnknown_GetsAPageOfThisServer(string parameter, string? value)
    {
        var s = await server.ScenarioAsync();

        await StaysHereAsync(s.AuthorizeQuery(new Dictionary<string, string?> { [parameter] = value }), "unknown_client");
    }

    [Theory]
    [InlineData("https://evil.test/cb")]
    [InlineData("https://client-{0}.test/cb2")]
    [InlineData("https://client-{0}.test/c")]
    [InlineData("https://client-{0}.test/CB")]
    [InlineData("https://client-{0}.test/cb/")]
    [InlineData("https://CLIENT-{0}.test/cb")]
    [InlineData("https://client-{0}.test:443/cb")]
    [InlineData("https://client-{0}.test/cb?x=1")]
    [InlineData("https://client-{0}.test/cb#x")]
    [InlineData("https://client-{0}.test/cb%252F..")]
    [InlineData("https://client-{0}.test/%63b")]
    [InlineData("https://client-{0}.test/x/../cb")]
    [InlineData("https://client-{0}.test/cb;/../")]
    [InlineData("https://client-{0}.test@evil.test/cb")]
    [InlineData("https://client-{0}.test/cb\\@evil.test")]
    [InlineData("https://client-{0}.test/cb\r\nX: y")]
    [InlineData("http://127.0.0.1:80@evil.test/callback")]
    [InlineData("http://127.0.0.1:8000/callback/..")]
    [InlineData("http://localhost:8000/callback")]
    [InlineData("https://127.0.0.1:8000/callback")]
    [InlineData("javascript:alert(1)")]
    [InlineData(null)]
    [Trait("Attack", "30")]
    [Trait("Attack", "31")]
    [Trait("Attack", "33")]
    [Trait("Spec", "RFC6749-3.1.2.4")]
    public async Task Redirect_ThatIsNotRegistered_GetsAPageOfThisServer(string? uri)
    {
        var s = await server.ScenarioAsync();

        await StaysHereAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = uri?.Replace("{0}", s.Suffix, StringComparison.Ordinal) }), "redirect_uri");
    }

    [Theory]
    [InlineData("redirect_uri", true)]
    [InlineData("redirect_uri", false)]
    [InlineData("client_id", true)]
    [Trait("Attack", "34")]
    public async Task RedirectOrClient_Twice_GetsAPageOfThisServer(string parameter, bool evilFirst)
    {
        var s = await server.ScenarioAsync();
        var evil = $"{parameter}={Uri.EscapeDataString("https://evil.test/cb")}";
        var query = evilFirst ? $"{evil}&{s.AuthorizeQuery()}" : $"{s.AuthorizeQuery()}&{evil}";

        await StaysHereAsync(query, parameter == "client_id" ? "unknown_client" : "redirect_uri");
    }

    [Theory]
    [InlineData("state")]
    [InlineData("scope")]
    [InlineData("code_challenge")]
    [InlineData("code_challenge_method")]
    [InlineData("response_type")]
    [InlineData("prompt")]
    [InlineData("anything")]
    [Trait("Attack", "35")]
    [Trait("Spec", "RFC6749-3.1")]
    public async Task Parameter_Twice_IsInvalid(string parameter)
    {
        var s = await server.ScenarioAsync();

        var (error, state) = await server.RefusedAuthorizationAsync(s, $"{s.AuthorizeQuery()}&{parameter}=a&{parameter}=b");

        Assert.Equal(Names.Errors.InvalidRequest, error);
        Assert.Equal(parameter == "state" ? null : "state-" + s.Suffix, state);
    }

    [Theory]
    [InlineData("code_challenge", null)]
    [InlineData("code_challenge_method", null)]
    [InlineData("code_challenge_method", "plain")]
    [InlineData("code_challenge_method", "s256")]
    [InlineData("code_challenge", "short")]
    [InlineData("code_challenge", "not+base64url/not+base64url/not+base64url/12")]
    [Trait("Attack", "37")]
    [Trait("Spec", "RFC7636-4.3")]
    [Trait("Spec", "RFC7636-4.4.1")]
    public async Task Challenge_ThatIsNotS256_IsInvalid(string parameter, string? value)
    {
        var s = await server.ScenarioAsync();
        var (browser, query) = (new TestBrowser(server), s.AuthorizeQuery(new Dictionary<string, string?> { [parameter] = value }));
        await browser.SignInAsync(s.Person);

        Assert.Equal(Names.Errors.InvalidRequest, (await server.RefusedAuthorizationAsync(s, query, browser)).Error);
        // And is told what is missing.
        var members = HttpUtility.ParseQueryString(new Uri((await browser.GetAsync("/authorize?" + query)).Location!).Query);
        Assert.Contains("code_challenge_method=S256", members["error_description"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("token", Names.Errors.UnsupportedResponseType)]
    [InlineData("id_token", Names.Errors.UnsupportedResponseType)]
    [InlineData("code id_token", Names.Errors.UnsupportedResponseType)]
    [InlineData("code token", Names.Errors.UnsupportedResponseType)]
    [InlineData("Code", Names.Errors.UnsupportedResponseType)]
    [InlineData(null, Names.Errors.InvalidRequest)]
    [Trait("Attack", "39")]
    [Trait("Spec", "RFC6749-3.1.1")]
    public async Task ResponseType_OtherThanCode_IsRefused(string? type, string error)
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(error, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { ["response_type"] = type }))).Error);
    }

    [Theory]
    [InlineData("fragment")]
    [InlineData("web_message")]
    [Trait("Attack", "40")]
    public async Task ResponseMode_NotDeclared_IsInvalid(string mode)
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(Names.Errors.InvalidRequest, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { ["response_mode"] = mode }))).Error);
    }

    [Theory]
    [InlineData("https://unknown.test/mcp")]
    [InlineData("https://files-{0}.test/mcp#x")]
    [InlineData("https://files-{0}.test/mcp/")]
    [InlineData("https://files-{0}.test/MCP")]
    [InlineData("https://auth.test/guard")]
    [InlineData("https://auth.test/token")]
    [InlineData("not a uri")]
    [InlineData(null)]
    [Trait("Attack", "41")]
    [Trait("Spec", "RFC8707-2.1")]
    public async Task Resource_ThatIsNoToolServer_IsAnInvalidTarget(string? resource)
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(Names.Errors.InvalidTarget, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { ["resource"] = resource?.Replace("{0}", s.Suffix, StringComparison.Ordinal) }))).Error);
    }

    [Fact]
    [Trait("Attack", "41")]
    public async Task Resource_OfAClientThatMayAskForOthersOnly_IsAnInvalidTarget()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        await server.ApplyAsync($$"""
            {"clients":[{"id":"{{s.PublicClient}}","name":"Browser client","auth_method":"none","grant_types":["authorization_code"],"redirect_uris":["{{s.RedirectUri}}"],
              "tool_servers":["{{other.ToolServer}}"]}]}
            """);

        Assert.Equal(Names.Errors.InvalidTarget, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery())).Error);
        // RFC 8707 §2.1 leaves the default to the server: the client's only tool server.
        var answer = await new TestBrowser(server).GetAsync("/authorize?" + s.AuthorizeQuery(new Dictionary<string, string?> { ["resource"] = null }));
        Assert.StartsWith("/account/sign-in?", answer.Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("request", "eyJhbGciOiJub25lIn0.e30.", Names.Errors.RequestNotSupported)]
    [InlineData("request", """{"client_id":"x"}""", Names.Errors.RequestNotSupported)]
    [InlineData("request_uri", "http://127.0.0.1:1/request.jwt", Names.Errors.RequestUriNotSupported)]
    [Trait("Attack", "58")]
    [Trait("Spec", "RFC9101-5")]
    public async Task RequestObject_InAnyForm_IsRefused(string parameter, string value, string error)
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(error, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { [parameter] = value }))).Error);
    }

    [Theory]
    [InlineData("scope", "tool:format_disk", Names.Errors.InvalidScope)]
    [InlineData("max_age", "soon", Names.Errors.InvalidRequest)]
    [InlineData("max_age", "-1", Names.Errors.InvalidRequest)]
    [InlineData("authorization_details", "[]", Names.Errors.InvalidAuthorizationDetails)]
    public async Task Parameter_ThatCannotBeMeant_IsRefused(string parameter, string value, string error)
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(error, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { [parameter] = value }))).Error);
    }

    [Theory]
    [InlineData("""{"resource":"{R}"}""", Names.Errors.InvalidTarget)]
    [InlineData("""{"authorization_details":null}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"authorization_details":"not json"}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"authorization_details":"[{\"type\":\"mcp_tool_call\",\"locations\":[\"{R}\"],\"actions\":[\"tools/call\"],\"tools\":{\"read_file\":{}}}]"}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"authorization_details":"[{\"type\":\"mcp_tool_call\",\"locations\":[\"{R}\"],\"actions\":[\"tools/call\"],\"tools\":{\"read_file\":{}},\"task\":{\"id\":\"tsk_1\"}}]"}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"authorization_details":"[{\"type\":\"mcp_tool_call\",\"locations\":[\"https://unknown.test/\"],\"actions\":[\"tools/call\"],\"tools\":{\"read_file\":{}},\"task\":{\"purpose\":\"x\"}}]"}""", Names.Errors.InvalidTarget)]
    [InlineData("""{"authorization_details":"[{\"type\":\"mcp_tool_call\",\"locations\":[\"{R}\"],\"actions\":[\"tools/call\"],\"tools\":{\"format_disk\":{}},\"task\":{\"purpose\":\"x\"}}]"}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"authorization_details":"[{\"type\":\"mcp_tool_call\",\"locations\":[\"{R}\"],\"actions\":[\"tools/call\"],\"tools\":{\"delete_file\":{}},\"task\":{\"purpose\":\"x\"}}]"}""", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("""{"authorization_details":"[{\"type\":\"mcp_tool_call\",\"locations\":[\"{R}\"],\"actions\":[\"tools/call\"],\"tools\":{\"read_file\":{}},\"task\":{\"purpose\":\"x\",\"expires_at\":\"2020-01-01T00:00:00Z\"}}]"}""", Names.Errors.InvalidAuthorizationDetails)]
    public async Task Delegation_BeyondWhatTheAgentMay_IsRefusedBeforeThePersonIsAsked(string change, string error)
    {
        var s = await server.ScenarioAsync(o => o.Agent["ceiling"] = System.Text.Json.Nodes.JsonNode.Parse("[]"));
        // Delete is beyond the ceiling.
        s.File["agents"]![0]!["ceiling"] = s.Details(["list_files", "read_file"]);
        await server.ApplyAsync(s.File.ToJsonString());
        var changes = System.Text.Json.JsonSerializer.Deserialize<Dictionary<string, string?>>(change.Replace("{R}", s.Resource, StringComparison.Ordinal))!;

        Assert.Equal(error, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(s.Agent, s.Details(["read_file"], new() { ["purpose"] = "x" }), changes))).Error);
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.1.2.1")]
    public async Task Error_DescribingHostileInput_HasOnlyTheCharactersADescriptionMayHave()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        foreach (var details in new[]
        {
            "[{\"type\":\"mcp_tool_call\",\"a\\\"b\\\\c\\u00e9\\r\\nSet-Cookie: x<script>\":1}]",
            "[{\"type\":\"mcp_tool_call\",\"locations\":[\"x\"],\"tools\":{\"t\\\"\\\\\\u00e9\":{\"\\u0000\":1}}}]",
            $"[{{\"type\":\"mcp_tool_call\",\"{new string('x', 3000)}\":1}}]",
        })
        {
            var answer = await browser.GetAsync("/authorize?" + s.AuthorizeQuery(s.Agent, [], new Dictionary<string, string?> { ["authorization_details"] = details }));

            var members = HttpUtility.ParseQueryString(new Uri(answer.Location!).Query);
            Assert.Equal(Names.Errors.InvalidAuthorizationDetails, members["error"]);
            // RFC 6749 §4.1.2.1: %x20-21 / %x23-5B / %x5D-7E; and an address has an end.
            Assert.All(members["error_description"]!, c => Assert.True(c is >= ' ' and <= '~' and not ('"' or '\\'), $"{members["error_description"]} has U+{(int)c:X4}"));
            Assert.InRange(members["error_description"]!.Length, 1, 500);
        }
    }

    [Theory]
    [InlineData("scope", "tool:format_disk")]
    [InlineData("code_challenge", null)]
    [InlineData("response_type", "token")]
    [InlineData("resource", "https://unknown.test/mcp")]
    [InlineData("prompt", "create")]
    [Trait("Spec", "OAuth2.1-7.13.2")]
    public async Task Error_NobodySignedIn_SendsNobodyAwayBeforeTheyHave(string parameter, string? value)
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var mark = await server.NowAsync();

        var start = await browser.GetAsync("/authorize?" + s.AuthorizeQuery(new Dictionary<string, string?> { [parameter] = value }));

        Assert.StartsWith("/account/sign-in?continue=", start.Location, StringComparison.Ordinal);
        Assert.Empty(await server.SinceAsync(mark));
        var answer = await browser.FollowAsync(await browser.SignInAsync(s.Person, start.Location!));
        Assert.StartsWith(s.RedirectUri + "?error=", answer.Location, StringComparison.Ordinal);
        Assert.Equal(s.User, Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.AuthorizationRefused).User);
    }

    [Fact]
    [Trait("Spec", "OAuth2.1-7.13.2")]
    public async Task Error_OfASilentRequest_IsToldAtOnce()
    {
        var s = await server.ScenarioAsync();

        var answer = await new TestBrowser(server).GetAsync("/authorize?" + s.AuthorizeQuery(new Dictionary<string, string?> { ["prompt"] = "none", ["scope"] = "tool:format_disk" }));

        Assert.StartsWith(s.RedirectUri + "?error=invalid_scope&", answer.Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "7")]
    public async Task AuthorizeEndpoint_IsNoPlaceForScriptsOfOtherOrigins()
    {
        var s = await server.ScenarioAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/authorize?" + s.AuthorizeQuery());
        request.Headers.Add("Origin", "https://evil.test");

        using var answer = await server.Client().SendAsync(request);

        Assert.False(answer.Headers.Contains("Access-Control-Allow-Origin"));
    }

    private async Task StaysHereAsync(string query, string reason)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var answer = await new TestBrowser(server).GetAsync("/authorize?" + query);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Null(answer.Location);
        Assert.DoesNotContain("<script", answer.Html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("evil.test", answer.Html, StringComparison.OrdinalIgnoreCase);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AuthorizationRefused, reason);
    }
}
