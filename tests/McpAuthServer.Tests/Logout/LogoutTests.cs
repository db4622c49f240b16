using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Logout;

/// <summary>A program sends a person here to sign out (OpenID Connect RP-Initiated Logout 1.0).</summary>
public sealed class LogoutTests(TestServer server) : IClassFixture<TestServer>
{
    [Theory]
    [InlineData(0)]
    [InlineData(11)]
    [Trait("Spec", "OIDC-RPLogout-2")]
    [Trait("Spec", "OIDC-RPLogout-3")]
    public async Task Hint_OfThisSignIn_SignsOutAtOnceAndGoesBack(int hoursLater)
    {
        var (s, site, browser, hint) = await ReadyAsync();
        server.Time.Advance(TimeSpan.FromHours(hoursLater));
        var mark = await server.NowAsync();

        var answer = await browser.GetAsync(Asking(hint, site.PostLogoutUri, "a b&c\r\nX-Evil: 1"));

        Assert.Equal((HttpStatusCode.SeeOther, site.PostLogoutUri + "?state=a%20b%26c%0D%0AX-Evil%3A%201"), (answer.Status, answer.Location));
        Assert.False(browser.HasSession);
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.SignedOut, "success", "signed_out", s.User), (e.Type, e.Outcome, e.Reason, e.User));
        Assert.Equal(0, await LiveAsync(s));
    }

    [Fact]
    public async Task SigningOut_EndsWhatTheSignInCarried()
    {
        var (s, site, browser, hint) = await ReadyAsync();
        var access = await site.SignInAsync(browser, site.Query(new Dictionary<string, string?> { ["resource"] = s.Resource, ["scope"] = "openid tools:read" }));
        var guard = await TestGuard.OfAsync(s);
        Assert.True(await guard.IsActiveAsync(access.AccessToken));

        await browser.GetAsync(Asking(hint));

        Assert.False(await guard.IsActiveAsync(access.AccessToken));
    }

    [Fact]
    public async Task Hint_WithoutAnAddress_EndsOnAPageOfTheServer()
    {
        var (s, _, browser, hint) = await ReadyAsync();

        var answer = await browser.GetAsync(Asking(hint));

        Assert.Equal((HttpStatusCode.OK, "You are signed out"), (answer.Status, answer.Heading));
        Assert.Equal((0, false), (await LiveAsync(s), browser.HasSession));
    }

    [Theory]
    [InlineData("nothing")]
    [InlineData("client_id")]
    [InlineData("another sign-in of hers")]
    [InlineData("another person's")]
    [InlineData("of a key that is gone")]
    [Trait("Attack", "151")]
    [Trait("Spec", "OIDC-RPLogout-2")]
    public async Task WithoutAHintOfThisSignIn_ThePersonIsAsked(string kind)
    {
        var (s, site, browser, hint) = await ReadyAsync();
        var query = kind switch
        {
            "another sign-in of hers" => Asking((await site.SignInAsync()).IdToken, site.PostLogoutUri),
            "another person's" => Asking(await ForeignHintAsync(site), site.PostLogoutUri),
            "of a key that is gone" => Asking(RelyingParty.Outlived(hint), site.PostLogoutUri, client: site.Id),
            "client_id" => Asking(null, site.PostLogoutUri, client: site.Id),
            _ => Names.Paths.Logout,
        };
        var live = await LiveAsync(s);
        var mark = await server.NowAsync();

        var page = await browser.GetAsync(query);

        Assert.Equal((HttpStatusCode.OK, "Do you want to sign out?"), (page.Status, page.Heading));
        Assert.Equal(kind != "nothing", page.Words().Contains("You come from Web site.", StringComparison.Ordinal));
        Assert.Contains($"Signed in as Ann ({s.Person.Email}). Stay signed in", page.Words(), StringComparison.Ordinal);
        Assert.Equal("DENY", page.Header("X-Frame-Options"));
        Assert.Empty(await server.SinceAsync(mark));
        Assert.True(browser.HasSession);

        var answer = await browser.PostFormAsync(page, action: Names.Paths.LogoutConfirm);

        if (kind == "nothing")
            Assert.Equal("You are signed out", answer.Heading);
        else
            Assert.Equal((HttpStatusCode.SeeOther, site.PostLogoutUri), (answer.Status, answer.Location));
        Assert.Equal((live - 1, false), (await LiveAsync(s), browser.HasSession));
    }

    /// <summary>Whose wish it is cannot be told then, and so not where they may be sent.</summary>
    [Fact]
    [Trait("Attack", "54")]
    public async Task Hint_OfAKeyThatIsGoneAlone_StaysHereAndStillSignsOut()
    {
        var (s, site, browser, hint) = await ReadyAsync();

        var page = await browser.GetAsync(Asking(RelyingParty.Outlived(hint), site.PostLogoutUri));

        Assert.Equal("Do you want to sign out?", page.Heading);
        Assert.Equal("You are signed out", (await browser.PostFormAsync(page, action: Names.Paths.LogoutConfirm)).Heading);
        Assert.Equal(0, await LiveAsync(s));
    }

    [Theory]
    [InlineData("{0}/more")]
    [InlineData("{0}?x=1")]
    [InlineData("{0}#f")]
    [InlineData("//evil.test")]
    [InlineData("/\\evil.test")]
    [InlineData("/%09/evil.test")]
    [InlineData("https://evil.test/bye")]
    [InlineData("javascript:alert(1)")]
    [InlineData("upper")]
    [InlineData("prefix")]
    [InlineData("redirect_uri")]
    [InlineData("loopback")]
    [Trait("Attack", "54")]
    [Trait("Spec", "OIDC-RPLogout-3")]
    public async Task Address_ThatIsNotRegistered_StaysHereAndEndsNothing(string address)
    {
        var (s, site, browser, hint) = await ReadyAsync(c => c["post_logout_redirect_uris"]!.AsArray().Add("http://127.0.0.1:8400/bye"));
        var uri = address switch
        {
            "upper" => site.PostLogoutUri.ToUpperInvariant(),
            "prefix" => site.PostLogoutUri[..^1],
            "redirect_uri" => site.RedirectUri,
            "loopback" => "http://127.0.0.1:8401/bye",
            _ => address.Replace("{0}", site.PostLogoutUri, StringComparison.Ordinal),
        };

        await RefusedAsync(s, browser, Asking(hint, uri), Names.OpenId.PostLogoutRedirectUri);
    }

    [Fact]
    [Trait("Attack", "54")]
    public async Task Address_OfAClientThatIsNotKnownOrNoLongerActive_StaysHere()
    {
        var (s, site, browser, hint) = await ReadyAsync();
        await RefusedAsync(s, browser, Asking(null, site.PostLogoutUri), Names.OpenId.PostLogoutRedirectUri);
        await RefusedAsync(s, browser, Asking(null, site.PostLogoutUri, client: "nobody"), Names.OpenId.PostLogoutRedirectUri);
        await RefusedAsync(s, browser, Asking(null, site.PostLogoutUri, client: s.PublicClient), Names.OpenId.PostLogoutRedirectUri);
        await RelyingParty.OfAsync(s, change: c => c["state"] = "suspended");
        await RefusedAsync(s, browser, Asking(hint, site.PostLogoutUri), Names.OpenId.PostLogoutRedirectUri);
    }

    [Theory]
    [InlineData("garbage", Names.OpenId.IdTokenHint)]
    [InlineData("forged", Names.OpenId.IdTokenHint)]
    [InlineData("unsigned", Names.OpenId.IdTokenHint)]
    [InlineData("access token", Names.OpenId.IdTokenHint)]
    [InlineData("of another client", Names.OAuth.ClientId)]
    [InlineData("twice", "parameter")]
    [InlineData("badly encoded", "malformed_form")]
    [InlineData("too long", "too_long")]
    [InlineData("a ticket of nobody", "ticket")]
    [Trait("Spec", "OIDC-RPLogout-4")]
    public async Task Request_ThatIsWrong_StaysHereAndEndsNothing(string kind, string reason)
    {
        var (s, site, browser, hint) = await ReadyAsync();
        var query = kind switch
        {
            "forged" => Asking(TokenText.Forge(hint, null, c => c["aud"] = "other"), site.PostLogoutUri),
            "unsigned" => Asking(TokenText.Forge(hint, h => h["alg"] = "none", null, _ => []), site.PostLogoutUri),
            "access token" => Asking((await site.SignInAsync(browser)).AccessToken, site.PostLogoutUri),
            "of another client" => Asking(hint, site.PostLogoutUri, client: s.PublicClient),
            "twice" => Asking(hint, site.PostLogoutUri) + "&state=a&state=b",
            "badly encoded" => Asking(hint) + "&state=%ff",
            "too long" => Asking(hint) + "&state=" + new string('a', 12 * 1024),
            "a ticket of nobody" => Names.Paths.Logout + "?ticket=abc",
            _ => Asking("garbage", site.PostLogoutUri),
        };

        await RefusedAsync(s, browser, query, reason);
    }

    [Fact]
    [Trait("Spec", "OIDC-RPLogout-2")]
    public async Task Form_FromTheProgramsPage_WorksAlthoughItComesWithoutCookies()
    {
        var (s, site, browser, hint) = await ReadyAsync();
        // SameSite=Lax: the browser leaves its cookies out of another site's form.
        var elsewhere = new TestBrowser(server);

        var onward = await elsewhere.PostAsync(Names.Paths.Logout, new Dictionary<string, string> { ["id_token_hint"] = hint, ["post_logout_redirect_uri"] = site.PostLogoutUri, ["state"] = "s1" });

        Assert.Equal(HttpStatusCode.SeeOther, onward.Status);
        Assert.StartsWith(Names.Paths.Logout + "?ticket=", onward.Location, StringComparison.Ordinal);
        Assert.DoesNotContain(hint.Split('.')[2], onward.Location, StringComparison.Ordinal);
        Assert.Equal(1, await LiveAsync(s));
        var answer = await browser.FollowAsync(onward);
        Assert.Equal((site.PostLogoutUri + "?state=s1", 0), (answer.Location, await LiveAsync(s)));
    }

    [Fact]
    public async Task Ticket_MoreThanAnHourOld_EndsNothing()
    {
        var (s, _, browser, hint) = await ReadyAsync();
        var onward = await new TestBrowser(server).PostAsync(Names.Paths.Logout, new Dictionary<string, string> { ["id_token_hint"] = hint });
        server.Time.Advance(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(1));

        await RefusedAsync(s, browser, onward.Location!, "ticket");
    }

    [Fact]
    [Trait("Attack", "46")]
    [Trait("Attack", "151")]
    public async Task Confirmation_ThatThisBrowserDidNotGet_EndsNothing()
    {
        var (s, _, browser, _) = await ReadyAsync();
        var page = await browser.GetAsync(Names.Paths.Logout);
        foreach (var token in new[] { null, "forged" })
        {
            var mark = await server.NowAsync();
            var answer = await browser.PostFormAsync(page, new() { ["csrf"] = token }, Names.Paths.LogoutConfirm);
            Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
            var e = Assert.Single(await server.SinceAsync(mark));
            Assert.Equal((AuditTypes.SignedOut, "refused", "form", s.User), (e.Type, e.Outcome, e.Reason, e.User));
        }
        Assert.Equal((1, true), (await LiveAsync(s), browser.HasSession));
        // By an address nothing is confirmed.
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await browser.GetAsync(Names.Paths.LogoutConfirm)).Status);
    }

    [Fact]
    public async Task NobodyIsSignedIn_GoesBackAtOnce()
    {
        var (_, site, _, hint) = await ReadyAsync();
        var mark = await server.NowAsync();

        Assert.Equal(site.PostLogoutUri, (await new TestBrowser(server).GetAsync(Asking(hint, site.PostLogoutUri))).Location);
        Assert.Equal("You are signed out", (await new TestBrowser(server).GetAsync(Names.Paths.Logout)).Heading);

        Assert.Empty(await server.SinceAsync(mark));
    }

    [Fact]
    [Trait("Attack", "59")]
    public async Task Name_OfTheProgram_IsTextOnThePage()
    {
        var s = await server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s, change: c => c["name"] = "<script>alert(1)</script>");

        var page = await (await s.BrowserAsync()).GetAsync(Asking(null, site.PostLogoutUri, "\"><script>", site.Id));

        Assert.DoesNotContain("<script>", page.Html, StringComparison.Ordinal);
        Assert.Contains("You come from <script>alert(1)</script>.", WebUtility.HtmlDecode(page.Html.Replace("<bdi>", "", StringComparison.Ordinal).Replace("</bdi>", "", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    private async Task RefusedAsync(Scenario s, TestBrowser browser, string query, string reason)
    {
        var live = await LiveAsync(s);
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var answer = await browser.GetAsync(query);

        Assert.Equal((HttpStatusCode.BadRequest, "You were not signed out here", null), (answer.Status, answer.Heading, answer.Location));
        Assert.DoesNotContain("evil.test", answer.Html, StringComparison.Ordinal);
        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.SignedOut, reason);
        Assert.True(e.User is null || e.User == s.User);
        Assert.Equal((live, true), (await LiveAsync(s), browser.HasSession));
    }

    private static string Asking(string? hint, string? address = null, string? state = null, string? client = null)
    {
        var parameters = new[] { ("id_token_hint", hint), ("post_logout_redirect_uri", address), ("state", state), ("client_id", client) };
        return $"{Names.Paths.Logout}?{string.Join('&', parameters.Where(p => p.Item2 is not null).Select(p => $"{p.Item1}={Uri.EscapeDataString(p.Item2!)}"))}";
    }

    /// <summary>What the site got when somebody else signed in.</summary>
    private async Task<string> ForeignHintAsync(RelyingParty site)
    {
        var bob = await server.ScenarioAsync();
        var browser = await bob.BrowserAsync();
        return (await site.SignInAsync(browser)).IdToken!;
    }

    private Task<long> LiveAsync(Scenario s) => server.ScalarAsync($"select count(*) from sessions where user_id = '{s.User}' and ended_at is null");

    private async Task<(Scenario, RelyingParty, TestBrowser, string)> ReadyAsync(Action<JsonObject>? change = null)
    {
        var s = await server.ScenarioAsync();
        var (site, browser) = (await RelyingParty.OfAsync(s, change: change), await s.BrowserAsync());
        return (s, site, browser, (await site.SignInAsync(browser)).IdToken!);
    }
}
