using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.SignIn;

public sealed class PasswordTests(TestServer server) : IClassFixture<TestServer>
{
    private const string NewPassword = "another long password";

    [Fact]
    public async Task Password_ChangedByItsOwner_EndsEveryOtherSessionOfTheirs()
    {
        var s = await server.ScenarioAsync();
        var (here, there) = (new TestBrowser(server), new TestBrowser(server));
        await here.SignInAsync(s.Person);
        await there.SignInAsync(s.Person);
        var mark = await server.NowAsync();

        var answer = await ChangeAsync(here, s.Person.Password, NewPassword);

        Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.Account), (answer.Status, answer.Location));
        Assert.Equal("Change your password", (await here.GetAsync(Names.Paths.Password)).Heading);
        Assert.Equal(Names.Paths.SignIn, (await there.GetAsync(Names.Paths.Password)).Location);
        Assert.Equal([(AuditTypes.AccountChanged, null), (AuditTypes.SignedOut, "password_changed")], (await server.SinceAsync(mark)).Select(e => (e.Type, e.Reason)));
        Assert.Equal(HttpStatusCode.OK, (await there.TrySignInAsync(s.Person.Email, s.Person.Password)).Status);
        await there.SignInAsync(s.Person with { Password = NewPassword });
    }

    [Fact]
    public async Task Password_WrongCurrentOne_CountsAsAGuessAndChangesNothing()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        for (var i = 0; i < 5; i++)
        {
            var mark = await server.NowAsync();
            Assert.Contains("current password is wrong", (await ChangeAsync(browser, "a wrong password", NewPassword)).Text, StringComparison.Ordinal);
            var e = Assert.Single(await server.SinceAsync(mark));
            Assert.Equal((AuditTypes.SignInFailed, PasswordProof.WrongPassword, s.Person.Id), (e.Type, e.Reason, e.User));
        }
        Assert.Equal(HttpStatusCode.OK, (await ChangeAsync(browser, s.Person.Password, NewPassword)).Status);

        server.Time.Advance(TimeSpan.FromMinutes(5));
        await new TestBrowser(server).SignInAsync(s.Person);
    }

    [Theory]
    [InlineData("elevenchars")]
    [InlineData("😀😀😀😀😀😀😀😀😀😀😀")]
    [InlineData("")]
    public async Task Password_TooShort_IsRefused(string password)
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        foreach (var refused in new[] { password, new string('x', Passwords.Most + 1) })
            Assert.Contains("12 to 256 characters", (await ChangeAsync(browser, s.Person.Password, refused)).Text, StringComparison.Ordinal);
        await new TestBrowser(server).SignInAsync(s.Person);
    }

    [Fact]
    public async Task Password_NobodySignedIn_GoesToSignIn()
    {
        var browser = new TestBrowser(server);
        Assert.Equal(Names.Paths.SignIn, (await browser.GetAsync(Names.Paths.Password)).Location);
        Assert.Equal(Names.Paths.SignIn, (await browser.PostAsync(Names.Paths.Password, [])).Location);
        browser.Cookies[Browser.Cookie] = "CfDJ8nothing-of-ours";
        Assert.Equal(Names.Paths.SignIn, (await browser.GetAsync(Names.Paths.Password)).Location);
    }

    private static async Task<TestPage> ChangeAsync(TestBrowser browser, string current, string next) =>
        await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Password), new() { ["current_password"] = current, ["new_password"] = next });
}
