using System.Net;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Pages;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.SignIn;

/// <summary>Two nodes on one PostgreSQL are one place to sign in at.</summary>
[NeedsPostgres]
public sealed class TwoNodeSignInTests(PostgresServer postgres) : IClassFixture<PostgresServer>
{
    private TestServer First => postgres.Server;

    [SuiteFact]
    public async Task SignIn_OnOneNode_CountsOnTheOther()
    {
        var second = await postgres.AnotherAsync();
        var s = await First.ScenarioAsync();
        var (browser, there) = (new TestBrowser(First), new TestBrowser(second));
        await browser.SignInAsync(s.Person);
        var page = await browser.GetAsync(Names.Paths.Password);
        foreach (var cookie in browser.Cookies)
            there.Cookies[cookie.Key] = cookie.Value;

        // A form from one is taken by the other, and so is what one sealed.
        Assert.Equal(page.Heading, (await there.GetAsync(Names.Paths.Password)).Heading);
        var answer = await there.PostFormAsync(page, new() { ["current_password"] = s.Person.Password, ["new_password"] = "another password" });
        Assert.Equal(HttpStatusCode.SeeOther, answer.Status);
        var text = second.Services.GetRequiredService<Interactions>().Seal(new Interaction("q", second.Time.GetUtcNow()));
        Assert.Equal("q", First.Services.GetRequiredService<Interactions>().Open(text)!.Query);
        Assert.Equal(1, await First.ScalarAsync("select count(*) from data_protection_keys"));

        // And the end of it.
        var token = (await there.GetAsync(Names.Paths.Password)).Form()["csrf"]!;
        Assert.Equal(HttpStatusCode.SeeOther, (await there.PostAsync(Names.Paths.SignOut, [new("csrf", token)])).Status);
        Assert.Equal(Names.Paths.SignIn, (await browser.GetAsync(Names.Paths.Password)).Location);
    }

    [SuiteFact]
    public async Task SignIn_GuessesOnTwoNodesAtOnce_AreAllCounted()
    {
        var second = await postgres.AnotherAsync();
        var s = await First.ScenarioAsync();
        var mark = await First.NowAsync();

        await Task.WhenAll(Enumerable.Range(0, 10).Select(i => new TestBrowser(i % 2 == 0 ? First : second).TrySignInAsync(s.Person.Email, "a wrong password")));

        var reasons = (await First.SinceAsync(mark)).Where(e => e.User == s.Person.Id).Select(e => e.Reason).ToList();
        Assert.Equal((5, 5), (reasons.Count(r => r == "wrong_password"), reasons.Count(r => r == "locked_out")));
        Assert.Equal(HttpStatusCode.OK, (await new TestBrowser(second).TrySignInAsync(s.Person.Email, s.Person.Password)).Status);
    }
}
