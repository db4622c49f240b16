using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuthServer.Pages;

namespace McpAuthServer.Tests.Harness;

/// <summary>
/// A browser as far as our pages need one: it keeps cookies (and sends Secure ones, as over TLS), reads forms with their hidden fields, and
/// follows no redirect by itself, so that a test sees each.
/// </summary>
/// <param name="client">How it reaches the server; null = as everybody does.</param>
public sealed class TestBrowser(TestServer server, HttpClient? client = null)
{
    private readonly HttpClient http = client ?? server.Client();

    /// <summary>What it would send, by name; a test may plant or take away.</summary>
    public Dictionary<string, string> Cookies { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether it carries a sign-in; the server may have ended it.</summary>
    public bool HasSession => Cookies.ContainsKey(Browser.Cookie);

    public TestServer Server => server;

    public Task<TestPage> GetAsync(string path) => SendAsync(new HttpRequestMessage(HttpMethod.Get, path));

    /// <summary>Goes where the page redirects to.</summary>
    public Task<TestPage> FollowAsync(TestPage page) => GetAsync(page.Location ?? throw new InvalidOperationException($"{page.Status} leads nowhere: {page.Html}"));

    /// <summary>Submits a form of the page: its fields as they stand there, but for <paramref name="changes"/> (null removes one).</summary>
    /// <param name="action">Which form, when there are several.</param>
    /// <param name="items">Chosen of the repeated field, in the place of those that are ticked; null leaves them.</param>
    public Task<TestPage> PostFormAsync(TestPage page, Dictionary<string, string?>? changes = null, string? action = null, IReadOnlyList<string>? items = null)
    {
        var form = page.Form(action);
        var fields = form.Fields.Where(f => changes?.ContainsKey(f.Key) != true && (items is null || f.Key != PageForm.Item)).ToList();
        fields.AddRange(from change in changes ?? [] where change.Value is not null select KeyValuePair.Create(change.Key, change.Value!));
        fields.AddRange(from item in items ?? [] select KeyValuePair.Create(PageForm.Item, item));
        return PostAsync(form.Action, fields);
    }

    /// <summary>Posts what no page of ours held.</summary>
    public Task<TestPage> PostAsync(string path, IEnumerable<KeyValuePair<string, string>> fields) =>
        SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(fields) });

    /// <summary>Signs in, and fails the test when that fails.</summary>
    /// <returns>The redirect that follows.</returns>
    public async Task<TestPage> SignInAsync(TestPerson person, string path = Names.Paths.SignIn)
    {
        var answer = await TrySignInAsync(person.Email, person.Password, path);
        Assert.True(answer.Status == HttpStatusCode.SeeOther, answer.Html);
        return answer;
    }

    public async Task<TestPage> TrySignInAsync(string email, string password, string path = Names.Paths.SignIn) =>
        await PostFormAsync(await GetAsync(path), new() { ["email"] = email, ["password"] = password }, Names.Paths.SignIn);

    public async Task<TestPage> SendAsync(HttpRequestMessage request)
    {
        using (request)
        {
            if (Cookies.Count > 0)
                request.Headers.Add("Cookie", string.Join("; ", Cookies.Select(c => $"{c.Key}={c.Value}")));
            using var response = await http.SendAsync(request);
            var set = response.Headers.TryGetValues("Set-Cookie", out var lines) ? lines.ToList() : [];
            foreach (var line in set)
                Keep(line);
            return new TestPage(response.StatusCode, await response.Content.ReadAsStringAsync(), response.Headers, response.Content.Headers.ContentType, set);
        }
    }

    private void Keep(string line)
    {
        var (name, value) = line.Split(';')[0].Split('=', 2) is [var n, var v] ? (n.Trim(), v) : throw new FormatException(line);
        if (value.Length == 0 || line.Contains("expires=Thu, 01 Jan 1970", StringComparison.OrdinalIgnoreCase))
            Cookies.Remove(name);
        else
            Cookies[name] = value;
    }
}

/// <summary>One answer.</summary>
/// <param name="SetCookies">The header's lines as they came.</param>
public sealed partial record TestPage(HttpStatusCode Status, string Html, HttpResponseHeaders Headers, MediaTypeHeaderValue? ContentType, IReadOnlyList<string> SetCookies)
{
    public string? Location => Headers.Location?.OriginalString;

    /// <summary>The heading as people read it.</summary>
    public string Heading => WebUtility.HtmlDecode(HeadingPattern().Match(Html).Groups[1].Value);

    /// <summary>All there is to read, without the markup.</summary>
    public string Text => WebUtility.HtmlDecode(Tag().Replace(Html, " "));

    public IReadOnlyList<TestForm> Forms => [.. from Match form in FormPattern().Matches(Html) select TestForm.Read(form.Groups[1].Value, form.Groups[2].Value)];

    /// <summary>The page's form, or of several the one that goes to <paramref name="action"/>.</summary>
    public TestForm Form(string? action = null) => Assert.Single(Forms, f => action is null || f.Action.EndsWith(action, StringComparison.Ordinal));

    public string? Header(string name) => Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : null;

    [GeneratedRegex("<h1>(.*?)</h1>", RegexOptions.Singleline)]
    private static partial Regex HeadingPattern();

    [GeneratedRegex("<form([^>]*)>(.*?)</form>", RegexOptions.Singleline)]
    private static partial Regex FormPattern();

    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Tag();
}

/// <param name="Fields">What the browser would send: texts with their value, boxes that are ticked.</param>
public sealed partial record TestForm(string Action, IReadOnlyList<KeyValuePair<string, string>> Fields)
{
    public string? this[string name] => Fields.Where(f => f.Key == name).Select(f => f.Value).FirstOrDefault();

    internal static TestForm Read(string form, string content)
    {
        var fields = from Match input in Input().Matches(content)
                     let attributes = Attributes(input.Groups[1].Value)
                     where attributes.ContainsKey("name") && (attributes.GetValueOrDefault("type") is not ("checkbox" or "radio") || attributes.ContainsKey("checked"))
                     select KeyValuePair.Create(attributes["name"], attributes.GetValueOrDefault("value", ""));
        return new TestForm(Attributes(form)["action"], [.. fields]);
    }

    private static Dictionary<string, string> Attributes(string text) =>
        Attribute().Matches(text).ToDictionary(a => a.Groups[1].Value, a => WebUtility.HtmlDecode(a.Groups[2].Value), StringComparer.Ordinal);

    [GeneratedRegex("<input([^>]*)>", RegexOptions.Singleline)]
    private static partial Regex Input();

    [GeneratedRegex("""([a-z-]+)(?:="([^"]*)")?""")]
    private static partial Regex Attribute();
}
