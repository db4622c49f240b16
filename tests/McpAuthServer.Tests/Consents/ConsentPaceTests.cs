using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Consents;

/// <summary>
/// A program that waits for its person's browser gives up some time (mcp-remote after 30 seconds). The person may take their time; the server may not: from
/// the request to the answer it waits for nobody else, but once, and not for long, for the document of a program that it does not know.
/// </summary>
public sealed class ConsentPaceTests(OnTheInternet internet) : IClassFixture<OnTheInternet>
{
    /// <summary>What a browser is sent through.</summary>
    private const string Way = "GET /authorize 303, GET /account/sign-in 200, POST /account/sign-in 303, GET /authorize/resume 303, GET /consent 200, POST /consent 303";

    private static readonly TimeSpan Programs = TimeSpan.FromSeconds(30);

    private readonly TestServer server = internet.Server;

    [Fact]
    public async Task Consent_ToARegisteredProgram_WaitsForNobody()
    {
        var s = await server.ScenarioAsync();
        var before = internet.Contacts;

        var steps = await AllowAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = "http://127.0.0.1:3334/callback", ["scope"] = "openid email profile" }));

        Assert.Equal((Way, before), (steps, internet.Contacts));
    }

    [Fact]
    [Trait("Spec", "CIMD")]
    public async Task Consent_ToAProgramThatIsKnownByItsDocument_WaitsForThatOnceAndNotForLong()
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        var before = internet.Contacts;

        var steps = await AllowAsync(s, client.Query());

        // The same way, and everything it was told on it came from one question, which has a bound.
        Assert.Equal((Way, (before.Asked + 1, before.Connected + 1, before.Requested + 1)), (steps, internet.Contacts));
        Assert.True(2 * DocumentFetcher.Longest < Programs, "Most of the time that the program waits is the person's.");
    }

    [Theory]
    [InlineData("silent")]
    [InlineData("dripping")]
    [Trait("Spec", "CIMD")]
    [Trait("Attack", "23")]
    public async Task Consent_DocumentThatDoesNotCome_IsGivenUpAndNotWaitedForAgain(string how)
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        internet.Internet.Places[client.Id["https://".Length..]] = how == "silent" ? TestPlace.Silent : TestPlace.Dripping("{}" + new string(' ', 1000));
        var (mark, before) = (await server.NowAsync(), internet.Contacts);

        // The host is at it for as long as it is let: it is the server that ends this, while the program still waits.
        var page = await new TestBrowser(server).GetAsync($"{Names.Paths.Authorize}?{client.Query()}").WaitAsync(Programs);
        var again = await new TestBrowser(server).GetAsync($"{Names.Paths.Authorize}?{client.Query()}").WaitAsync(Programs);

        Assert.All([page, again], p => Assert.Equal((HttpStatusCode.BadRequest, null), (p.Status, p.Location)));
        Assert.All(await server.SinceAsync(mark), e => Assert.Equal((AuditTypes.AuthorizationRefused, FetchFaults.Timeout), (e.Type, e.Reason)));
        Assert.Equal(before.Requested + 1, internet.Contacts.Requested);
    }

    /// <summary>As a person who has to sign in, and allows all of it.</summary>
    /// <returns>Every step of the browser.</returns>
    private async Task<string> AllowAsync(Scenario s, string query)
    {
        var (browser, steps) = (new TestBrowser(server), new List<string>());
        var page = Step("GET", Names.Paths.Authorize, await browser.GetAsync($"{Names.Paths.Authorize}?{query}"));
        page = await FollowAsync(page);
        var action = page.Form(Names.Paths.SignIn).Action;
        page = Step("POST", action, await browser.PostFormAsync(page, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password }, Names.Paths.SignIn));
        page = await FollowAsync(await FollowAsync(page));
        action = page.Form(Names.Paths.Consent).Action;
        page = Step("POST", action, await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent));
        Assert.Contains("code=", page.Location, StringComparison.Ordinal);
        return string.Join(", ", steps);

        async Task<TestPage> FollowAsync(TestPage from) => Step("GET", from.Location!, await browser.FollowAsync(from));

        TestPage Step(string method, string address, TestPage page)
        {
            steps.Add($"{method} {address.Split('?')[0]} {(int)page.Status}");
            return page;
        }
    }
}
