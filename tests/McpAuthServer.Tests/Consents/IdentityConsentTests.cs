using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Consents;

/// <summary>What a person reads when a program asks who they are, and what their answer is worth.</summary>
public sealed class IdentityConsentTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Attack", "52")]
    public async Task Page_ForIdentityAlone_SaysWhatIsLearnt()
    {
        var (s, site, browser) = await ReadyAsync();

        var page = await browser.AskAsync(site.Query());

        Assert.Equal("Web site asks who you are", page.Heading);
        var words = page.Words();
        Assert.Contains($"A program with the id {site.Id}", words, StringComparison.Ordinal);
        Assert.Contains(
            "Untick what you do not want to tell. What it learns about you Recognise you A fixed identifier of your account here, when you signed in, and how Know your e-mail address Know your name", words,
            StringComparison.Ordinal);
        Assert.Contains("It can ask for this again at every sign-in. You can withdraw that at any time on your account page; what it learned until then it knows.", words, StringComparison.Ordinal);
        Assert.Contains($"The answer goes to {site.Id}.test.", words, StringComparison.Ordinal);
        foreach (var absent in new[] { "What it may do", "until you sign out", "Stay connected" })
            Assert.DoesNotContain(absent, words, StringComparison.Ordinal);
        Assert.Equal(["email", "openid", "profile"], page.Items().Order(StringComparer.Ordinal));
        // Being recognised is no choice beside the others: who does not want it denies.
        Assert.Contains("type=\"hidden\" name=\"item\" value=\"openid\"", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_ForTheIdentifierOnly_HasNothingToUntick()
    {
        var (_, site, browser) = await ReadyAsync();

        var page = await browser.AskAsync(site.Query("openid"));

        Assert.DoesNotContain("Untick", page.Words(), StringComparison.Ordinal);
        Assert.DoesNotContain("checkbox", page.Html, StringComparison.Ordinal);
        Assert.NotNull((await browser.AnswerAsync(page)).Parameters(site.RedirectUri)["code"]);
    }

    [Fact]
    public async Task Page_BesideAToolServer_HasBothInTheirPlaces()
    {
        var (s, site, browser) = await ReadyAsync();

        var page = await browser.AskAsync(site.Query(new Dictionary<string, string?> { ["resource"] = s.Resource, ["scope"] = "openid email tools:read offline_access" }));

        Assert.Equal("Web site asks for access to Files", page.Heading);
        Assert.Matches("What it may do at Files .* Untick what you do not want to allow.* Use every tool that only reads .* What it learns about you Recognise you .* Know your e-mail address When you are away", page.Words());
        Assert.Contains("It keeps this until you sign out", page.Words(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openid")]
    [InlineData("tools:read")]
    public async Task Answer_WithoutWhatTheRestHangsOn_TellsNothing(string missing)
    {
        var (s, site, browser) = await ReadyAsync();
        var page = await browser.AskAsync(missing == "openid" ? site.Query() : site.Query(new Dictionary<string, string?> { ["resource"] = s.Resource }));
        var mark = await server.NowAsync();

        var answer = await browser.AnswerAsync(page, keep: item => item != missing);

        Assert.Equal(Names.Errors.AccessDenied, answer.Parameters(site.RedirectUri)["error"]);
        Assert.Equal((AuditTypes.ConsentRefused, Names.Errors.AccessDenied), Assert.Single((await server.SinceAsync(mark)).Select(e => (e.Type, e.Reason!))));
        Assert.Equal(0, await s.ConsentsAsync());
    }

    [Fact]
    [Trait("Attack", "51")]
    public async Task Remembered_TheSameAgainIsNotAskedAbout_MoreIs()
    {
        var (_, site, browser) = await ReadyAsync();
        await browser.AnswerAsync(await browser.AskAsync(site.Query("openid profile")));

        foreach (var scope in new[] { "openid profile", "openid" })
            Assert.NotNull((await browser.GetAsync("/authorize?" + site.Query(scope))).Parameters(site.RedirectUri)["code"]);
        var more = await browser.AskAsync(site.Query("openid email"));
        Assert.Matches("Recognise you – already allowed .* Know your e-mail address – new Know your name – already allowed", more.Words());
        // A tool server is another matter altogether.
        Assert.Equal("Web site asks for access to Files", (await browser.AskAsync(site.Query(new Dictionary<string, string?> { ["resource"] = await ResourceAsync(), ["scope"] = "openid profile" }))).Heading);

        async Task<string> ResourceAsync() => (await server.ScenarioAsync()).Resource;
    }

    [Fact]
    public async Task Consent_IsOnRecordWithoutWhatWasTold()
    {
        var (s, site, browser) = await ReadyAsync();
        var page = await browser.AskAsync(site.Query());
        var mark = await server.NowAsync();

        await browser.AnswerAsync(page);

        var events = await server.SinceAsync(mark);
        Assert.Equal([AuditTypes.ConsentGranted, AuditTypes.CodeIssued], events.Select(e => e.Type));
        Assert.Equal((s.User, site.Id, "email openid profile", null), (events[0].User, events[0].Client, (string?)events[0].Data!["scope"], events[0].Resource));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}' and tool_server is null and agent_id is null and state = 'active'"));
    }

    [Fact]
    public async Task Account_ShowsIt_AndWithdrawingEndsIt()
    {
        var (s, site, browser) = await ReadyAsync();
        var answer = await site.SignInAsync(browser);
        var account = await browser.GetAsync(Names.Paths.Account);
        Assert.Matches("Programs with access Web site Know your e-mail address Recognise you Know your name Since .* UTC Remembered until .* UTC Withdraw", account.Words());

        await browser.PostFormAsync(account, action: "/withdraw");

        await (await site.AskRawAsync(answer.AccessToken)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.Revoked);
        Assert.Equal("Web site asks who you are", (await browser.AskAsync(site.Query())).Heading);
    }

    private async Task<(Scenario, RelyingParty, TestBrowser)> ReadyAsync()
    {
        var s = await server.ScenarioAsync();
        return (s, await RelyingParty.OfAsync(s), await s.BrowserAsync());
    }
}
