using System.Web;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;

namespace McpAuthServer.Tests.Harness;

/// <summary>Ways through the authorization endpoint.</summary>
internal static class Authorizing
{
    /// <summary>Follows the request to the consent page and allows all of it.</summary>
    public static async Task<TestPage> AllowAsync(this TestBrowser browser, string query)
    {
        var page = await browser.FollowAsync(await browser.GetAsync("/authorize?" + query));
        return await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);
    }

    /// <summary>
    /// The request is refused at the client's own address, with one event and without any effect; tells error and state. Unless the browser is given or
    /// nobody may be asked, the person has signed in: nobody else is sent away.
    /// </summary>
    public static async Task<(string? Error, string? State)> RefusedAuthorizationAsync(this TestServer server, Scenario s, string query, TestBrowser? browser = null, string? redirect = null)
    {
        if (browser is null)
        {
            browser = new TestBrowser(server);
            if (!query.Contains("prompt=none", StringComparison.Ordinal))
                await browser.SignInAsync(s.Person);
        }
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var answer = await browser.GetAsync("/authorize?" + query);

        Assert.True(answer.Location?.StartsWith((redirect ?? s.RedirectUri) + "?", StringComparison.Ordinal), $"{answer.Status} {answer.Location} {answer.Html}");
        Assert.DoesNotContain("#", answer.Location, StringComparison.Ordinal);
        var members = HttpUtility.ParseQueryString(new Uri(answer.Location!).Query);
        Assert.Equal([TestServer.Issuer], members.GetValues("iss")!);
        Assert.Null(members["code"]);
        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AuthorizationRefused, members["error"]);
        Assert.NotNull(e.Client);
        return (members["error"], members["state"]);
    }
}
