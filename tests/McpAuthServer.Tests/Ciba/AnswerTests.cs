using System.Net;
using McpAuth.Protocol;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Ciba;

/// <summary>The person's side of CIBA: what waits, on their own page, and the one page that asks.</summary>
public class AnswerTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "CIBA-8")]
    public async Task Page_SaysWhoAsksForWhatWithWhichLimits_AndSinceWhen()
    {
        var s = await server.ScenarioAsync();
        var details = s.Details(["read_file", "delete_file"], new() { ["purpose"] = AskingSteps.Purpose }).With("read_file", new() { ["max_calls"] = 3 });
        await s.AskAsync(new() { ["binding_message"] = "Order 4711 & <b>more</b>", ["authorization_details"] = details.ToJsonString() });
        var browser = await s.BrowserAsync();

        var account = (await browser.GetAsync(Names.Paths.Account)).Words();
        Assert.Matches($"Waiting for your answer {s.Agent.Id} {AskingSteps.Purpose} It shows Order 4711 & <b>more</b> Asked .* UTC Waits until .* UTC \\(in 10 minutes\\) Look at it and answer", account);
        var page = await browser.OpenAsync();
        Assert.Equal($"{s.Agent.Id} asks to work for you", page.Heading);
        var words = page.Words();
        Assert.Contains("It asked you by itself, not through this browser, on ", words, StringComparison.Ordinal);
        Assert.Contains("Order 4711 & <b>more</b>", words, StringComparison.Ordinal);
        Assert.DoesNotContain("<b>", page.Html, StringComparison.Ordinal);
        Assert.Contains(AskingSteps.Purpose, words, StringComparison.Ordinal);
        Assert.Contains("The agent is for testing", words, StringComparison.Ordinal);
        Assert.Contains("Owner Ann", words, StringComparison.Ordinal);
        Assert.Contains("3 calls", words, StringComparison.Ordinal);
        Assert.Contains("delete_file", words, StringComparison.Ordinal);
        Assert.Contains("The answer goes to the agent itself.", words, StringComparison.Ordinal);
        Assert.DoesNotContain("Use another account", words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Question_OfAnotherPerson_IsNeitherListedNorShownNorAnswered()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var id = await s.AskAsync();
        var (mine, theirs) = (await s.BrowserAsync(), await other.BrowserAsync());
        var address = Assert.Single(await mine.WaitingAsync());
        var page = await mine.OpenAsync();

        Assert.Empty(await theirs.WaitingAsync());
        var shown = await theirs.GetAsync(address);
        Assert.Equal((HttpStatusCode.BadRequest, "This request cannot be answered"), (shown.Status, shown.Heading));
        Assert.DoesNotContain(AskingSteps.Purpose, shown.Html, StringComparison.Ordinal);
        var own = await theirs.GetAsync(Names.Paths.Account);
        var fields = page.Form(Names.Paths.Consent).Fields.Where(f => f.Key != "csrf").Append(new("csrf", own.Forms[0]["csrf"]!)).Append(new("decision", "allow"));
        Assert.Equal(HttpStatusCode.Forbidden, (await theirs.PostAsync(Names.Paths.Consent, fields)).Status);
        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(id));
    }

    [Fact]
    [Trait("Spec", "Invariant-12")]
    public async Task Consent_RememberedFromABrowser_AnswersNoQuestion()
    {
        var s = await server.ScenarioAsync();
        await new PersonFlow(s).DelegateAsync(AskingSteps.Purpose, "read_file");
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}' and remembered_until > 0"));

        var id = await s.AskAsync();
        var browser = await s.BrowserAsync();
        await browser.OpenAsync();

        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(id));
    }

    [Fact]
    [Trait("Spec", "Invariant-12")]
    public async Task Consent_GivenToAQuestion_IsNeverRemembered()
    {
        var s = await server.ScenarioAsync();
        await s.AskAsync();
        await s.AnswerAsync("allow");

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}' and remembered_until > 0"));
        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(await s.AskAsync()));
    }

    [Fact]
    public async Task Answer_FromAFormOfAnotherSite_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.OpenAsync();

        var fields = page.Form(Names.Paths.Consent).Fields.Where(f => f.Key != "csrf").Append(new("decision", "allow"));
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostAsync(Names.Paths.Consent, fields)).Status);

        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(id));
    }

    [Fact]
    public async Task Address_OpenedDecidesNothing_AndAsksWhoIsThere()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        var address = Assert.Single(await (await s.BrowserAsync()).WaitingAsync());
        var browser = new TestBrowser(server);

        var signIn = await browser.FollowAsync(await browser.GetAsync(address));
        var onward = await browser.PostFormAsync(signIn, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password }, Names.Paths.SignIn);
        var page = await browser.FollowAsync(await browser.FollowAsync(onward));

        Assert.NotNull(page.Form(Names.Paths.Consent));
        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(id));
    }

    [Fact]
    public async Task Answer_GivenInTwoWindows_CountsOnce()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        var browser = await s.BrowserAsync();
        var (first, second) = (await browser.OpenAsync(), await browser.OpenAsync());

        await browser.AnswerAsync(first, "deny");
        var late = await browser.AnswerAsync(second, "allow");

        Assert.Equal(HttpStatusCode.BadRequest, late.Status);
        Assert.Equal(Names.Errors.AccessDenied, await s.WaitAsync(id));
    }

    [Fact]
    public async Task Answer_AfterTheQuestionExpired_GrantsNothing()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync(new() { ["requested_expiry"] = "60" });
        var browser = await s.BrowserAsync();
        var page = await browser.OpenAsync();
        server.Time.Advance(TimeSpan.FromSeconds(61));

        Assert.Equal(HttpStatusCode.BadRequest, (await browser.AnswerAsync(page)).Status);

        Assert.Equal(Names.Device.ExpiredToken, await s.WaitAsync(id));
        Assert.Empty(await browser.WaitingAsync());
        Assert.Equal(0, await s.ConsentsAsync());
    }

    [Fact]
    public async Task Agent_SuspendedWhileItWaits_IsNeitherListedNorAllowed()
    {
        var s = await server.ScenarioAsync();
        await s.AskAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.OpenAsync();
        s.File["agents"]!.AsArray()[0]!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.Empty(await browser.WaitingAsync());
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.AnswerAsync(page)).Status);
        Assert.Equal(0, await s.ConsentsAsync());
    }

    [Fact]
    public async Task Ceiling_LoweredWhileThePageIsOpen_IsNotExceeded()
    {
        var s = await server.ScenarioAsync();
        await s.AskAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.OpenAsync();
        s.File["agents"]!.AsArray()[0]!["ceiling"] = s.Details(["list_files"]);
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.Equal(HttpStatusCode.BadRequest, (await browser.AnswerAsync(page)).Status);
        Assert.Equal(0, await s.ConsentsAsync());
    }

    [Fact]
    public async Task Questions_OfOnePerson_AreOnePageEach()
    {
        var s = await server.ScenarioAsync();
        var first = await s.AskAsync();
        server.Time.Advance(TimeSpan.FromSeconds(1));
        var second = await s.AskAsync();
        var browser = await s.BrowserAsync();
        var addresses = await browser.WaitingAsync();
        Assert.Equal(2, addresses.Count);

        await browser.AnswerAsync(await browser.GetAsync(addresses[0]), "allow");

        Assert.Single(await browser.WaitingAsync());
        Assert.NotNull((await s.PollAsync(first)).AccessToken);
        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(second));
    }

    [Fact]
    public async Task Person_WhoSignsOutBeforeTheAgentAsks_HasTakenTheAnswerBack()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        var browser = await s.BrowserAsync();
        await browser.AnswerAsync(await browser.OpenAsync());
        await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: Names.Paths.SignOut);

        await (await s.PollRawAsync(id)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
    }
}
