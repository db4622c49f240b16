using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Accounts;

/// <summary>What a person does on their account page counts by who they are when the form is complete, not when it was begun.</summary>
public sealed class HeldActTests(TestServer server) : IClassFixture<TestServer>
{
    [Theory]
    [InlineData("end", "signed_out")]
    [InlineData("end", "disabled")]
    [InlineData("withdraw", "signed_out")]
    [InlineData("withdraw", "disabled")]
    [InlineData("lift", "signed_out")]
    [InlineData("lift", "disabled")]
    public async Task Act_OfWhoIsNoLongerSignedIn_WhenItsFormIsComplete_CountsForNothing(string act, string what)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var path = Names.Paths.Account + await SceneAsync(s, browser, act);
        var page = await browser.GetAsync(Names.Paths.Account);
        var second = new TestBrowser(server);
        foreach (var (name, value) in browser.Cookies)
            second.Cookies[name] = value;

        var token = Uri.EscapeDataString(page.Form(path)["csrf"]!);
        using var form = new HeldContent($"csrf={token[..10]}", token[10..]);
        var acting = browser.SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = form });
        await form.Begun.WaitAsync(TimeSpan.FromSeconds(10));
        await Task.Delay(500);
        if (what == "signed_out")
            Assert.Equal(HttpStatusCode.SeeOther, (await second.PostFormAsync(page, action: Names.Paths.SignOut)).Status);
        else
            await EnableAsync(s, false);
        var mark = await server.NowAsync();
        form.GoOn();
        var answer = await acting.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.SignIn), (answer.Status, answer.Location));
        var refused = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((act == "end" ? AuditTypes.TaskRefused : AuditTypes.ConsentRefused, "session_ended", s.User), (refused.Type, refused.Reason, refused.User));
    }

    private Task EnableAsync(Scenario s, bool enabled) => server.ApplyAsync(new JsonObject
    {
        ["users"] = new JsonArray(new JsonObject { ["id"] = s.User, ["name"] = "Ann", ["email"] = s.Person.Email, ["enabled"] = enabled }),
    }.ToJsonString());

    /// <summary>What there is to act on, and where, from the account page on.</summary>
    private async Task<string> SceneAsync(Scenario s, TestBrowser browser, string act)
    {
        await s.Agent.AttestAsync();
        if (act == "end")
        {
            var delegation = await new PersonFlow(s).DelegateAsync("a task", "list_files");
            Assert.Equal(HttpStatusCode.OK, (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(delegation.AccessToken, withActor: true))).StatusCode);
            return $"/tasks/{Assert.Single(await server.TextsAsync($"select id from tasks where user_id = '{s.User}' and agent_id is not null"))}/end";
        }
        var provider = new TestProvider(s);
        await provider.RegisterAsync();
        await provider.RedeemAsync();
        var consent = Assert.Single(await server.TextsAsync($"select id from consents where client_id = '{provider.Desk}' and state = 'active'"));
        if (act == "lift")
            await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Account), action: $"/consents/{consent}/withdraw");
        return $"/consents/{consent}/{act}";
    }
}
