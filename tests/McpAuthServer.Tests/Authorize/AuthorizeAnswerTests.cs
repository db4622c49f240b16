using System.Net;
using System.Text.Json;
using System.Web;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Authorize;

/// <summary>What the authorization endpoint answers, asks for again, and takes as decided.</summary>
public class AuthorizeAnswerTests(TestServer server) : IClassFixture<TestServer>
{
    [Theory]
    [InlineData("http://127.0.0.1:49152/callback")]
    [InlineData("http://127.0.0.1/callback")]
    [Trait("Attack", "33")]
    [Trait("Spec", "RFC8252-7.3")]
    public async Task Redirect_ToLoopbackAtAnotherPort_IsTaken(string uri)
    {
        var s = await server.ScenarioAsync();

        var answer = await new TestBrowser(server).GetAsync("/authorize?" + s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = uri }));

        Assert.StartsWith("/account/sign-in?continue=", answer.Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC6749-3.1.2")]
    public async Task Redirect_WithAQueryOfItsOwn_KeepsIt()
    {
        var s = await server.ScenarioAsync();
        await RedirectsToAsync(s, s.RedirectUri + "?tenant=1&x=%2F");
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var answer = await browser.AllowAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = s.RedirectUri + "?tenant=1&x=%2F" }));

        Assert.StartsWith(s.RedirectUri + "?tenant=1&x=%2F&code=", answer.Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC6749-3.1.2.3")]
    public async Task Redirect_NotNamed_IsTheOnlyOneThatIsRegistered()
    {
        var s = await server.ScenarioAsync();
        await RedirectsToAsync(s, s.RedirectUri);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var answer = await browser.AllowAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = null }));

        Assert.StartsWith(s.RedirectUri + "?code=", answer.Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC6749-3.1")]
    public async Task Parameters_UnknownOrEmpty_AreAsIfTheyWereNotThere()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var answer = await browser.AllowAsync(s.AuthorizeQuery(new Dictionary<string, string?>
        {
            ["unheard_of"] = "1", ["Scope"] = "tool:delete_file", ["scope"] = "", ["state"] = "", ["prompt"] = "", ["max_age"] = "", ["request"] = "", ["response_mode"] = "",
        }));

        var members = HttpUtility.ParseQueryString(new Uri(answer.Location!).Query);
        Assert.Equal("code iss", string.Join(' ', members.AllKeys));
        Assert.Equal("tools:read", (await new PersonFlow(s).RedeemAsync(members["code"]!)).Scope);
    }

    [Fact]
    [Trait("Spec", "RFC7636-4.4")]
    [Trait("Spec", "RFC6749-10.10")]
    public async Task Code_IsRandomAndTellsNothingOfItsChallenge()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);

        var codes = new[] { await flow.CodeAsync(s.AuthorizeQuery()), await flow.CodeAsync(s.AuthorizeQuery()) };

        Assert.NotEqual(codes[0], codes[1]);
        foreach (var code in codes)
        {
            // The same challenge every time: all that is behind the prefix is chance.
            Assert.True(Base64Url.TryDecode(code.Replace("ac_", "", StringComparison.Ordinal), out var bytes) && bytes.Length == 32);
            Assert.DoesNotContain(Base64Url.Sha256(s.Verifier), code, StringComparison.Ordinal);
        }
    }

    /// <summary>The public client with this address alone.</summary>
    private Task RedirectsToAsync(Scenario s, string redirect) => server.ApplyAsync($$"""
        {"clients":[{"id":"{{s.PublicClient}}","name":"Browser client","auth_method":"none","grant_types":["authorization_code"],"redirect_uris":["{{redirect}}"]}]}
        """);

    [Theory]
    [InlineData("a&b=c#d e%20f+\u00e9")]
    [InlineData("x\r\nSet-Cookie: a=b")]
    [InlineData("&iss=https://evil.test&code=stolen")]
    [InlineData("\u2028\"'<>")]
    [Trait("Attack", "43")]
    [Trait("Spec", "RFC9207-2")]
    [Trait("Spec", "RFC6749-4.1.2")]
    public async Task Answer_CarriesTheStateVerbatimAndExactlyOneIssuer(string state)
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var change = new Dictionary<string, string?> { ["state"] = state };

        var refused = await browser.GetAsync("/authorize?" + s.AuthorizeQuery(new Dictionary<string, string?>(change) { ["prompt"] = "none" }));
        var allowed = await browser.AllowAsync(s.AuthorizeQuery(change));

        foreach (var answer in new[] { refused, allowed })
        {
            Assert.Equal(HttpStatusCode.SeeOther, answer.Status);
            Assert.StartsWith(s.RedirectUri + "?", answer.Location, StringComparison.Ordinal);
            Assert.DoesNotContain(answer.Location!, char.IsControl);
            var query = HttpUtility.ParseQueryString(new Uri(answer.Location!).Query);
            Assert.Equal([state], query.GetValues("state")!);
            Assert.Equal([TestServer.Issuer], query.GetValues("iss")!);
        }
        Assert.Single(HttpUtility.ParseQueryString(new Uri(allowed.Location!).Query).GetValues("code")!);
    }

    [Fact]
    [Trait("Spec", "RFC9207-2.3")]
    [Trait("Spec", "RFC9207-3")]
    public async Task Answer_NamesTheIssuerThatTheMetadataNames_AndTheMetadataSaysThatItWill()
    {
        var s = await server.ScenarioAsync();
        var metadata = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OAuthMetadata));

        var answer = await new TestBrowser(server).GetAsync("/authorize?" + s.AuthorizeQuery(new Dictionary<string, string?> { ["prompt"] = "none" }));

        Assert.Equal(metadata.GetProperty("issuer").GetString(), HttpUtility.ParseQueryString(new Uri(answer.Location!).Query)["iss"]);
        Assert.True(metadata.GetProperty("authorization_response_iss_parameter_supported").GetBoolean());
    }

    [Fact]
    [Trait("Attack", "44")]
    [Trait("Spec", "OIDC-3.1.2.6")]
    public async Task Silently_WithoutASignIn_IsLoginRequiredAndWithoutAConsentConsentRequired()
    {
        var s = await server.ScenarioAsync();
        var query = s.AuthorizeQuery(new Dictionary<string, string?> { ["prompt"] = "none" });
        Assert.Equal(Names.Errors.LoginRequired, (await server.RefusedAuthorizationAsync(s, query)).Error);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        Assert.Equal(Names.Errors.ConsentRequired, (await server.RefusedAuthorizationAsync(s, query, browser)).Error);
        server.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(Names.Errors.LoginRequired, (await server.RefusedAuthorizationAsync(s, query + "&max_age=1", browser)).Error);
    }

    [Theory]
    [InlineData("none login")]
    [InlineData("create")]
    [InlineData("NONE")]
    [Trait("Spec", "OIDC-3.1.2.1")]
    public async Task Prompt_ThatIsNotOffered_IsInvalid(string prompt)
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(Names.Errors.InvalidRequest, (await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { ["prompt"] = prompt }))).Error);
    }

    [Fact]
    [Trait("Attack", "50")]
    [Trait("Spec", "RFC8252-8.6")]
    public async Task RememberedConsent_WithALoopbackRedirect_IsAskedForAgain()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var loopback = s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = "http://127.0.0.1:5000/callback" });
        await browser.AllowAsync(loopback);

        var again = await browser.GetAsync("/authorize?" + loopback);

        Assert.StartsWith("/consent?continue=", again.Location, StringComparison.Ordinal);
        Assert.Equal(Names.Errors.ConsentRequired, (await server.RefusedAuthorizationAsync(s, loopback + "&prompt=none", browser, "http://127.0.0.1:5000/callback")).Error);
    }

    [Fact]
    [Trait("Attack", "51")]
    public async Task RememberedConsent_AnswersTheSameRequestAndAsksForAnyOther()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await browser.AllowAsync(s.AuthorizeQuery());

        var same = await browser.GetAsync("/authorize?" + s.AuthorizeQuery());
        Assert.StartsWith(s.RedirectUri + "?code=", same.Location, StringComparison.Ordinal);
        var less = await browser.GetAsync("/authorize?" + s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = "tool:read_file" }));
        Assert.StartsWith(s.RedirectUri + "?code=", less.Location, StringComparison.Ordinal);
        foreach (var change in new Dictionary<string, string?>[]
        {
            new() { ["scope"] = "tools:read tool:delete_file" }, new() { ["scope"] = "tools:read offline_access" }, new() { ["prompt"] = "consent" },
            new() { ["redirect_uri"] = "http://127.0.0.1/callback" },
        })
            Assert.StartsWith("/consent?continue=", (await browser.GetAsync("/authorize?" + s.AuthorizeQuery(change))).Location, StringComparison.Ordinal);

        // Other keys are another program.
        await server.ApplyAsync($$"""
            {"clients":[{"id":"{{s.PublicClient}}","name":"Browser client","auth_method":"client_secret_basic","secret":"{{s.ServiceSecret}}-other","grant_types":["authorization_code"],
              "redirect_uris":["{{s.RedirectUri}}"]}]}
            """);
        Assert.StartsWith("/consent?continue=", (await browser.GetAsync("/authorize?" + s.AuthorizeQuery())).Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RememberedConsent_AfterNinetyDays_IsAskedForAgain()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await browser.AllowAsync(s.AuthorizeQuery());
        // Set: the timers of ninety days need not run.
        server.Time.Set(server.Time.GetUtcNow().AddDays(90));
        var later = new TestBrowser(server);
        await later.SignInAsync(s.Person);

        Assert.StartsWith("/consent?continue=", (await later.GetAsync("/authorize?" + s.AuthorizeQuery())).Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "OIDC-3.1.2.1")]
    public async Task LoginPrompt_AsksForTheSignInOnceAndTheNewOneCounts()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        server.Time.Advance(TimeSpan.FromMinutes(1));
        var query = s.AuthorizeQuery(new Dictionary<string, string?> { ["prompt"] = "login" });

        var asked = await browser.GetAsync("/authorize?" + query);
        Assert.StartsWith("/account/sign-in?continue=", asked.Location, StringComparison.Ordinal);
        // Neither the page after it nor the way back lets the old sign-in pass.
        var token = asked.Location!.Split("continue=")[1];
        Assert.StartsWith("/account/sign-in?", (await browser.GetAsync("/consent?continue=" + token)).Location, StringComparison.Ordinal);
        Assert.StartsWith("/account/sign-in?", (await browser.GetAsync("/authorize/resume?continue=" + token)).Location, StringComparison.Ordinal);
        var back = await browser.SignInAsync(s.Person, asked.Location!);

        Assert.StartsWith("/consent?continue=", (await browser.FollowAsync(back)).Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "57")]
    [Trait("Spec", "RFC9700-4.12")]
    public async Task EveryRedirect_IsA303WithoutReferrer()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var start = await browser.GetAsync("/authorize?" + s.AuthorizeQuery());
        var back = await browser.SignInAsync(s.Person, start.Location!);
        var consent = await browser.FollowAsync(back);
        var allowed = await browser.PostFormAsync(await browser.FollowAsync(consent), new() { ["decision"] = "allow" }, Names.Paths.Consent);

        foreach (var answer in new[] { start, back, consent, allowed })
        {
            Assert.Equal((HttpStatusCode.SeeOther, "no-referrer"), (answer.Status, answer.Header("Referrer-Policy")));
            Assert.True(answer.Headers.CacheControl?.NoStore);
        }
        Assert.StartsWith(s.RedirectUri + "?code=", allowed.Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openid email profile", "email openid profile tools:read")]
    [InlineData("address phone tools:read", "tools:read")]
    [InlineData("", "tools:read")]
    [InlineData(null, "tools:read")]
    [InlineData("offline_access", "offline_access tools:read")]
    [InlineData("openid tool:delete_file", "openid tool:delete_file")]
    public async Task Scope_OfRealClients_IsReadAsTheyMeanIt(string? scope, string granted)
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        await browser.AllowAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = scope }));

        var consent = Assert.Single(await server.EventsAsync($"type = 'consent.granted' and body like '%\"client\":\"{s.PublicClient}\"%'"));
        Assert.Equal(granted, consent.Data!["scope"]!.GetValue<string>());
    }
}
