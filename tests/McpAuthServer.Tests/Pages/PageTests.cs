using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Pages;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Pages;

/// <summary>What holds on every page, whatever it is about.</summary>
public sealed class PageTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Markup = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>&amp;";

    [Fact]
    [Trait("Attack", "45")]
    public async Task Pages_All_CannotBeFramedRunNoScriptAndAreNotStored()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var pages = new List<TestPage> { await browser.GetAsync(Names.Paths.SignIn), await browser.GetAsync(Names.Paths.Setup + "?t=nothing") };
        pages.Add(await browser.TrySignInAsync(s.Person.Email, "a wrong password"));
        pages.Add(await browser.PostAsync(Names.Paths.SignIn, []));
        await browser.SignInAsync(s.Person);
        pages.Add(await browser.GetAsync(Names.Paths.Password));

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.OK], pages.Select(p => p.Status));
        Assert.All(pages, page =>
        {
            Assert.Equal("default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'", page.Header("Content-Security-Policy"));
            Assert.Equal("DENY", page.Header("X-Frame-Options"));
            Assert.Equal("nosniff", page.Header("X-Content-Type-Options"));
            Assert.Equal("no-referrer", page.Header("Referrer-Policy"));
            Assert.True(page.Headers.CacheControl!.NoStore);
            Assert.Null(page.Header("Cross-Origin-Opener-Policy"));
            Assert.Null(page.Header("Access-Control-Allow-Origin"));
            Assert.Equal("text/html; charset=utf-8", page.ContentType!.ToString());
            Assert.Contains("<html lang=\"en\">", page.Html, StringComparison.Ordinal);
            Assert.Contains("name=\"viewport\"", page.Html, StringComparison.Ordinal);
            Assert.Contains($"<title>{WebUtility.HtmlEncode(page.Heading)} – McpAuth</title>", page.Html, StringComparison.Ordinal);
            Assert.DoesNotContain("<script", page.Html, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("style=", page.Html, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("<!--", page.Html, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Stylesheet_ItsAddress_HoldsItForever()
    {
        var page = await new TestBrowser(server).GetAsync(Names.Paths.SignIn);
        var address = page.Html.Split("<link rel=\"stylesheet\" href=\"")[1].Split('"')[0];

        using var answer = await server.Client().GetAsync(address);

        Assert.Matches("^/assets/[0-9a-f]{16}\\.css$", address);
        Assert.Equal((HttpStatusCode.OK, "text/css"), (answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
        Assert.Equal("public, max-age=31536000, immutable", answer.Headers.GetValues("Cache-Control").Single());
        Assert.Contains("prefers-color-scheme: dark", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "59")]
    public async Task Text_WithMarkupInIt_IsShownAsText()
    {
        var s = await server.ScenarioAsync();
        s.File["users"]![0]!["name"] = Markup;
        await server.ApplyAsync(s.File.ToJsonString());
        var browser = new TestBrowser(server);
        var query = Uri.EscapeDataString(Markup);
        await using var scope = server.Services.CreateAsyncScope();
        var link = await scope.ServiceProvider.GetRequiredService<McpAuthServer.People.SetupLinks>().MakeAsync(s.Person.Id);
        var setup = await browser.GetAsync($"{Names.Paths.Setup}?t={link}");

        var pages = new[]
        {
            await browser.GetAsync($"{Names.Paths.SignIn}?continue={query}&error={query}"), await browser.TrySignInAsync(Markup, Markup), await browser.GetAsync($"{Names.Paths.Setup}?t={query}"),
            setup, await browser.PostAsync(Names.Paths.SignIn, [new(Markup, "1"), new(Markup, "2")]),
        };

        Assert.Contains(pages, p => p.Form() is var form && form["email"] == Markup);
        Assert.Contains(Markup, setup.Text, StringComparison.Ordinal);
        Assert.All(pages, page =>
        {
            Assert.DoesNotContain("<script", page.Html, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("<img", page.Html, StringComparison.OrdinalIgnoreCase);
        });
    }

    [Fact]
    [Trait("Attack", "46")]
    public async Task Form_WithoutOurTokenOrWithAnothers_Is403AndDoesNothing()
    {
        var s = await server.ScenarioAsync();
        var (browser, other) = (new TestBrowser(server), new TestBrowser(server));
        var page = await browser.GetAsync(Names.Paths.SignIn);
        var foreign = (await other.GetAsync(Names.Paths.SignIn)).Form()["csrf"];
        var mark = await server.NowAsync();
        Dictionary<string, string?> With(string? token) => new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password, ["csrf"] = token };

        foreach (var token in new[] { null, "", "x", foreign, page.Form()["csrf"]![..^1], browser.Cookies[Browser.FormCookie] })
        {
            var answer = await browser.PostFormAsync(page, With(token));
            Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
            Assert.Equal("This form is out of date", answer.Heading);
        }
        browser.Cookies.Remove(Browser.FormCookie);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostFormAsync(page)).Status);

        var events = await server.SinceAsync(mark);
        Assert.Equal(7, events.Count);
        Assert.All(events, e => Assert.Equal((AuditTypes.SignInFailed, "refused", "form"), (e.Type, e.Outcome, e.Reason)));
        Assert.False(browser.HasSession);
    }

    [Fact]
    [Trait("Attack", "46")]
    public async Task Form_FetchedBeforeSigningInOrBySomebodyElse_Is403()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var browser = new TestBrowser(server);
        var anonymous = (await browser.GetAsync(Names.Paths.SignIn)).Form()["csrf"]!;
        await browser.SignInAsync(s.Person);
        var mine = (await browser.GetAsync(Names.Paths.Password)).Form()["csrf"]!;
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostAsync(Names.Paths.Password, [new("csrf", anonymous)])).Status);

        // The same browser, then another person in it.
        await browser.SignInAsync(other.Person);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostAsync(Names.Paths.Password, [new("csrf", mine)])).Status);
    }

    [Theory]
    [InlineData("text/plain", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("multipart/form-data; boundary=x", HttpStatusCode.UnsupportedMediaType)]
    public async Task Form_OfAnotherType_IsRefusedAsAPage(string type, HttpStatusCode status)
    {
        using var content = new StringContent("email=a");
        content.Headers.ContentType = System.Net.Http.Headers.MediaTypeHeaderValue.Parse(type);

        var answer = await new TestBrowser(server).SendAsync(new HttpRequestMessage(HttpMethod.Post, Names.Paths.SignIn) { Content = content });

        Assert.Equal((status, "The request could not be read"), (answer.Status, answer.Heading));
    }

    [Fact]
    public async Task Form_FieldTwiceOrSecretInTheQuery_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var form = (await browser.GetAsync(Names.Paths.SignIn)).Form();

        Assert.Equal(HttpStatusCode.BadRequest, (await browser.PostAsync(Names.Paths.SignIn,
            [.. form.Fields.Where(f => f.Key == "csrf"), new("email", s.Person.Email), new("email", "x"), new("password", s.Person.Password)])).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.PostAsync(Names.Paths.SignIn + "?password=x",
            [.. form.Fields.Where(f => f.Key == "csrf"), new("email", s.Person.Email), new("password", s.Person.Password)])).Status);
    }

    [Fact]
    public async Task Pages_FromAnotherOrigin_AreNotShared()
    {
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Options })
        {
            var request = new HttpRequestMessage(method, Names.Paths.SignIn);
            request.Headers.Add("Origin", "https://evil.test");
            request.Headers.Add("Access-Control-Request-Method", "POST");
            Assert.Null((await new TestBrowser(server).SendAsync(request)).Header("Access-Control-Allow-Origin"));
        }
    }
}

