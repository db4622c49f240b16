using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.People;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.SignIn;

public sealed class SetupTests : IAsyncLifetime
{
    private const string Password = "a password of mine";

    private readonly TestServer server = new();

    public Task InitializeAsync() => server.InitializeAsync();

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    [Trait("Attack", "156")]
    public async Task Setup_FirstAdministrator_IsMadeOnceAndTheLinkIsDead()
    {
        var (browser, link) = (new TestBrowser(server), (await LinkAsync(null))!);
        var page = await browser.GetAsync(link);
        Assert.Equal("Set up the first administrator", page.Heading);
        var mark = await server.NowAsync();

        var answer = await browser.PostFormAsync(page, Fields("Ann Example", "ann@people.test"));

        Assert.Equal((HttpStatusCode.SeeOther, Names.Paths.SignIn), (answer.Status, answer.Location));
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.AccountCreated, "success"), (e.Type, e.Outcome));
        var person = await server.Services.GetRequiredService<PersonStore>().Find(e.User!, default);
        Assert.Equal(("Ann Example", "ann@people.test", true, true), (person!.Name, person.Email, person.Enabled, person.Administrator));
        await browser.SignInAsync(new TestPerson(e.User!, "ann@people.test") { Password = Password });

        // Again, by the page that is still open, by the address, and for another link.
        mark = await server.NowAsync();
        Assert.Equal(HttpStatusCode.Forbidden, (await new TestBrowser(server).GetAsync(link)).Status);
        var other = new TestBrowser(server);
        var csrf = (await other.GetAsync(Names.Paths.SignIn)).Form()["csrf"]!;
        Assert.Equal(HttpStatusCode.Forbidden, (await other.PostAsync(Names.Paths.Setup,
            [new("csrf", csrf), new("t", link.Split('=')[1]), new("name", "Eve"), new("email", "eve@people.test"), new("password", Password)])).Status);
        Assert.Null(await LinkAsync(null));
        Assert.Equal(1, await server.ScalarAsync("select count(*) from users where administrator = 1"));
        Assert.Equal([AuditTypes.SetupRefused, AuditTypes.SetupRefused], (await server.SinceAsync(mark)).Select(e => e.Type));
    }

    [Fact]
    [Trait("Attack", "156")]
    public async Task Setup_OneLinkInManyHandsAtOnce_MakesOneAdministrator()
    {
        var link = (await LinkAsync(null))!;
        var pages = await Task.WhenAll(Enumerable.Range(0, 6).Select(async i =>
        {
            var browser = new TestBrowser(server);
            return (Browser: browser, Page: await browser.GetAsync(link), Number: i);
        }));

        var answers = await Task.WhenAll(pages.Select(p => p.Browser.PostFormAsync(p.Page, Fields("P", $"p{p.Number}@people.test"))));

        Assert.Single(answers, a => a.Status == HttpStatusCode.SeeOther);
        Assert.Equal(5, answers.Count(a => a.Status == HttpStatusCode.Forbidden));
        Assert.Equal(1, await server.ScalarAsync("select count(*) from users"));
        Assert.Equal(1, await server.ScalarAsync("select count(*) from accounts"));
    }

    [Fact]
    public async Task Setup_NewerLinkOrADayLater_TheOldOneIsDead()
    {
        var browser = new TestBrowser(server);
        var (first, second) = ((await LinkAsync(null))!, (await LinkAsync(null))!);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.GetAsync(first)).Status);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync(second)).Status);

        server.Time.Advance(SetupLinks.Life);

        Assert.Equal(HttpStatusCode.Forbidden, (await browser.GetAsync(second)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.GetAsync(Names.Paths.Setup)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.GetAsync(Names.Paths.Setup + "?t=")).Status);
    }

    [Fact]
    public async Task Setup_WhatCannotBe_IsAskedForAgainAndTheLinkStays()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var page = await browser.GetAsync((await LinkAsync(null))!);
        foreach (var (fields, says) in new[]
        {
            (Fields("", "ann@people.test"), "your name"), (Fields("A\nB", "ann@people.test"), "your name"), (Fields("Ann", "nothing"), "e-mail address"),
            (Fields("Ann", "ann@people.test", "elevenchars"), "12 to 256 characters"), (Fields("Ann", s.Person.Email.ToUpperInvariant()), "Somebody else"),
        })
        {
            page = await browser.PostFormAsync(page, fields);
            Assert.Equal(HttpStatusCode.OK, page.Status);
            Assert.Contains(says, page.Text, StringComparison.Ordinal);
        }

        Assert.Equal(HttpStatusCode.SeeOther, (await browser.PostFormAsync(page, Fields("Ann", "ann@people.test"))).Status);
    }

    [Fact]
    public async Task Setup_LinkForAUser_SetsTheirPasswordLiftsTheLockAndEndsTheirSessions()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        for (var i = 0; i < 5; i++)
            await new TestBrowser(server).TrySignInAsync(s.Person.Email, "a wrong password");
        var owner = new TestBrowser(server);
        var page = await owner.GetAsync((await LinkAsync(s.Person.Id))!);
        Assert.Contains(s.Person.Email, page.Text, StringComparison.Ordinal);

        // Neither name nor address is theirs to choose here.
        Assert.Equal(HttpStatusCode.SeeOther, (await owner.PostFormAsync(page, Fields("Eve", "eve@people.test"))).Status);

        Assert.Equal(Names.Paths.SignIn, (await browser.GetAsync(Names.Paths.Password)).Location);
        await owner.SignInAsync(s.Person with { Password = Password });
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from users where name = 'Eve' or (id = '{s.Person.Id}' and administrator = 1)"));
    }

    [Fact]
    public async Task Setup_LinkForWhoeverCannotSignIn_IsNotMadeOrDead()
    {
        var s = await server.ScenarioAsync();
        await server.ApplyAsync("""{"users": [{"id": "usr_silent", "name": "S"}]}""");
        Assert.Null(await LinkAsync("usr_silent"));
        Assert.Null(await LinkAsync("usr_nobody"));
        var link = (await LinkAsync(s.Person.Id))!;
        s.File["users"]![0]!["enabled"] = false;
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.Equal(HttpStatusCode.Forbidden, (await new TestBrowser(server).GetAsync(link)).Status);
    }

    private static Dictionary<string, string?> Fields(string name, string email, string password = Password) => new() { ["name"] = name, ["email"] = email, ["password"] = password };

    private async Task<string?> LinkAsync(string? user)
    {
        await using var scope = server.Services.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<SetupLinks>().MakeAsync(user) is { } link ? $"{Names.Paths.Setup}?t={link}" : null;
    }
}
