using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Approvals;

/// <summary>Only a person who may, in a session of their own, says yes; and sees exactly what to.</summary>
public sealed class ApprovalPageTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Page_SaysWhoWantsToCallWhatWithWhat()
    {
        var w = await ApprovalWorld.OfAsync(server);
        var id = await w.AskAsync("""{"path":"/reports/q1.md","size":7}""");
        var page = await (await w.BrowserAsync()).GetAsync(ApprovalWorld.Path(id));
        Assert.Equal((HttpStatusCode.OK, "An agent asks before it acts"), (page.Status, page.Heading));
        var words = page.Words();
        foreach (var part in new[] { $"The AI agent {w.S.Agent.Id}", w.S.Agent.Instance!, "delete_file", "Delete or destroy", $"at Files {w.S.Resource}", "path \"/reports/q1.md\"", "size 7", "Tidy the archive", "(in 10 minutes)", "Signed in as Ann" })
            Assert.Contains(part, words, StringComparison.Ordinal);
        Assert.DoesNotContain("It acts for", words, StringComparison.Ordinal);
        Assert.Equal("DENY", page.Header("X-Frame-Options"));
        Assert.Contains("frame-ancestors 'none'", page.Header("Content-Security-Policy"), StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page.Html, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Arguments_AreShownAsTheyAre_AndNothingOfThemIsMarkup()
    {
        var w = await ApprovalWorld.OfAsync(server);
        var longer = new string('x', 400) + "THE END";
        var arguments = new JsonObject
        {
            ["path"] = "</code><script>alert(1)</script>", ["a<b>"] = "two  spaces\u00a0and\u202egnihton\u200b\nline", ["deep"] = new JsonObject { ["k"] = new JsonArray(1, "two") }, ["long"] = longer,
        };
        var page = await (await w.BrowserAsync()).GetAsync(ApprovalWorld.Path(await w.AskAsync(arguments.ToJsonString())));
        Assert.DoesNotContain("<script", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("a<b>", page.Html, StringComparison.Ordinal);
        var text = WebUtility.HtmlDecode(page.Html);
        Assert.Contains("\"two  spaces\\u00a0and\\u202egnihton\\u200b\\nline\"", text, StringComparison.Ordinal);
        Assert.Contains("{\"k\":[1,\"two\"]}", text, StringComparison.Ordinal);
        Assert.Contains("THE END", text, StringComparison.Ordinal);
        Assert.Contains("<details><summary>", page.Html, StringComparison.Ordinal);
        Assert.All(page.Html, c => Assert.False(c is '\u202e' or '\u200b' or '\u00a0'));
    }

    [Fact]
    public async Task Person_WhoIsNotSignedIn_SignsInAndComesBack()
    {
        var w = await ApprovalWorld.OfAsync(server);
        var id = await w.AskAsync();
        var browser = new TestBrowser(server);
        var away = await browser.GetAsync(ApprovalWorld.Path(id));
        Assert.StartsWith(Names.Paths.SignIn + "?continue=", away.Location, StringComparison.Ordinal);
        var back = await browser.SignInAsync(w.S.Person, away.Location!);
        Assert.Equal(ApprovalWorld.Path(id), back.Location);
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.PostFormAsync(await browser.FollowAsync(back), new() { ["decision"] = "approve" })).Status);
        Assert.Equal("approved", (await w.StateAsync(id)).State);
    }

    /// <summary>Whether there is such an approval is nobody else's business.</summary>
    [Fact]
    public async Task AnotherPerson_SeesAndDecidesNothing()
    {
        var (w, other) = (await ApprovalWorld.OfAsync(server), await ApprovalWorld.OfAsync(server));
        var id = await w.AskAsync();
        var browser = await w.BrowserAsync(other.S.Person);
        var (theirs, none) = (await browser.GetAsync(ApprovalWorld.Path(id)), await browser.GetAsync(ApprovalWorld.Path("apr_" + new string('0', 32))));
        Assert.Equal((HttpStatusCode.NotFound, none.Html), (theirs.Status, theirs.Html));
        var own = await browser.GetAsync(ApprovalWorld.Path(await other.AskAsync()));
        var posted = await browser.PostAsync(ApprovalWorld.Path(id), [KeyValuePair.Create("csrf", own.Form()["csrf"]!), KeyValuePair.Create("decision", "approve")]);
        Assert.Equal(HttpStatusCode.NotFound, posted.Status);
        Assert.Equal(("waiting", true), await w.StateAsync(id));
        Assert.Single(await server.EventsAsync($"type = '{AuditTypes.ApprovalDenied}'"), e => e.User == other.S.User && e.Approval == id && e.Reason == Names.Reasons.ActorUnauthorized);
        Assert.DoesNotContain(id, (await browser.GetAsync(Names.Paths.Account)).Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Agent_WithItsTokens_CannotApprove()
    {
        var w = await ApprovalWorld.OfAsync(server);
        var id = await w.AskAsync();
        foreach (var token in new[] { w.Token.AccessToken, w.S.Agent.InstanceToken, w.Guard.Token, w.Policies.Ops.Token })
            foreach (var scheme in new[] { "DPoP", "Bearer" })
                foreach (var method in new[] { HttpMethod.Get, HttpMethod.Post })
                {
                    using var request = new HttpRequestMessage(method, ApprovalWorld.Path(id));
                    request.Headers.Authorization = new AuthenticationHeaderValue(scheme, token);
                    request.Headers.Add("DPoP", w.S.Agent.Proof(method, ApprovalWorld.Path(id), token));
                    if (method == HttpMethod.Post)
                        request.Content = new FormUrlEncodedContent([KeyValuePair.Create("decision", "approve")]);
                    var answer = await server.Client().SendAsync(request);
                    Assert.True(answer.StatusCode == HttpStatusCode.Forbidden || answer.Headers.Location?.OriginalString.StartsWith(Names.Paths.SignIn, StringComparison.Ordinal) == true, $"{answer.StatusCode}");
                }
        // Nor is there another door.
        var admin = await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/approvals/{id}/approve", new JsonObject { ["reason"] = "yes" });
        Assert.Contains(admin.StatusCode, new[] { HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed });
        Assert.Equal(("waiting", true), await w.StateAsync(id));
    }

    [Fact]
    [Trait("Attack", "46")]
    public async Task Answer_WithoutOurForm_OrInTheAddress_CountsForNothing()
    {
        var (w, other) = (await ApprovalWorld.OfAsync(server), await ApprovalWorld.OfAsync(server));
        var id = await w.AskAsync();
        var browser = await w.BrowserAsync();
        var foreign = (await (await other.BrowserAsync()).GetAsync(ApprovalWorld.Path(await other.AskAsync()))).Form()["csrf"]!;
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostAsync(ApprovalWorld.Path(id), [KeyValuePair.Create("decision", "approve")])).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.PostAsync(ApprovalWorld.Path(id), [KeyValuePair.Create("csrf", foreign), KeyValuePair.Create("decision", "approve")])).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync(ApprovalWorld.Path(id) + "?decision=approve")).Status);
        var page = await browser.GetAsync(ApprovalWorld.Path(id));
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.PostFormAsync(page)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.PostFormAsync(page, new() { ["decision"] = "yes" })).Status);
        Assert.Equal(("waiting", true), await w.StateAsync(id));
    }

    [Fact]
    public async Task Account_ShowsWhatWaits_ToWhoMayAnswer()
    {
        var w = await ApprovalWorld.OfAsync(server);
        var id = await w.AskAsync();
        var browser = await w.BrowserAsync();
        var page = await browser.GetAsync(Names.Paths.Account);
        Assert.Contains($"href=\"{ApprovalWorld.Path(id)}\"", page.Html, StringComparison.Ordinal);
        Assert.Contains("Calls that wait for your approval", page.Words(), StringComparison.Ordinal);
        await ApprovalWorld.AnswerAsync(browser, id);
        Assert.DoesNotContain(id, (await browser.GetAsync(Names.Paths.Account)).Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Policies_ThatNameApproving_SayWhoMay()
    {
        var (w, other) = (await ApprovalWorld.OfAsync(server), await server.ScenarioAsync());
        var group = $"grp_approvers_{w.S.Suffix}";
        await server.ApplyAsync(new JsonObject
        {
            ["groups"] = new JsonArray(new JsonObject { ["id"] = group, ["name"] = "Approvers" }),
            ["users"] = new JsonArray(new JsonObject { ["id"] = other.User, ["name"] = "Bea", ["email"] = other.Person.Email, ["groups"] = new JsonArray(group) }),
        }.ToJsonString());
        await w.Policies.ActivateAsync($$"""
            permit(principal, action, resource) unless { context.session has approval && context.session.approval.by == principal };
            permit(principal in Mcp::Group::"{{group}}", action == Mcp::Action::"approval:give", resource) when {
              context.input.tool == "delete_file" && context.input.sensitivity == "destructive" && context.session has user && context.session.user != principal };
            """);
        w.Hash = (await w.Policies.FetchAsync()).Hash;
        var asked = await w.HoldAsync();
        Assert.False(asked.Own);
        Assert.Equal(HttpStatusCode.NotFound, (await (await w.BrowserAsync()).GetAsync(ApprovalWorld.Path(asked.Id!))).Status);
        var approver = await w.BrowserAsync(other.Person);
        Assert.Contains(asked.Id!, (await approver.GetAsync(Names.Paths.Account)).Html, StringComparison.Ordinal);
        Assert.Contains("It acts for Ann, not for you.", (await approver.GetAsync(ApprovalWorld.Path(asked.Id!))).Words(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.SeeOther, (await ApprovalWorld.AnswerAsync(approver, asked.Id!)).Status);
        var used = await w.HoldAsync();
        Assert.Equal((ApprovalStates.Used, other.User), (used.State, used.By));
    }

    /// <summary>What lets everybody call lets nobody approve another's calls.</summary>
    [Fact]
    public async Task Policies_ThatDoNotNameApproving_LeaveItToTheOwnUser()
    {
        var (w, other) = (await ApprovalWorld.OfAsync(server), await server.ScenarioAsync());
        await w.Policies.ActivateAsync("permit(principal, action, resource);");
        w.Hash = (await w.Policies.FetchAsync()).Hash;
        var asked = await w.HoldAsync();
        Assert.True(asked.Own);
        Assert.Equal(HttpStatusCode.NotFound, (await (await w.BrowserAsync(other.Person)).GetAsync(ApprovalWorld.Path(asked.Id!))).Status);
        await ApprovalWorld.AnswerAsync(await w.BrowserAsync(), asked.Id!);
        Assert.Equal(ApprovalStates.Used, (await w.HoldAsync()).State);
    }

    [Theory]
    [Trait("Attack", "147")]
    [InlineData("policy")]
    [InlineData("tool")]
    public async Task Yes_ToWhatHasChangedSince_IsNone(string what)
    {
        var w = await ApprovalWorld.OfAsync(server);
        await w.Policies.ActivateAsync("permit(principal, action, resource);");
        w.Hash = (await w.Policies.FetchAsync()).Hash;
        var id = await w.AskAsync();
        var browser = await w.BrowserAsync();
        var page = await browser.GetAsync(ApprovalWorld.Path(id));
        if (what == "policy")
            await w.Policies.ActivateAsync("""@id("other") permit(principal, action, resource);""");
        else
            await w.Guard.CallAsync(Names.Paths.GuardManifest, new JsonObject
            {
                ["tools"] = new JsonArray(new JsonObject { ["name"] = ApprovalWorld.Tool, ["definition"] = new JsonObject { ["name"] = ApprovalWorld.Tool, ["inputSchema"] = new JsonObject() } }),
            });
        Assert.Equal(HttpStatusCode.Conflict, (await browser.PostFormAsync(page, new() { ["decision"] = "approve" })).Status);
        Assert.Equal(("ended", false), await w.StateAsync(id));
        var e = Assert.Single(await w.EventsAsync(), e => e.Type == AuditTypes.ApprovalEnded);
        Assert.StartsWith(what, e.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Administrator_SeesWhatWaitsWithoutArguments_AndCanOnlyRefuse()
    {
        var w = await ApprovalWorld.OfAsync(server);
        var id = await w.AskAsync("""{"path":"/very/private"}""");
        var list = await w.Policies.Ops.GetAsync($"/approvals?state=waiting&task={w.Task}");
        var item = Assert.Single(list["items"]!.AsArray())!;
        Assert.Equal((id, "waiting", w.S.User, ApprovalWorld.Tool, w.S.Resource), ((string?)item["id"], (string?)item["state"], (string?)item["user"], (string?)item["tool"], (string?)item["resource"]));
        Assert.DoesNotContain("private", list.ToJsonString(), StringComparison.Ordinal);
        await (await w.Policies.Ops.SendAsync(HttpMethod.Get, "/approvals?state=open")).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        await (await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/approvals/{id}/refuse", new JsonObject())).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);

        var refused = JsonNode.Parse(await (await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/approvals/{id}/refuse", new JsonObject { ["reason"] = "not today" })).Content.ReadAsStringAsync())!;
        Assert.Equal(("refused", w.Policies.Ops.Id), ((string?)refused["state"], (string?)refused["answered_by"]));
        Assert.Equal(Names.Reasons.DeniedLately, (await w.HoldAsync("""{"path":"/very/private"}""")).Reason);
        await (await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/approvals/{id}/refuse", new JsonObject { ["reason"] = "again" })).ProblemAsync(HttpStatusCode.Conflict, "conflict");
        await (await w.Policies.Ops.SendAsync(HttpMethod.Post, "/approvals/apr_none/refuse", new JsonObject { ["reason"] = "again" })).ProblemAsync(HttpStatusCode.NotFound, "not_found");
        var e = Assert.Single(await w.EventsAsync(), e => e.Type == AuditTypes.ApprovalRefused);
        Assert.Equal(("not today", w.Policies.Ops.Id), (e.Reason, (string?)e.Data!["by"]));
    }

    /// <summary>Arguments are seen by who decides, and by nobody afterwards: not in a table, a file, a line of the log, an event.</summary>
    [Fact]
    [Trait("Invariant", "8")]
    public async Task Arguments_LeaveNoTrace()
    {
        const string Marker = "Zebra7Quagga";
        var w = await ApprovalWorld.OfAsync(server);
        var browser = await w.BrowserAsync();
        foreach (var decision in new[] { "approve", "refuse" })
        {
            var id = await w.AskAsync($$"""{"path":"{{Marker}}-{{decision}}"}""");
            Assert.Contains(Marker, (await browser.GetAsync(ApprovalWorld.Path(id))).Html, StringComparison.Ordinal);
            await ApprovalWorld.AnswerAsync(browser, id, decision);
        }
        await w.HoldAsync($$"""{"path":"{{Marker}}-approve"}""");
        await w.AskAsync($$"""{"path":"{{Marker}}-waiting"}""");
        foreach (var table in await server.TextsAsync("select name from sqlite_master where type = 'table'"))
            foreach (var row in await RowsAsync(table))
                Assert.DoesNotContain(Marker, row, StringComparison.Ordinal);
        foreach (var file in Directory.EnumerateFiles(server.DataDirectory, "*", SearchOption.AllDirectories))
            Assert.DoesNotContain(Marker, Read(file), StringComparison.Ordinal);
        Assert.DoesNotContain(server.Logs.Lines, line => line.Contains(Marker, StringComparison.Ordinal));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from approvals where task_id = '{w.Task}' and sealed is not null"));
    }

    private Task<List<string>> RowsAsync(string table) => server.Services.GetRequiredService<IReadStore>().All(new Sql($"select * from {table}").With(), r =>
    {
        var row = new StringBuilder();
        for (var i = 0; i < r.FieldCount; i++)
            row.Append(r.GetValue(i) is byte[] blob ? Encoding.Latin1.GetString(blob) : r.GetValue(i)).Append('\n');
        return row.ToString();
    }, default);

    private static string Read(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return Encoding.Latin1.GetString(bytes);
    }
}
