using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Authorize;

/// <summary>A program that knows whom it wants to hear about (OpenID Connect Core §3.1.2.1, §3.1.2.2).</summary>
[Trait("Spec", "OIDC-Core-3.1.2.2")]
public sealed class IdTokenHintTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Silent_TheSamePerson_IsAnswered()
    {
        var (s, site, browser, hint) = await ReadyAsync();
        // The hint may be old.
        server.Time.Advance(TimeSpan.FromHours(1));

        var again = await site.SignInAsync(browser, Asking(site, hint, "none"));

        Assert.Equal(s.User, Answers.Claims(again.IdToken!).GetProperty("sub").GetString());
    }

    [Fact]
    [Trait("Attack", "44")]
    public async Task Silent_AnotherPersonIsSignedIn_IsLoginRequired()
    {
        var (s, site, _, hint) = await ReadyAsync();
        var bob = await server.ScenarioAsync();

        var (error, _) = await server.RefusedAuthorizationAsync(s, Asking(site, hint, "none"), await bob.BrowserAsync(), site.RedirectUri);

        Assert.Equal(Names.Errors.LoginRequired, error);
    }

    [Fact]
    [Trait("Attack", "48")]
    public async Task AnotherPersonIsSignedIn_TheOneThatIsMeantHasToSignIn()
    {
        var (s, site, _, hint) = await ReadyAsync();
        var bob = await server.ScenarioAsync();
        var browser = await bob.BrowserAsync();
        server.Time.Advance(TimeSpan.FromSeconds(1));
        var query = Asking(site, hint);

        var start = await browser.GetAsync("/authorize?" + query);
        Assert.StartsWith(Names.Paths.SignIn + "?continue=", start.Location, StringComparison.Ordinal);
        // Nor does the page of consent ask the wrong one.
        Assert.StartsWith(Names.Paths.SignIn + "?continue=", (await browser.GetAsync(server.Address(query))).Location, StringComparison.Ordinal);

        var answer = await browser.FollowAsync(await browser.SignInAsync(s.Person, start.Location!));
        Assert.StartsWith(site.RedirectUri + "?code=", answer.Location, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "48")]
    public async Task AnotherPersonSignsIn_IsNotAnsweredFor()
    {
        var (_, site, _, hint) = await ReadyAsync();
        var bob = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var start = await browser.GetAsync("/authorize?" + Asking(site, hint));
        var back = await browser.SignInAsync(bob.Person, start.Location!);
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var answer = await browser.FollowAsync(back);

        Assert.Equal((Names.Errors.LoginRequired, null), (answer.Parameters(site.RedirectUri)["error"], answer.Parameters(site.RedirectUri)["code"]));
        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AuthorizationRefused, Names.Errors.LoginRequired);
        Assert.Equal(bob.User, e.User);
    }

    [Fact]
    public async Task Hint_OfAKeyThatIsGone_IsNoHintButNobodyIsTakenForThem()
    {
        var (s, site, browser, hint) = await ReadyAsync();

        var (error, _) = await server.RefusedAuthorizationAsync(s, Asking(site, RelyingParty.Outlived(hint), "none"), browser, site.RedirectUri);

        Assert.Equal(Names.Errors.LoginRequired, error);
        Assert.StartsWith(site.RedirectUri + "?code=", (await browser.GetAsync("/authorize?" + Asking(site, RelyingParty.Outlived(hint)))).Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("garbage")]
    [InlineData("access token")]
    [InlineData("another site's")]
    [InlineData("forged")]
    public async Task Hint_ThatIsNoIdTokenOfThisSite_IsRefused(string kind)
    {
        var (s, site, browser, hint) = await ReadyAsync();
        var wrong = kind switch
        {
            "access token" => (await site.SignInAsync()).AccessToken,
            "another site's" => (await (await RelyingParty.OfAsync(s, "other")).SignInAsync()).IdToken!,
            "forged" => TokenText.Forge(hint, null, c => c["sub"] = "usr_other"),
            _ => kind,
        };

        var (error, _) = await server.RefusedAuthorizationAsync(s, Asking(site, wrong, "none"), browser, site.RedirectUri);

        Assert.Equal(Names.Errors.InvalidRequest, error);
    }

    private static string Asking(RelyingParty site, string hint, string? prompt = null) => site.Query(new Dictionary<string, string?> { ["id_token_hint"] = hint, ["prompt"] = prompt });

    private async Task<(Scenario, RelyingParty, TestBrowser, string)> ReadyAsync()
    {
        var s = await server.ScenarioAsync();
        var (site, browser) = (await RelyingParty.OfAsync(s), await s.BrowserAsync());
        return (s, site, browser, (await site.SignInAsync(browser)).IdToken!);
    }
}
