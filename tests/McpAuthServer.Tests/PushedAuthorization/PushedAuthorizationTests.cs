using System.Net;
using System.Text.Json.Nodes;
using System.Web;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.PushedAuthorization;

/// <summary>Requests that were left here before the browser came (RFC 9126).</summary>
public class PushedAuthorizationTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC9126-2.2")]
    [Trait("Spec", "RFC9126-4")]
    public async Task Request_Pushed_IsAskedAndAnsweredAsIfItStoodInTheAddress()
    {
        var s = await server.ScenarioAsync();
        var mark = await server.NowAsync();

        using var answer = await PushAsync(Form(s));
        var pushed = await answer.ReadAsync(ProtocolJson.Default.PushedResponse);

        Assert.Equal((HttpStatusCode.Created, 60), (answer.StatusCode, pushed.ExpiresIn));
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.StartsWith("urn:ietf:params:oauth:request_uri:", pushed.RequestUri, StringComparison.Ordinal);
        Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.RequestPushed && e.Client == s.PublicClient);

        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var done = await browser.AllowAsync(Query(s, pushed));

        var members = HttpUtility.ParseQueryString(new Uri(done.Location!).Query);
        Assert.StartsWith(s.RedirectUri + "?", done.Location, StringComparison.Ordinal);
        Assert.Equal("state-" + s.Suffix, members["state"]);
        Assert.Equal(s.Resource, Answers.Claims((await new PersonFlow(s).RedeemAsync(members["code"]!)).AccessToken).GetProperty("aud").GetString());
    }

    [Fact]
    [Trait("Spec", "RFC9126-4")]
    public async Task Reference_OpenedTwice_IsRefusedTheSecondTime()
    {
        var s = await server.ScenarioAsync();
        var query = Query(s, await PushedAsync(Form(s)));
        var first = await new TestBrowser(server).GetAsync("/authorize?" + query);

        await RefusedHereAsync(s, query);

        // The browser that came first goes on.
        Assert.StartsWith("/account/sign-in?continue=", first.Location, StringComparison.Ordinal);
        var browser = new TestBrowser(server);
        var signIn = await browser.FollowAsync(first);
        var onward = await browser.PostFormAsync(signIn, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password }, Names.Paths.SignIn);
        Assert.StartsWith("/consent?", (await browser.FollowAsync(onward)).Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC9126-2.2")]
    public async Task Reference_OlderThanAMinute_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var pushed = await PushedAsync(Form(s));
        server.Time.Advance(TimeSpan.FromSeconds(61));

        await RefusedHereAsync(s, Query(s, pushed));
    }

    [Fact]
    [Trait("Spec", "RFC9126-2.2")]
    public async Task Reference_OfAnotherClient_IsRefusedAndStaysGoodForItsOwner()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var pushed = await PushedAsync(Form(s));

        await RefusedHereAsync(other, Query(other, pushed));

        Assert.StartsWith("/account/sign-in?", (await new TestBrowser(server).GetAsync("/authorize?" + Query(s, pushed))).Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC9126-4")]
    public async Task Parameters_BesideAReference_AreNothing()
    {
        var s = await server.ScenarioAsync();
        var pushed = await PushedAsync(Form(s));
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var page = await browser.FollowAsync(await browser.GetAsync($"/authorize?{Query(s, pushed)}&scope=tool:delete_file&state=other&redirect_uri=https://evil.test/"));

        Assert.DoesNotContain("delete_file", page.Html, StringComparison.Ordinal);
        var done = await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);
        Assert.StartsWith(s.RedirectUri + "?", done.Location, StringComparison.Ordinal);
        Assert.Equal("state-" + s.Suffix, HttpUtility.ParseQueryString(new Uri(done.Location!).Query)["state"]);
    }

    [Fact]
    [Trait("Spec", "RFC9126-2.2")]
    [Trait("Spec", "RFC9126-7.1")]
    public async Task Reference_IsARandomOneEveryTime()
    {
        var s = await server.ScenarioAsync();

        string[] references = [(await PushedAsync(Form(s))).RequestUri, (await PushedAsync(Form(s))).RequestUri, (await PushedAsync(Form(s))).RequestUri];

        // 256 bits.
        Assert.All(references, reference => Assert.Matches("^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}$", reference));
        Assert.Equal(references.Length, references.Distinct().Count());
    }

    [Fact]
    [Trait("Spec", "RFC9126-4")]
    [Trait("Spec", "RFC9126-7.4")]
    public async Task Request_ThatTheClientMayNoLongerMake_IsRefusedWhenTheBrowserComes()
    {
        var s = await server.ScenarioAsync();
        var (first, second) = (await PushedAsync(Form(s)), await PushedAsync(Form(s)));
        var client = s.File["clients"]!.AsArray().Single(c => (string)c!["id"]! == s.PublicClient)!;
        client["grant_types"] = new JsonArray("refresh_token", Names.Device.GrantType);
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.Equal(Names.Errors.UnauthorizedClient, (await server.RefusedAuthorizationAsync(s, Query(s, first))).Error);

        (client["grant_types"], client["redirect_uris"]) = (new JsonArray("authorization_code"), new JsonArray(Scenario.LoopbackUri));
        await server.ApplyAsync(s.File.ToJsonString());
        await RefusedHereAsync(s, Query(s, second), "redirect_uri");
    }

    [Fact]
    [Trait("Spec", "RFC9126-2")]
    public async Task Request_ThatDoesNotNameItsClient_IsRefusedHoweverItAuthenticated()
    {
        var s = await server.ScenarioAsync();
        var query = HttpUtility.ParseQueryString(s.AuthorizeQuery("sort the files", ["list_files"]));
        var form = s.Agent.AssertionForm();
        foreach (var name in query.AllKeys.Where(k => k != Names.OAuth.ClientId))
            form[name!] = query[name]!;

        await server.RefusedAsync(() => PushAsync(form), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, null, AuditTypes.AuthorizationRefused, "client_id");
    }

    [Theory]
    [InlineData("redirect_uri", "https://evil.test/cb", Names.Errors.InvalidRequest, "redirect_uri")]
    [InlineData("resource", "https://unknown.test/mcp", Names.Errors.InvalidTarget, Names.Errors.InvalidTarget)]
    [InlineData("code_challenge", null, Names.Errors.InvalidRequest, Names.Errors.InvalidRequest)]
    [InlineData("response_type", "token", Names.Errors.UnsupportedResponseType, Names.Errors.UnsupportedResponseType)]
    [InlineData("request_uri", "urn:ietf:params:oauth:request_uri:x", Names.Errors.InvalidRequest, "request_uri")]
    [InlineData("request", "eyJhbGciOiJub25lIn0.e30.", Names.Errors.RequestNotSupported, Names.Errors.RequestNotSupported)]
    [InlineData("scope", "tool:unknown", Names.Errors.InvalidScope, Names.Errors.InvalidScope)]
    [Trait("Spec", "RFC9126-2.1")]
    [Trait("Spec", "RFC9126-2.3")]
    public async Task Request_ThatCouldNotBeGranted_IsRefusedWhenItIsPushed(string name, string? value, string error, string recorded)
    {
        var s = await server.ScenarioAsync();

        var e = await server.RefusedAsync(
            () => PushAsync(Form(s, new() { [name] = value })), HttpStatusCode.BadRequest, error, null, AuditTypes.AuthorizationRefused, recorded);

        Assert.Equal(s.PublicClient, e.Client);
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from pushed_requests where client_id = '{s.PublicClient}'"));
    }

    [Fact]
    [Trait("Spec", "RFC9126-2")]
    public async Task Client_NotAuthenticatedByItsMethod_PushesNothing()
    {
        var s = await server.ScenarioAsync();

        var e = await server.RefusedAsync(
            () => PushAsync(Form(s, new() { ["client_id"] = s.ServiceClient, ["client_secret"] = "wrong" })), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, null);

        Assert.Equal(s.ServiceClient, e.Client);
    }

    [Fact]
    [Trait("Spec", "RFC9126-2")]
    public async Task Assertion_OfAPush_IsGoodOnce()
    {
        var s = await server.ScenarioAsync();
        var form = s.Agent.AssertionForm();
        foreach (var pair in HttpUtility.ParseQueryString(s.AuthorizeQuery("sort the files", ["list_files"])) is var query ? query.AllKeys.Select(k => KeyValuePair.Create(k!, query[k]!)) : [])
            form[pair.Key] = pair.Value;
        Assert.Equal(HttpStatusCode.Created, (await PushAsync(form)).StatusCode);

        await server.RefusedAsync(() => PushAsync(form), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);

        // What authenticated the client is no part of what is kept.
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from pushed_requests where client_id = '{s.Agent.ClientId}' and form like '%assertion%'"));
    }

    [Fact]
    [Trait("Spec", "RFC9126-2.1")]
    public async Task Secret_OfAPush_IsNotKeptWithIt()
    {
        var s = await server.ScenarioAsync();
        var (id, secret) = ("web-" + s.Suffix, "secret-of-a-site-0123456789abcdefghijklmnop");
        await server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = id, ["name"] = "Web site", ["auth_method"] = "client_secret_post", ["secret"] = secret, ["grant_types"] = new JsonArray("authorization_code"),
                ["redirect_uris"] = new JsonArray(s.RedirectUri),
            }),
        }.ToJsonString());

        await PushedAsync(Form(s, new() { ["client_id"] = id, ["client_secret"] = secret }));

        Assert.Equal(1, await server.ScalarAsync($"select count(*) from pushed_requests where client_id = '{id}' and form like '%{id}%' and form not like '%secret%'"));
    }

    /// <summary>Whether somebody has to sign in is found out, and told, when there is a browser.</summary>
    [Fact]
    [Trait("Spec", "RFC9126-2.3")]
    public async Task Request_ForWhomeverAnOldHintMeant_IsTakenAndAnsweredWhenTheBrowserComes()
    {
        var s = await server.ScenarioAsync();
        var hint = RelyingParty.Outlived((await (await RelyingParty.OfAsync(s)).SignInAsync()).IdToken!);

        var pushed = await PushedAsync(Form(s, new() { ["prompt"] = "none", ["id_token_hint"] = hint }));

        Assert.Equal(Names.Errors.LoginRequired, (await server.RefusedAuthorizationAsync(s, Query(s, pushed))).Error);
    }

    [Fact]
    [Trait("Spec", "RFC9449-10.1")]
    public async Task Proof_WithAPush_BindsTheCodeToItsKey()
    {
        var s = await server.ScenarioAsync();
        var pushed = await PushedAsync(Form(s), s.Agent.Proof(HttpMethod.Post, Names.Paths.PushedRequests));
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var code = HttpUtility.ParseQueryString(new Uri((await browser.AllowAsync(Query(s, pushed))).Location!).Query)["code"]!;
        var flow = new PersonFlow(s);

        await (await flow.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing");
        await (await flow.RedeemRawAsync(code, proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: SigningKey.Create())))
            .RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key");

        var token = await (await flow.RedeemRawAsync(code, proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.Token))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(s.Agent.Key.Public.Thumbprint, Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("jkt").GetString());
    }

    [Fact]
    [Trait("Spec", "RFC9449-10")]
    public async Task Thumbprint_InARequest_BindsTheCodeToItsKey()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["dpop_jkt"] = s.Agent.Key.Public.Thumbprint }));

        await (await flow.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing");

        Assert.Equal(HttpStatusCode.OK, (await flow.RedeemRawAsync(code, proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.Token))).StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC9449-10.1")]
    public async Task Thumbprint_OfAnotherKeyThanTheProofs_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var form = Form(s, new() { ["dpop_jkt"] = SigningKey.Create().Public.Thumbprint });

        await server.RefusedAsync(
            () => PushAsync(form, s.Agent.Proof(HttpMethod.Post, Names.Paths.PushedRequests)), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key",
            AuditTypes.AuthorizationRefused, "wrong_key");
    }

    [Fact]
    [Trait("Spec", "RFC9126-2")]
    public async Task Get_OfTheEndpoint_IsRefused()
    {
        await (await server.Client().GetAsync(Names.Paths.PushedRequests)).RefusedAsync(HttpStatusCode.MethodNotAllowed, Names.Errors.InvalidRequest);
    }

    private static Dictionary<string, string> Form(Scenario s, Dictionary<string, string?>? change = null)
    {
        var query = HttpUtility.ParseQueryString(s.AuthorizeQuery(change));
        return query.AllKeys.ToDictionary(k => k!, k => query[k]!);
    }

    private static string Query(Scenario s, PushedResponse pushed) => $"client_id={s.PublicClient}&request_uri={Uri.EscapeDataString(pushed.RequestUri)}";

    private async Task<PushedResponse> PushedAsync(Dictionary<string, string> form, string? proof = null) => await (await PushAsync(form, proof)).ReadAsync(ProtocolJson.Default.PushedResponse);

    private async Task<HttpResponseMessage> PushAsync(Dictionary<string, string> form, string? proof = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.PushedRequests) { Content = new FormUrlEncodedContent(form) };
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        return await server.Client().SendAsync(request);
    }

    /// <summary>A page of the server itself, one event, no redirect.</summary>
    private async Task RefusedHereAsync(Scenario s, string query, string reason = "request_uri")
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        var page = await new TestBrowser(server).GetAsync("/authorize?" + query);
        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AuthorizationRefused, reason);
    }
}
