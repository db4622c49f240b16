using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Pages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Consents;

/// <summary>What an answer is worth.</summary>
public sealed class ConsentAnswerTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Allow_ByScope_AnswersWithACodeForWhatWasLeft()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = "tools:read resources:read tool:delete_file offline_access" }));

        var answer = (await browser.AnswerAsync(page, keep: item => item is not ("tool:delete_file" or "offline_access"))).Parameters(s.RedirectUri);

        Assert.Equal(("state-" + s.Suffix, TestServer.Issuer, null), (answer["state"], answer["iss"], answer["error"]));
        var token = await new PersonFlow(s).RedeemAsync(answer["code"]!);
        Assert.Equal("resources:read tools:read", token.Scope);
        Assert.Equal(0, await server.ScalarAsync($"select offline from codes c join consents n on n.id = c.consent_id where n.user_id = '{s.User}'"));
    }

    [Theory]
    [InlineData("tools:read")]
    [InlineData("resources:read")]
    [InlineData("prompts:read")]
    [InlineData("tool:delete_file")]
    [InlineData("offline_access")]
    public async Task Allow_OneWordUnticked_GrantsTheOthers(string without)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var words = "offline_access prompts:read resources:read tool:delete_file tools:read";
        var page = await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = words }));

        (await browser.AnswerAsync(page, keep: item => item != without)).Parameters(s.RedirectUri);

        var granted = Assert.Single(await server.EventsAsync("type = 'consent.granted'"), e => e.User == s.User);
        Assert.Equal(string.Join(' ', words.Split(' ').Where(word => word != without)), (string?)granted.Data!["scope"]);
    }

    [Fact]
    public async Task Allow_ForAnAgent_EachKindCanBeLeftOut()
    {
        var s = await Mixed();
        var browser = await s.BrowserAsync();
        var all = new[] { $"{s.Resource} tool:list_files", $"{s.Resource} tool:delete_file", $"{s.Resource} resources", $"{s.Resource} prompt:weekly review" };
        foreach (var without in all)
        {
            var page = await browser.AskAsync(s.AuthorizeQuery(s.Agent, MixedDetails(s, $"without {without}")));
            Assert.Equal(all.Order(StringComparer.Ordinal), page.Items().Order(StringComparer.Ordinal));

            (await browser.AnswerAsync(page, keep: item => item != without)).Parameters(s.RedirectUri);

            var granted = (await server.EventsAsync("type = 'consent.granted'")).Last(e => e.User == s.User).Data!["authorization_details"]![0]!;
            Assert.Equal(without != all[0], granted["tools"]!["list_files"] is not null);
            Assert.Equal(without != all[1], granted["tools"]!["delete_file"] is not null);
            Assert.Equal(without != all[2], granted["resources"] is not null);
            Assert.Equal(without != all[3], granted["prompts"] is not null);
        }
    }

    [Fact]
    public async Task Allow_ForAnAgent_GrantsTheDeadlineThatWasShown()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery("a task", "read_file"));
        var until = server.Time.GetUtcNow().AddHours(1);
        server.Time.Advance(TimeSpan.FromMinutes(9));

        (await browser.AnswerAsync(page)).Parameters(s.RedirectUri);

        Assert.Equal(until.ToUnixTimeSeconds() * 1000, await server.ScalarAsync($"select task_expires_at from codes c join consents n on n.id = c.consent_id where n.user_id = '{s.User}'"));
    }

    [Fact]
    public async Task Allow_DeadlinePassedMeanwhile_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var end = server.Time.GetUtcNow().AddMinutes(5).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", System.Globalization.CultureInfo.InvariantCulture);
        var page = await browser.AskAsync(s.AuthorizeQuery(s.Agent, s.Details(["read_file"], new JsonObject { ["purpose"] = "a task", ["expires_at"] = end })));
        server.Time.Advance(TimeSpan.FromMinutes(6));

        Assert.Equal("invalid_authorization_details", (await browser.AnswerAsync(page)).Parameters(s.RedirectUri)["error"]);
        Assert.Equal(0, await s.ConsentsAsync());
    }

    [Theory]
    [InlineData("deny", true)]
    [InlineData("deny", false)]
    [InlineData("allow", false)]
    public async Task Deny_OrNothingLeft_TellsTheClient(string decision, bool keep)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var answer = (await browser.AnswerAsync(page, decision, _ => keep)).Parameters(s.RedirectUri);

        Assert.Equal(("access_denied", "state-" + s.Suffix, TestServer.Issuer, null), (answer["error"], answer["state"], answer["iss"], answer["code"]));
        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.ConsentRefused, Names.Errors.AccessDenied);
        Assert.Equal((s.User, s.PublicClient, s.Resource), (e.User, e.Client, e.Resource));
        Assert.Equal(0, await s.ConsentsAsync());
        Assert.Equal("You answered already", (await browser.AnswerAsync(page)).Heading);
    }

    [Fact]
    public async Task Allow_OnlyOfflineLeft_IsDenied()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = "tools:read offline_access" }));

        Assert.Equal("access_denied", (await browser.AnswerAsync(page, keep: item => item == "offline_access")).Parameters(s.RedirectUri)["error"]);
    }

    [Fact]
    [Trait("Attack", "46")]
    public async Task Allow_ItemThatWasNotOnThePage_IsNotGranted()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());

        (await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent, ["tools:read", "tool:delete_file", "offline_access"])).Parameters(s.RedirectUri);

        Assert.Equal("tools:read", (string?)Assert.Single(await server.EventsAsync("type = 'consent.granted'"), e => e.User == s.User).Data!["scope"]);
    }

    [Fact]
    public async Task Answer_Twice_CountsOnce()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        (await browser.AnswerAsync(page)).Parameters(s.RedirectUri);
        var mark = await server.NowAsync();

        foreach (var decision in new[] { "allow", "deny" })
        {
            var again = await browser.AnswerAsync(page, decision);
            Assert.Equal((HttpStatusCode.BadRequest, "You answered already"), (again.Status, again.Heading));
        }

        Assert.Equal((1, 1), (await s.ConsentsAsync(), await s.CodesAsync()));
        Assert.Equal([AuditTypes.ReplayDetected, AuditTypes.ReplayDetected], (await server.SinceAsync(mark)).Select(e => e.Type));
    }

    [Fact]
    public async Task Answer_TwiceAtOnce_CountsOnce()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => browser.AnswerAsync(page))));

        Assert.Single(answers, a => a.Status == HttpStatusCode.SeeOther);
        Assert.Equal((1, 1), (await s.ConsentsAsync(), await s.CodesAsync()));
    }

    [Theory]
    [Trait("Attack", "46")]
    [InlineData(PageForm.TokenField, null)]
    [InlineData(PageForm.TokenField, "x")]
    public async Task Answer_WithoutOurFormsToken_IsRefused(string field, string? value)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());

        await RefusedAsync(s, () => browser.PostFormAsync(page, new() { ["decision"] = "allow", [field] = value }, Names.Paths.Consent), HttpStatusCode.Forbidden, "form");
    }

    [Fact]
    [Trait("Attack", "46")]
    public async Task Answer_TokenOfAnotherBrowser_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var (browser, attacker) = (await s.BrowserAsync(), await (await server.ScenarioAsync()).BrowserAsync());
        var page = await browser.AskAsync(s.AuthorizeQuery());
        var foreign = (await attacker.AskAsync(s.AuthorizeQuery())).Form(Names.Paths.Consent)[PageForm.TokenField];

        await RefusedAsync(s, () => browser.PostFormAsync(page, new() { ["decision"] = "allow", [PageForm.TokenField] = foreign }, Names.Paths.Consent), HttpStatusCode.Forbidden, "form");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("x")]
    [InlineData("")]
    public async Task Answer_WithoutItsTicket_IsRefused(string? ticket)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());

        await RefusedAsync(s, () => browser.PostFormAsync(page, new() { ["decision"] = "allow", ["ticket"] = ticket }, Names.Paths.Consent), HttpStatusCode.BadRequest, "ticket");
    }

    [Fact]
    public async Task Answer_SealedInteractionAsTicket_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        var address = server.Address(s.AuthorizeQuery());

        await RefusedAsync(s, () => browser.PostFormAsync(
            page, new() { ["decision"] = "allow", ["ticket"] = Uri.UnescapeDataString(address[(address.IndexOf('=', StringComparison.Ordinal) + 1)..]) }, Names.Paths.Consent), HttpStatusCode.BadRequest, "ticket");
    }

    [Fact]
    public async Task Answer_PageOpenForMoreThanTenMinutes_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        server.Time.Advance(TimeSpan.FromMinutes(10) + TimeSpan.FromSeconds(1));

        await RefusedAsync(s, () => browser.AnswerAsync(page), HttpStatusCode.BadRequest, "ticket");
    }

    [Fact]
    [Trait("Attack", "48")]
    public async Task Answer_AnotherPersonSignedInMeanwhile_IsRefused()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        await browser.SignInAsync(other.Person);

        await RefusedAsync(s, () => browser.AnswerAsync(page), HttpStatusCode.Forbidden, "form");
        // Also with a form of their own that carries the other's ticket.
        var own = await browser.AskAsync(s.AuthorizeQuery());
        var ticket = page.Form(Names.Paths.Consent)["ticket"];
        await RefusedAsync(s, () => browser.PostFormAsync(own, new() { ["decision"] = "allow", ["ticket"] = ticket }, Names.Paths.Consent), HttpStatusCode.Forbidden, "session");
        Assert.Equal(0, await other.ConsentsAsync());
    }

    [Fact]
    [Trait("Attack", "48")]
    public async Task Answer_SamePersonSignedInAnew_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        await browser.SignInAsync(s.Person);

        await RefusedAsync(s, () => browser.AnswerAsync(page), HttpStatusCode.Forbidden, "session");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("maybe")]
    [InlineData("ALLOW")]
    public async Task Answer_WithoutADecision_IsRefused(string? decision)
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());

        await RefusedAsync(s, () => browser.PostFormAsync(page, new() { ["decision"] = decision }, Names.Paths.Consent), HttpStatusCode.BadRequest, "decision");
    }

    [Fact]
    public async Task Answer_WhatWasShownChanged_AsksAgain()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        // A further tool that only reads is within the words that were on the page, but was not on the page.
        var file = s.File.DeepClone();
        file["tool_servers"]![0]!["tools"]!.AsArray().Add(new JsonObject { ["name"] = "read_secrets", ["sensitivity"] = "read" });
        await server.ApplyAsync(file.ToJsonString());

        var again = await browser.AnswerAsync(page);

        Assert.Equal(HttpStatusCode.OK, again.Status);
        Assert.Contains("changed while the page was open", again.Words(), StringComparison.Ordinal);
        Assert.Contains("read_secrets", again.Words(), StringComparison.Ordinal);
        Assert.Equal((0, 0), (await s.ConsentsAsync(), await s.CodesAsync()));
        (await browser.AnswerAsync(again)).Parameters(s.RedirectUri);
        Assert.Equal((1, 1), (await s.ConsentsAsync(), await s.CodesAsync()));
    }

    [Fact]
    public async Task Answer_ToolBecameDestructive_AsksAgain()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery("a task", "read_file"));
        var file = s.File.DeepClone();
        file["tool_servers"]![0]!["tools"]![1]!["sensitivity"] = "destructive";
        await server.ApplyAsync(file.ToJsonString());

        var again = await browser.AnswerAsync(page);

        Assert.Contains("read_file – can destroy data", again.Words(), StringComparison.Ordinal);
        Assert.Equal(0, await s.CodesAsync());
    }

    [Fact]
    public async Task Answer_ClientRetiredMeanwhile_StaysHere()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        var file = s.File.DeepClone();
        file["clients"]!.AsArray().Single(c => (string?)c!["id"] == s.PublicClient)!["state"] = "retired";
        await server.ApplyAsync(file.ToJsonString());

        var answer = await browser.AnswerAsync(page);

        Assert.Equal((HttpStatusCode.BadRequest, null), (answer.Status, answer.Location));
        Assert.Equal(0, await s.ConsentsAsync());
    }

    [Fact]
    public async Task Answer_UnrelatedChangeOfTheRegistry_StillCounts()
    {
        var s = await server.ScenarioAsync();
        var browser = await s.BrowserAsync();
        var page = await browser.AskAsync(s.AuthorizeQuery());
        await server.ScenarioAsync();

        (await browser.AnswerAsync(page)).Parameters(s.RedirectUri);
    }

    private async Task RefusedAsync(Scenario s, Func<Task<TestPage>> act, HttpStatusCode status, string reason)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        var page = await act();
        Assert.True(page.Status == status, $"{(int)page.Status} {page.Location} {page.Text}");
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.ConsentRefused, reason);
        Assert.Equal((0, 0), (await s.ConsentsAsync(), await s.CodesAsync()));
    }

    private async Task<Scenario> Mixed()
    {
        var s = await server.ScenarioAsync();
        var ceiling = MixedDetails(s, "");
        ceiling[0]!.AsObject().Remove("task");
        s.File["agents"]![0]!["ceiling"] = ceiling;
        await server.ApplyAsync(s.File.ToJsonString());
        return s;
    }

    private static JsonArray MixedDetails(Scenario s, string purpose) =>
    [
        JsonNode.Parse("""
            {"type":"mcp_tool_call","locations":["RESOURCE"],"actions":["tools/call","resources/read","prompts/get"],"task":{"purpose":"PURPOSE"},
             "tools":{"list_files":{},"delete_file":{}},"resources":[{"constraint_type":"prefix","value":"file:///reports/"}],"prompts":["weekly review"]}
            """.Replace("RESOURCE", s.Resource, StringComparison.Ordinal).Replace("PURPOSE", purpose, StringComparison.Ordinal)),
    ];
}
