using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Consents;

/// <summary>What the page says, and to whom.</summary>
public sealed class ConsentPageTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly string[] Reading = ["list_files", "read_file"];

    [Fact]
    [Trait("Attack", "52")]
    public async Task Page_ByScope_SaysWhoForWhatAndWhereTheAnswerGoes()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();

        var page = await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = "tools:read resources:read prompts:read tool:delete_file offline_access" }));

        Assert.Equal("Browser client asks for access to Files", page.Heading);
        var words = page.Words();
        Assert.Contains($"A program with the id {s.PublicClient}", words, StringComparison.Ordinal);
        Assert.Contains($"What it may do at Files files-{s.Suffix}.test", words, StringComparison.Ordinal);
        Assert.Contains("Use every tool that only reads list_files, read_file; also those added later", words, StringComparison.Ordinal);
        Assert.Contains("Read its resources", words, StringComparison.Ordinal);
        Assert.Contains("Read its prompts", words, StringComparison.Ordinal);
        Assert.Contains("Delete or destroy delete_file – can destroy data Any arguments", words, StringComparison.Ordinal);
        Assert.Contains("Stay connected for up to 30 days when you are away", words, StringComparison.Ordinal);
        Assert.Contains("It keeps this until you sign out, for 12 hours at most, or for 30 days if you let it stay connected. You can withdraw it", words, StringComparison.Ordinal);
        Assert.Contains($"The answer goes to client-{s.Suffix}.test.", words, StringComparison.Ordinal);
        Assert.Contains($"Signed in as Ann ({s.Person.Email}).", words, StringComparison.Ordinal);
        Assert.DoesNotContain("this computer", words, StringComparison.Ordinal);
        Assert.DoesNotContain("already allowed", words, StringComparison.Ordinal);
        Assert.Equal(["offline_access", "prompts:read", "resources:read", "tool:delete_file", "tools:read"], page.Items().Order(StringComparer.Ordinal));
    }

    [Theory]
    [Trait("Attack", "52")]
    [InlineData("http://127.0.0.1:53421/callback", "127.0.0.1:53421")]
    [InlineData("http://127.0.0.1/callback", "127.0.0.1")]
    public async Task Page_LoopbackAddress_Warns(string redirect, string shown)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();

        var page = await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = redirect }));

        Assert.Contains($"The answer goes to a program on this computer, {shown}. Continue only if you have just started this yourself.", page.Words(), StringComparison.Ordinal);
        Assert.Contains("<p class=\"warning\">The answer goes to a program", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "52")]
    public async Task Page_ForAnAgent_SaysPurposeOwnerDeadlineAndEveryLimit()
    {
        var s = await server.ScenarioAsync(o => { o.Tools["write_report"] = "write"; o.Agent["purpose"] = "Writes reports"; });
        var browser = await s.BrowserAsync();

        var page = await browser.AskAsync(s.AuthorizeQuery(s.Agent, Summary(s)));

        Assert.Equal($"{s.Agent.Id} asks to work for you", page.Heading);
        var words = page.Words();
        Assert.Contains($"An AI agent with the id {s.Agent.Id}, through the program {s.Agent.ClientId}, {s.Agent.ClientId}", words, StringComparison.Ordinal);
        Assert.Contains("What it wants to do, in its own words Summarise the reports", words, StringComparison.Ordinal);
        Assert.Contains("The agent is for Writes reports Owner Ann", words, StringComparison.Ordinal);
        Assert.Matches("Until \\d+ \\w+ \\d{4}, \\d\\d:\\d\\d UTC \\(in 1 hour\\)", words);
        Assert.Contains("Read read_file path under “reports” Only these arguments", words, StringComparison.Ordinal);
        Assert.Contains("Change write_report – can change data", words, StringComparison.Ordinal);
        Assert.Contains("path exactly “reports/summary.md” size at most 5000 (may be left out) Only these arguments At most 3 calls Asks you before each call", words, StringComparison.Ordinal);
        Assert.Contains("Delete or destroy delete_file – can destroy data Any arguments", words, StringComparison.Ordinal);
        Assert.True(words.IndexOf("read_file", StringComparison.Ordinal) < words.IndexOf("write_report", StringComparison.Ordinal), "reading comes first");
        Assert.Equal(3, page.Items().Count);
    }

    [Fact]
    public async Task Page_ByScopeAfterAnEarlierConsent_TellsNewFromAllowed()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        await browser.AnswerAsync(await browser.AskAsync(s.AuthorizeQuery()));

        var page = await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = "tool:read_file tool:delete_file" }));

        Assert.Equal(["tool:delete_file", "tool:read_file", "tools:read"], page.Items().Order(StringComparer.Ordinal));
        var words = page.Words();
        Assert.Contains("read_file – already allowed", words, StringComparison.Ordinal);
        Assert.Contains("Use every tool that only reads – already allowed", words, StringComparison.Ordinal);
        Assert.Contains("delete_file – can destroy data – new", words, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "51")]
    public async Task Page_NewClientAddressScopeOrResource_Asks()
    {
        var s = await server.ScenarioAsync();
        var second = s.File.DeepClone();
        second["clients"]!.AsArray().Add(JsonNode.Parse($$"""
            {"id":"second-{{s.Suffix}}","name":"Second","auth_method":"none","grant_types":["authorization_code"],"redirect_uris":["{{s.RedirectUri}}"]}
            """));
        second["clients"]!.AsArray().Single(c => (string?)c!["id"] == s.PublicClient)!["redirect_uris"]!.AsArray().Add(s.RedirectUri + "2");
        second["tool_servers"]!.AsArray().Add(JsonNode.Parse($$"""
            {"id":"{{s.ToolServer}}_b","resource":"https://other-{{s.Suffix}}.test/mcp","name":"Other","owner":"{{s.User}}","tools":[{"name":"look","sensitivity":"read"}]}
            """));
        await server.ApplyAsync(second.ToJsonString());
        var browser = await s.BrowserAsync();
        (await browser.AnswerAsync(await browser.AskAsync(s.AuthorizeQuery()))).Parameters(s.RedirectUri);
        Assert.NotNull((await browser.GetAsync($"{Names.Paths.Authorize}?{s.AuthorizeQuery()}")).Parameters(s.RedirectUri)["code"]);

        foreach (var (name, value) in new[] { ("client_id", "second-" + s.Suffix), ("redirect_uri", s.RedirectUri + "2"), ("scope", "tool:delete_file"), ("resource", $"https://other-{s.Suffix}.test/mcp") })
            Assert.Contains("asks for access to", (await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { [name] = value }))).Heading, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "45")]
    public async Task Page_Headers_KeepItOutOfFramesAndFreeOfScripts()
    {
        var s = await server.ScenarioAsync();

        var page = await (await s.BrowserAsync()).AskAsync(s.AuthorizeQuery());

        Assert.Equal("default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'",
            page.Header("Content-Security-Policy"));
        Assert.Equal("DENY", page.Header("X-Frame-Options"));
        Assert.Equal("nosniff", page.Header("X-Content-Type-Options"));
        Assert.Equal("no-referrer", page.Header("Referrer-Policy"));
        Assert.Equal("no-store", page.Header("Cache-Control"));
        Assert.DoesNotContain("<script", page.Html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("style=", page.Html, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    [Trait("Attack", "59")]
    public async Task Page_MarkupInNamesAndPurposes_IsText()
    {
        const string hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
        var s = await server.ScenarioAsync(o => o.Agent["purpose"] = hostile);
        var file = s.File.DeepClone();
        file["clients"]![0]!["name"] = hostile;
        file["agents"]![0]!["name"] = hostile;
        file["tool_servers"]![0]!["name"] = hostile;
        await server.ApplyAsync(file.ToJsonString());
        var details = s.Details(Reading, new JsonObject { ["purpose"] = hostile });
        details[0]!["tools"]!["read_file"] = JsonNode.Parse("""{"args":{"<b>path</b>":{"constraint_type":"exact","value":"\"><script>alert(3)</script>"}}}""");

        var page = await (await s.BrowserAsync()).AskAsync(s.AuthorizeQuery(s.Agent, details));

        Assert.DoesNotContain("<script", page.Html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<img", page.Html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<b>", page.Html, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(hostile + " asks to work for you", page.Heading);
    }

    [Fact]
    public async Task Page_TextThatTurnsAround_IsMadeVisible()
    {
        var s = await server.ScenarioAsync();
        var purpose = "Read reports \u202Eselif ruoy eteled\u202C and \u2066hide\u2069 \u200Bthis";

        var page = await (await s.BrowserAsync()).AskAsync(s.AuthorizeQuery(purpose, Reading));

        Assert.Contains("Read reports \uFFFDselif ruoy eteled\uFFFD and \uFFFDhide\uFFFD \uFFFDthis", page.Words(), StringComparison.Ordinal);
        Assert.DoesNotContain('\u202E', WebUtility.HtmlDecode(page.Html));
    }

    [Fact]
    public async Task Page_LongPurpose_ShowsItsBeginningAndHasAllOfIt()
    {
        var s = await server.ScenarioAsync();
        var purpose = string.Join(' ', Enumerable.Repeat("summarise", 100)) + " and delete everything";

        var page = await (await s.BrowserAsync()).AskAsync(s.AuthorizeQuery(purpose, Reading));

        Assert.Matches("<summary>[^<]*…", WebUtility.HtmlDecode(page.Html));
        Assert.Contains(purpose, page.Words(), StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Attack", "46")]
    [InlineData("&decision=allow", HttpStatusCode.Forbidden, "parameter")]
    [InlineData("&item=tools%3Aread&decision=allow", HttpStatusCode.Forbidden, "parameter")]
    [InlineData("x", HttpStatusCode.BadRequest, "continue")]
    [InlineData("&continue=x", HttpStatusCode.BadRequest, "continue")]
    public async Task Get_WithMoreThanItsAddress_DecidesNothing(string more, HttpStatusCode status, string reason)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var page = await browser.GetAsync(server.Address(s.AuthorizeQuery()) + more);

        Assert.Equal(status, page.Status);
        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.ConsentRefused, reason);
        Assert.Null(e.User);
        Assert.Equal((0, 0), (await s.ConsentsAsync(), await s.CodesAsync()));
    }

    [Fact]
    public async Task Get_NotSignedIn_GoesToSignInAndComesBack()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);

        var away = await browser.GetAsync(server.Address(s.AuthorizeQuery()));
        Assert.Equal(HttpStatusCode.SeeOther, away.Status);
        Assert.StartsWith(Names.Paths.SignIn + "?continue=", away.Location, StringComparison.Ordinal);

        var back = await browser.FollowAsync(await browser.FollowAsync(await browser.SignInAsync(s.Person, away.Location!)));
        Assert.Equal("Browser client asks for access to Files", back.Heading);
    }

    [Fact]
    public async Task Get_SignInOlderThanDemanded_GoesToSignIn()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        server.Time.Advance(TimeSpan.FromSeconds(2));

        foreach (var demand in new[] { ("prompt", "login"), ("max_age", "1") })
            Assert.StartsWith(Names.Paths.SignIn + "?continue=",
                (await browser.GetAsync(server.Address(s.AuthorizeQuery(new Dictionary<string, string?> { [demand.Item1] = demand.Item2 })))).Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_PromptNone_AsksNobody()
    {
        var s = await server.ScenarioAsync();

        var page = await (await s.BrowserAsync()).GetAsync(server.Address(s.AuthorizeQuery(new Dictionary<string, string?> { ["prompt"] = "none" })));

        Assert.Equal((HttpStatusCode.BadRequest, "Nothing can be asked here"), (page.Status, page.Heading));
    }

    [Fact]
    public async Task Get_RequestThatCannotBeGranted_TellsTheClientOrThePerson()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();

        var refused = await browser.GetAsync(server.Address(s.AuthorizeQuery(new Dictionary<string, string?> { ["response_type"] = "token" })));
        Assert.Equal("unsupported_response_type", refused.Parameters(s.RedirectUri)["error"]);
        var local = await browser.GetAsync(server.Address(s.AuthorizeQuery(new Dictionary<string, string?> { ["redirect_uri"] = "https://evil.test/cb" })));
        Assert.Equal(HttpStatusCode.BadRequest, local.Status);
    }

    [Fact]
    public async Task Page_WithoutScript_HasLabelsGroupsAndHeadings()
    {
        var s = await server.ScenarioAsync();

        var page = await (await s.BrowserAsync()).AskAsync(s.AuthorizeQuery(s.Agent, s.Details([.. Reading, "delete_file"], new JsonObject { ["purpose"] = "a task" })));

        Assert.Equal(2, Regex.Count(page.Html, "<fieldset><legend>"));
        Assert.Equal(3, Regex.Count(page.Html, "<label class=\"item\"><input type=\"checkbox\" name=\"item\""));
        var ids = Regex.Matches(page.Html, " id=\"([^\"]*)\"").Select(m => m.Groups[1].Value).ToList();
        Assert.Equal(ids.Distinct(), ids);
        Assert.Equal(ids, Regex.Matches(page.Html, "aria-describedby=\"([^\"]*)\"").Select(m => m.Groups[1].Value));
        // What Enter presses in a form is its first button.
        Assert.Matches("<button type=\"submit\" class=\"secondary\" name=\"decision\" value=\"deny\">Deny</button>\\s*<button type=\"submit\" class=\"secondary\" name=\"decision\" value=\"allow\">Allow", page.Html);
    }

    private static JsonArray Summary(Scenario s) =>
    [
        JsonNode.Parse("""
            {"type":"mcp_tool_call","locations":["RESOURCE"],"actions":["tools/call"],"task":{"purpose":"Summarise the reports"},
             "tools":{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}},
               "write_report":{"args":{"path":{"constraint_type":"exact","value":"reports/summary.md"},"size":{"constraint_type":"range","max":5000}},
                 "optional":["size"],"max_calls":3,"approval":"required"},
               "delete_file":{}}}
            """.Replace("RESOURCE", s.Resource, StringComparison.Ordinal)),
    ];
}