/// <summary>Failures of pages are pages.</summary>
public sealed class PageFailureTests : IAsyncLifetime
{
    private readonly TestServer server = new();

    public Task InitializeAsync()
    {
        server.Settings["McpAuth:CommitQueue"] = "1";
        return server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task CommitQueueFull_SignIn_IsAPageThatSaysTryAgain()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var page = await browser.GetAsync(Names.Paths.SignIn);
        var log = server.Services.GetRequiredService<ICommitLog>();
        using var release = new ManualResetEventSlim();
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = log.Commit(new LambdaUnit<bool>(
            _ =>
            {
                entered.TrySetResult();
                return release.Wait(TimeSpan.FromSeconds(20));
            },
            StateLock.None));
        await entered.Task.WaitAsync(TimeSpan.FromSeconds(20));
        var waiting = log.Commit(new LambdaUnit<bool>(_ => true, StateLock.None));
        Dictionary<string, string?> fields = new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password };
        try
        {
            var answer = await browser.PostFormAsync(page, fields).WaitAsync(TimeSpan.FromSeconds(10));
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "Try again in a moment"), (answer.Status, answer.Heading));
            Assert.Equal("DENY", answer.Header("X-Frame-Options"));
            Assert.Equal("1", answer.Header("Retry-After"));
            Assert.True(answer.Headers.CacheControl!.NoStore);
        }
        finally
        {
            release.Set();
        }
        Assert.True(await running.WaitAsync(TimeSpan.FromSeconds(20)) && await waiting.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.PostFormAsync(page, fields)).Status);
    }
}
