using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.SignIn;

public sealed class SignInTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task SignIn_RightPassword_BeginsASessionAndRecordsIt()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var mark = await server.NowAsync();

        var answer = await browser.SignInAsync(s.Person);

        Assert.Equal(Names.Paths.Account, answer.Location);
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.SignedIn, "success", s.Person.Id), (e.Type, e.Outcome, e.User));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from sessions where user_id = '{s.Person.Id}' and ended_at is null and acr = 'pwd'"));
        Assert.Equal("Change your password", (await browser.GetAsync(Names.Paths.Password)).Heading);
    }

    [Fact]
    public async Task SignIn_NameInAnotherCase_IsTheSamePerson()
    {
        var s = await server.ScenarioAsync();

        await new TestBrowser(server).SignInAsync(s.Person with { Email = s.Person.Email.ToUpperInvariant() });

        Assert.Equal(1, await server.ScalarAsync($"select count(*) from sessions where user_id = '{s.Person.Id}'"));
    }

    [Fact]
    [Trait("Attack", "55")]
    public async Task SignIn_CookieSetBefore_IsReplacedAndItsSessionEnded()
    {
        var s = await server.ScenarioAsync();
        var other = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(other.Person);
        var planted = browser.Cookies[Browser.Cookie];
        var mark = await server.NowAsync();

        await browser.SignInAsync(s.Person);

        Assert.NotEqual(planted, browser.Cookies[Browser.Cookie]);
        Assert.Equal([(AuditTypes.SignedIn, s.Person.Id, null), (AuditTypes.SignedOut, other.Person.Id, "replaced")], (await server.SinceAsync(mark)).Select(e => (e.Type, e.User!, e.Reason)));
        var thief = new TestBrowser(server) { Cookies = { [Browser.Cookie] = planted } };
        Assert.Equal(Names.Paths.SignIn, (await thief.GetAsync(Names.Paths.Password)).Location);
    }

    [Fact]
    [Trait("Attack", "55")]
    public async Task Cookies_TheirAttributes_AreExactlyTheseOnPlainHttpToo()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var form = await browser.GetAsync("http://auth.test" + Names.Paths.SignIn);
        var answer = await browser.PostFormAsync(form, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password });

        foreach (var (line, name) in new[] { (Assert.Single(form.SetCookies), "__Host-mcpauth-csrf"), (Assert.Single(answer.SetCookies), "__Host-mcpauth") })
        {
            var parts = line.Split("; ");
            Assert.StartsWith(name + "=", parts[0], StringComparison.Ordinal);
            // No Domain, no expiry: one host, one run of the browser.
            Assert.Equal(["httponly", "path=/", "samesite=lax", "secure"], parts[1..].Select(p => p.ToLowerInvariant()).Order(StringComparer.Ordinal));
        }
    }

    [Theory]
    [Trait("Attack", "54")]
    [InlineData("//evil.test")]
    [InlineData("/\\evil.test")]
    [InlineData("/%09/evil.test")]
    [InlineData("https://evil.test/")]
    public async Task SignIn_ReturnAddressInTheRequest_IsIgnored(string address)
    {
        var s = await server.ScenarioAsync();
        foreach (var name in new[] { "returnUrl", "ReturnUrl", "return_to", "next", "continue", "redirect_uri" })
        {
            var browser = new TestBrowser(server);
            var page = await browser.GetAsync($"{Names.Paths.SignIn}?{name}={address}");
            Assert.DoesNotContain("evil.test", page.Html, StringComparison.Ordinal);
            var answer = await browser.PostFormAsync(page, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password, [name] = address });
            Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.Account), (answer.Status, answer.Location));
        }
    }

    [Fact]
    [Trait("Attack", "57")]
    public async Task SignIn_SealedInteraction_GoesOnThereWith303AndTellsNoReferrer()
    {
        var s = await server.ScenarioAsync();
        var interactions = server.Services.GetRequiredService<Interactions>();
        var sealedText = interactions.Seal(new Interaction("client_id=x&state=a%20b", server.Time.GetUtcNow()));
        var browser = new TestBrowser(server);

        var page = await browser.GetAsync($"{Names.Paths.SignIn}?continue={sealedText}");
        var answer = await browser.PostFormAsync(page, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password });

        // From here redirects lead to a program, and Chromium would hold a form-action against each of them.
        Assert.DoesNotContain("form-action", page.Header("Content-Security-Policy")!, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.SeeOther, answer.Status);
        Assert.Equal($"{Names.Paths.AuthorizeResume}?continue={sealedText}", answer.Location);
        Assert.Equal("no-referrer", answer.Header("Referrer-Policy"));
        Assert.True(answer.Headers.CacheControl!.NoStore);
    }

    [Fact]
    public async Task SignIn_AlteredOrOldInteraction_IsAPlainSignIn()
    {
        var s = await server.ScenarioAsync();
        var interactions = server.Services.GetRequiredService<Interactions>();
        var good = interactions.Seal(new Interaction("q", server.Time.GetUtcNow()));
        var old = interactions.Seal(new Interaction("q", server.Time.GetUtcNow().AddMinutes(-61)));
        foreach (var text in new[] { good[..^2], good[..20] + (good[20] == 'A' ? 'B' : 'A') + good[21..], old })
        {
            var browser = new TestBrowser(server);
            var page = await browser.GetAsync($"{Names.Paths.SignIn}?continue={text}");
            Assert.Null(page.Form()["continue"]);
            Assert.DoesNotContain("app.test", page.Header("Content-Security-Policy")!, StringComparison.Ordinal);
            var answer = await browser.PostFormAsync(page, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password, ["continue"] = text });
            Assert.Equal(Names.Paths.Account, answer.Location);
        }
    }

    [Fact]
    public async Task SignOut_ByTheForm_EndsTheSessionForEveryCopyOfTheCookie()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var copy = new TestBrowser(server) { Cookies = { [Browser.Cookie] = browser.Cookies[Browser.Cookie] } };
        var token = (await browser.GetAsync(Names.Paths.Password)).Form()["csrf"]!;

        // A link or another site's form does nothing.
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await browser.GetAsync(Names.Paths.SignOut)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostAsync(Names.Paths.SignOut, [])).Status);
        Assert.Equal("Change your password", (await copy.GetAsync(Names.Paths.Password)).Heading);

        var mark = await server.NowAsync();
        var answer = await browser.PostAsync(Names.Paths.SignOut, [new("csrf", token)]);

        Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.SignIn), (answer.Status, answer.Location));
        Assert.False(browser.HasSession);
        Assert.Equal(Names.Paths.SignIn, (await copy.GetAsync(Names.Paths.Password)).Location);
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.SignedOut, "signed_out", s.Person.Id), (e.Type, e.Reason, e.User));
    }

    [Fact]
    public async Task Session_AfterTwelveHours_IsOver()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        server.Time.Advance(SignInSession.Life - TimeSpan.FromSeconds(1));
        Assert.Equal("Change your password", (await browser.GetAsync(Names.Paths.Password)).Heading);
        server.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(Names.Paths.SignIn, (await browser.GetAsync(Names.Paths.Password)).Location);
    }

    [Fact]
    public async Task Session_PersonDisabled_IsDeadAtOnceAndStaysDead()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var mark = await server.NowAsync();

        s.File["users"]![0]!["enabled"] = false;
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.Equal(Names.Paths.SignIn, (await browser.GetAsync(Names.Paths.Password)).Location);
        Assert.Contains(await server.SinceAsync(mark), e => e.Type == AuditTypes.SignedOut && e.Reason == Names.Reasons.UserDisabled && e.User == s.Person.Id);
        s.File["users"]![0]!["enabled"] = true;
        await server.ApplyAsync(s.File.ToJsonString());
        Assert.Equal(Names.Paths.SignIn, (await browser.GetAsync(Names.Paths.Password)).Location);
    }
}
