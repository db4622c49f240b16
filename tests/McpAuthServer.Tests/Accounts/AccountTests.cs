using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Pages;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Accounts;

public sealed class AccountTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Account_NotSignedIn_GoesToSignIn()
    {
        var answer = await new TestBrowser(server).GetAsync(Names.Paths.Account);

        Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.SignIn), (answer.Status, answer.Location));
    }

    [Fact]
    public async Task Account_NothingYet_SaysSo()
    {
        var s = await server.ScenarioAsync();
        var page = await (await s.BrowserAsync()).GetAsync(Names.Paths.Account);

        Assert.Equal("What works for you", page.Heading);
        Assert.Contains("No agent is working for you at this moment.", page.Words(), StringComparison.Ordinal);
        Assert.Contains("You have not allowed any program anything.", page.Words(), StringComparison.Ordinal);
        Assert.Contains($"Signed in as Ann ({s.Person.Email}). Change your password Sign out", page.Words(), StringComparison.Ordinal);
        Assert.Equal("DENY", page.Header("X-Frame-Options"));
        Assert.Contains($"action=\"{Names.Paths.SignOut}\"", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Account_WhatWorksAndWhatIsAllowed_IsShownToItsPersonOnly()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        await BeginAsync(s, "Summarise the reports");
        await new PersonFlow(s).TokenAsync("tools:read tool:delete_file");
        await BeginAsync(other, "Something of somebody else");

        var words = (await (await s.BrowserAsync()).GetAsync(Names.Paths.Account)).Words();

        Assert.Matches($"Working for you now {s.Agent.Id} Summarise the reports At Files Started .* UTC Until .* UTC \\(in 1 hour\\) End access", words);
        Assert.Matches("Browser client at Files delete_file – can destroy data Use every tool that only reads Since .* UTC Remembered until .* UTC Withdraw", words);
        Assert.Matches($"{s.Agent.Id} – an agent, through {s.Agent.ClientId} Summarise the reports Files: list_files, read_file Since", words);
        Assert.DoesNotContain("somebody else", words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EndAccess_EndsTheTaskWithItsGrantsAndRefreshTokens()
    {
        var s = await server.ScenarioAsync();
        var token = await BeginAsync(s, "a task");
        var browser = await s.BrowserAsync();
        var task = Assert.Single(await TasksAsync(s));
        var mark = await server.NowAsync();

        var done = await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: $"/tasks/{task}/end");

        Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.Account + "?done=ended"), (done.Status, done.Location));
        var page = await browser.FollowAsync(done);
        Assert.Contains("The access has ended. Nothing of that task works any more.", page.Words(), StringComparison.Ordinal);
        Assert.Contains("No agent is working for you at this moment.", page.Words(), StringComparison.Ordinal);
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where id = '{task}' and state = 'revoked'"));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where task_id = '{task}' and state = 'active'"));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from refresh_families where task_id = '{task}' and state = 'active'"));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where subject = '{task}' and op = 'deny'"));
        var e = Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.TaskRevoked);
        Assert.Equal(("ended_by_person", s.User, s.User), (e.Reason, e.User, (string?)e.Data!["by"]));
        var form = s.Agent.AssertionForm();
        (form["grant_type"], form["refresh_token"]) = ("refresh_token", token.RefreshToken!);
        await (await s.Agent.PostFormAsync(Names.Paths.Token, form)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
    }

    [Fact]
    [Trait("Invariant", "12")]
    public async Task EndAccess_IsNotUndoneByARememberedConsent()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var query = s.AuthorizeQuery("a task", "list_files", "read_file");
        await BeginAsync(s, "a task");
        // As long as nobody ended it, the person need not be asked again.
        Assert.StartsWith(s.RedirectUri + "?code=", (await browser.GetAsync($"{Names.Paths.Authorize}?{query}")).Location, StringComparison.Ordinal);

        await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: $"/tasks/{Assert.Single(await TasksAsync(s))}/end");

        Assert.Equal($"{s.Agent.Id} asks to work for you", (await browser.AskAsync(query)).Heading);
    }

    [Fact]
    public async Task Withdraw_ByScope_EndsGrantsAndRefreshTokensAndAsksAgain()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync();
        var browser = await s.BrowserAsync();
        var consent = await ConsentAsync(s);
        Assert.StartsWith(s.RedirectUri + "?code=", (await browser.GetAsync($"{Names.Paths.Authorize}?{s.AuthorizeQuery()}")).Location, StringComparison.Ordinal);

        var done = await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: $"/consents/{consent}/withdraw");

        Assert.Equal(Names.Paths.Account + "?done=withdrawn", done.Location);
        var page = await browser.FollowAsync(done);
        Assert.Contains("The access was withdrawn", page.Words(), StringComparison.Ordinal);
        Assert.Contains("You have not allowed any program anything.", page.Words(), StringComparison.Ordinal);
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where consent_id = '{consent}' and state = 'active'"));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from refresh_families where consent_id = '{consent}' and state = 'active'"));
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
        Assert.Equal("Browser client asks for access to Files", (await browser.AskAsync(s.AuthorizeQuery())).Heading);
    }

    [Fact]
    public async Task Withdraw_OfAnAgent_EndsItsTaskToo()
    {
        var s = await server.ScenarioAsync();
        await BeginAsync(s, "a task");
        var browser = await s.BrowserAsync();
        var (consent, task) = (await ConsentAsync(s), Assert.Single(await TasksAsync(s)));
        var mark = await server.NowAsync();

        await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: $"/consents/{consent}/withdraw");

        Assert.Equal(1, await server.ScalarAsync($"select count(*) from tasks where id = '{task}' and state = 'revoked'"));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where consent_id = '{consent}' and state = 'active'"));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from refresh_families where task_id = '{task}' and state = 'active'"));
        var events = await server.SinceAsync(mark);
        Assert.Equal(AuditTypes.ConsentWithdrawn, events[0].Type);
        Assert.Contains(events, e => e.Type == AuditTypes.TaskRevoked && e.Reason == "consent_withdrawn" && e.Cause == events[0].Id);
    }

    [Fact]
    [Trait("Attack", "152")]
    public async Task EndOrWithdraw_WhatIsSomebodyElses_IsNotToldFromNothing()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        await BeginAsync(other, "a task");
        var (task, consent) = (Assert.Single(await TasksAsync(other)), await ConsentAsync(other));
        var browser = await s.BrowserAsync();
        var token = (await browser.GetAsync(Names.Paths.Account)).Form(Names.Paths.SignOut)[PageForm.TokenField]!;

        async Task<TestPage> Try(string path, string type)
        {
            var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
            var page = await browser.PostAsync(path, [KeyValuePair.Create(PageForm.TokenField, token)]);
            Assert.Equal(HttpStatusCode.NotFound, page.Status);
            var e = await server.OnlyARefusalSinceAsync(mark, before, type, "unknown");
            Assert.Equal((s.User, null), (e.User, e.Task));
            return page;
        }

        Assert.Equal((await Try(Names.Paths.Account + "/tasks/tsk_none/end", AuditTypes.TaskRefused)).Html, (await Try($"{Names.Paths.Account}/tasks/{task}/end", AuditTypes.TaskRefused)).Html);
        Assert.Equal((await Try(Names.Paths.Account + "/consents/cns_none/withdraw", AuditTypes.ConsentRefused)).Html,
            (await Try($"{Names.Paths.Account}/consents/{consent}/withdraw", AuditTypes.ConsentRefused)).Html);
    }

    [Theory]
    [Trait("Attack", "46")]
    [InlineData("tasks", "end")]
    [InlineData("consents", "withdraw")]
    public async Task EndOrWithdraw_WithoutOurForm_IsRefused(string kind, string verb)
    {
        var s = await server.ScenarioAsync();
        await BeginAsync(s, "a task");
        var id = kind == "tasks" ? Assert.Single(await TasksAsync(s)) : await ConsentAsync(s);
        var browser = await s.BrowserAsync();
        var path = $"{Names.Paths.Account}/{kind}/{id}/{verb}";
        var before = await Footprint.OfAsync(server);

        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostAsync(path, [])).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await browser.GetAsync(path)).Status);
        Assert.Equal(Names.Paths.SignIn, (await new TestBrowser(server).PostAsync(path, [])).Location);

        Assert.Equal(before, await Footprint.OfAsync(server));
        Assert.Equal(1, await s.ConsentsAsync());
    }

    [Fact]
    public async Task EndAccess_OfATaskThatEndedMeanwhile_SaysItHasEnded()
    {
        var s = await server.ScenarioAsync();
        await BeginAsync(s, "a task");
        var browser = await s.BrowserAsync();
        var page = await browser.GetAsync(Names.Paths.Account);
        var action = $"/tasks/{Assert.Single(await TasksAsync(s))}/end";
        await browser.PostFormAsync(page, action: action);

        Assert.Equal(Names.Paths.Account + "?done=ended", (await browser.PostFormAsync(page, action: action)).Location);
    }

    [Fact]
    public async Task Account_FlagThatIsNotOurs_ShowsNothing()
    {
        var s = await server.ScenarioAsync();

        var page = await (await s.BrowserAsync()).GetAsync(Names.Paths.Account + "?done=%3Cb%3Ehello");

        Assert.DoesNotContain("hello", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("role=\"status\"", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Account_HostilePurpose_IsText()
    {
        var s = await server.ScenarioAsync();
        await BeginAsync(s, "<script>alert(1)</script>\u202Eabc");

        var page = await (await s.BrowserAsync()).GetAsync(Names.Paths.Account);

        Assert.DoesNotContain("<script", page.Html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("<script>alert(1)</script>\uFFFDabc", WebUtility.HtmlDecode(page.Html), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reconsent_WithLess_RevokesWhatWasMore()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync("tools:read tool:delete_file");
        var browser = await s.BrowserAsync();

        var page = await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = "tools:read resources:read" }));
        (await browser.AnswerAsync(page, keep: item => item != "tool:delete_file")).Parameters(s.RedirectUri);

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from grants where user_id = '{s.User}' and state = 'active'"));
        Assert.Equal(1, await s.ConsentsAsync());
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
    }

    /// <summary>An agent begins what its person handed it.</summary>
    private static async Task<TokenResponse> BeginAsync(Scenario s, string purpose)
    {
        var delegation = await new PersonFlow(s).DelegateAsync(purpose, "list_files", "read_file");
        await s.Agent.AttestAsync();
        return await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(delegation.AccessToken, withActor: true))).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    private async Task<IReadOnlyList<string>> TasksAsync(Scenario s) =>
        [.. (await server.EventsAsync("type = 'task.created'")).Where(e => e.User == s.User && e.Agent is not null).Select(e => e.Task!)];

    private async Task<string> ConsentAsync(Scenario s) =>
        (string)(await server.EventsAsync("type = 'code.issued'")).Last(e => e.User == s.User).Data!["consent"]!;
}
