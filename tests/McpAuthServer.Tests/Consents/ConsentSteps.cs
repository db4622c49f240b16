using System.Collections.Specialized;
using System.Net;
using System.Text.RegularExpressions;
using System.Web;
using McpAuth.Protocol;
using McpAuthServer.Pages;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Consents;

/// <summary>What a person does on the way from a request to its answer.</summary>
internal static partial class ConsentSteps
{
    public static async Task<TestBrowser> BrowserAsync(this Scenario s)
    {
        var browser = new TestBrowser(s.Server);
        await browser.SignInAsync(s.Person);
        return browser;
    }

    /// <summary>From the request to the page that asks.</summary>
    public static async Task<TestPage> AskAsync(this TestBrowser browser, string query)
    {
        var page = await browser.FollowAsync(await browser.GetAsync($"{Names.Paths.Authorize}?{query}"));
        Assert.True(page.Status == HttpStatusCode.OK, $"{(int)page.Status} {page.Location} {page.Text}");
        return page;
    }

    /// <summary>The page's address for a request, whatever <c>/authorize</c> would do with it.</summary>
    public static string Address(this TestServer server, string query, TimeSpan ago = default) =>
        $"{Names.Paths.Consent}?continue={Uri.EscapeDataString(server.Services.GetRequiredService<Interactions>().Seal(new Interaction(query, server.Time.GetUtcNow() - ago)))}";

    public static Task<TestPage> AnswerAsync(this TestBrowser browser, TestPage page, string decision = "allow", Func<string, bool>? keep = null) =>
        browser.PostFormAsync(page, new() { ["decision"] = decision }, Names.Paths.Consent, keep is null ? null : [.. page.Items().Where(keep)]);

    /// <summary>The values of the boxes that are ticked.</summary>
    public static IReadOnlyList<string> Items(this TestPage page) => [.. page.Form(Names.Paths.Consent).Fields.Where(f => f.Key == PageForm.Item).Select(f => f.Value)];

    /// <summary>The answer to the client: the parameters of the redirect.</summary>
    public static NameValueCollection Parameters(this TestPage page, string redirect)
    {
        Assert.True(page.Status == HttpStatusCode.SeeOther, $"{(int)page.Status} {page.Text}");
        Assert.StartsWith(redirect + "?", page.Location, StringComparison.Ordinal);
        return HttpUtility.ParseQueryString(new Uri(page.Location!).Query);
    }

    /// <summary>What a person reads, as one line.</summary>
    public static string Words(this TestPage page) => Blanks().Replace(WebUtility.HtmlDecode(Tag().Replace(Inline().Replace(page.Html, ""), " ")), " ").Trim();

    public static Task<long> ConsentsAsync(this Scenario s) => s.Server.ScalarAsync($"select count(*) from consents where user_id = '{s.User}'");

    public static Task<long> CodesAsync(this Scenario s) => s.Server.ScalarAsync($"select count(*) from codes c join consents n on n.id = c.consent_id where n.user_id = '{s.User}'");

    [GeneratedRegex("</?(bdi|code|span|strong|time|a)\\b[^>]*>")]
    private static partial Regex Inline();

    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Tag();

    [GeneratedRegex("\\s+")]
    private static partial Regex Blanks();
}
