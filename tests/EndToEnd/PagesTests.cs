using System.Collections.Specialized;
using System.Text.Json.Nodes;
using System.Web;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Playwright;

namespace McpAuth.EndToEnd;

/// <summary>The pages people see, in a browser: for everybody, in light and dark and on a phone, without scripts, and not inside of another page.</summary>
[Collection(People.Name)]
public sealed class PagesTests(People people)
{
    private readonly string issuer = people.Deployment?.Issuer ?? "";

    [InteropFact]
    public async Task SetupPage_IsClean()
    {
        await using Visitor visitor = await people.NewVisitorAsync();
        Assert.Equal(200, await visitor.GoAsync(await people.Deployment.SetupLinkAsync(People.Ann)));
        await visitor.AssertPageIsCleanAsync("setup");
    }

    [InteropFact]
    public async Task SignInPage_IsClean_AlsoAfterAWrongPassword()
    {
        using var callback = new LoopbackCallback();
        await using Visitor visitor = await people.NewVisitorAsync();
        Assert.Equal(200, await visitor.GoAsync(ByScope(callback, "tools:read")));
        Assert.True(await visitor.IsAskedToSignInAsync());
        await visitor.AssertPageIsCleanAsync("sign-in");
        await visitor.SignInAsync(People.Email, "not the password at all");
        await visitor.Page.GetByRole(AriaRole.Alert).WaitForAsync();
        await visitor.AssertPageIsCleanAsync("sign-in-refused");
        await visitor.SignInAsync(People.Email, People.Password);
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Allow", Exact = true }).WaitForAsync();
    }

    [InteropFact]
    public async Task ConsentByScope_IsClean_NamesWhatItIsAbout_AndDenyTellsTheProgram()
    {
        using var callback = new LoopbackCallback();
        await using Visitor ann = await AnnAsync(ByScope(callback, "tools:read tool:delete_file tool:write_file"));
        string text = await ann.Page.InnerTextAsync("main");
        Assert.All(["Report reader", "127.0.0.1", "delete_file", "write_file"], said => Assert.Contains(said, text, StringComparison.Ordinal));
        await ann.AssertPageIsCleanAsync("consent-scope");

        Task<NameValueCollection> coming = callback.NextAsync(default);
        await ann.PressAsync("Deny");
        NameValueCollection answer = await coming;
        Assert.Equal(("access_denied", issuer, "s-1"), (answer["error"], answer["iss"], answer["state"]));
        Assert.Null(answer["code"]);
        Assert.Empty(ann.Complaints);
    }

    [InteropFact]
    public async Task ConsentToAnAgent_IsClean_AndSaysWhoWhatForAndHowFar()
    {
        using var callback = new LoopbackCallback();
        await using Visitor ann = await AnnAsync(Delegation(callback));
        string text = await ann.Page.InnerTextAsync("main");
        Assert.All(["agt_first", "Tidy the reports of last year", "delete_file", "reports"], said => Assert.Contains(said, text, StringComparison.Ordinal));
        await ann.AssertPageIsCleanAsync("consent-agent");
        Task<NameValueCollection> coming = callback.NextAsync(default);
        await ann.PressAsync("Allow");
        Assert.NotNull((await coming)["code"]);
        Assert.Empty(ann.Complaints);
    }

    [InteropFact]
    public async Task AccountPage_IsClean_AndShowsWhatWasAllowed()
    {
        using var callback = new LoopbackCallback();
        await using Visitor ann = await AnnAsync(ByScope(callback, "tools:read"));
        Task<NameValueCollection> coming = callback.NextAsync(default);
        await ann.PressAsync("Allow");
        Assert.NotNull((await coming)["code"]);
        Assert.Equal(200, await ann.GoAsync(issuer + Names.Paths.Account));
        Assert.Contains("Report reader", await ann.Page.InnerTextAsync("main"), StringComparison.Ordinal);
        await ann.AssertPageIsCleanAsync("account");
    }

    [InteropFact]
    public async Task QuestionOfAnAgent_IsCleanOnBothPages_AndIsAnsweredOnItsOwn()
    {
        await using AgentSession agent = await people.Deployment.AttestAsync(people.Deployment.First);
        (int status, JsonNode asked) = await ProvedAsync(agent, Names.Paths.BackchannelAuthentication,
            new(Names.Ciba.LoginHint, People.Email), new(Names.Ciba.BindingMessage, "Ticket 4711"), new(Names.Resources.AuthorizationDetails, Details()));
        Assert.True(status == 200, asked.ToJsonString());

        await using Visitor ann = await people.NewVisitorAsync();
        await ann.GoAsync(issuer + Names.Paths.Account);
        await ann.SignInAsync(People.Email, People.Password);
        await ann.Page.GetByRole(AriaRole.Heading, new() { Name = "Waiting for your answer" }).WaitForAsync();
        await ann.AssertPageIsCleanAsync("account-waiting");
        await ann.Page.GetByRole(AriaRole.Link, new() { Name = "Look at it and answer" }).ClickAsync();
        string text = await ann.Page.InnerTextAsync("main");
        Assert.All(["agt_first", "Ticket 4711", "Tidy the reports of last year", "delete_file", "reports", "by itself"], said => Assert.Contains(said, text, StringComparison.Ordinal));
        await ann.AssertPageIsCleanAsync("consent-waiting");
        await ann.PressAsync("Allow");
        await ann.Page.GetByRole(AriaRole.Status).WaitForAsync();

        (status, JsonNode handed) = await ProvedAsync(
            agent, Names.Paths.Token, new("grant_type", Names.Ciba.GrantType), new(Names.Ciba.RequestId, asked[Names.Ciba.RequestId]!.GetValue<string>()));
        Assert.True(status == 200, handed.ToJsonString());
    }

    [InteropTheory]
    [InlineData("unknown-program", "client_id=nobody&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&response_type=code")]
    [InlineData("wrong-address", "client_id=" + People.PageClient + "&redirect_uri=https%3A%2F%2Fevil.example%2F&response_type=code")]
    public async Task RequestThatCannotBeAnswered_IsACleanErrorPage_AndGoesNowhere(string name, string query)
    {
        await using Visitor visitor = await people.NewVisitorAsync();
        Assert.Equal(400, await visitor.GoAsync($"{issuer}{Names.Paths.Authorize}?{query}"));
        Assert.StartsWith(issuer, visitor.Page.Url, StringComparison.Ordinal);
        await visitor.AssertPageIsCleanAsync("error-" + name);
    }

    [ChromiumFact]
    public async Task SignInAndConsent_WorkWithoutScripts()
    {
        using var callback = new LoopbackCallback();
        await using Visitor ann = await people.NewVisitorAsync(javaScript: false);
        Task<NameValueCollection> coming = callback.NextAsync(default);
        await People.AllowAsync(ann, ByScope(callback, "tools:read"));
        NameValueCollection answer = await coming;
        Assert.Equal((null, issuer, "s-1"), (answer["error"], answer["iss"], answer["state"]));
        Assert.NotNull(answer["code"]);
    }

    [ChromiumFact]
    [Trait("Attack", "45")]
    public async Task Consent_InAFrameOfAnotherPage_IsNotShown()
    {
        using var callback = new LoopbackCallback();
        string address = ByScope(callback, "tools:read tool:delete_file");
        await using WebApplication attacker = await Site.StartAsync($"<!doctype html><title>Win a prize</title><iframe width=800 height=600 src=\"{HttpUtility.HtmlAttributeEncode(address)}\"></iframe>");
        // Signed in, and the page shows by itself: only the frame makes the difference.
        await using Visitor ann = await AnnAsync(address);
        await ann.GoAsync(attacker.Urls.First());
        IFrame frame = ann.Page.Frames[1];
        await Assertions.Expect(ann.Page.Locator("iframe")).ToHaveCountAsync(1);
        Assert.Equal(0, await frame.GetByRole(AriaRole.Button).CountAsync());
        Assert.DoesNotContain("Report reader", await frame.ContentAsync(), StringComparison.Ordinal);
        Assert.Contains(ann.Complaints, c => c.Contains("frame", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Ann, signed in, before the consent page of the request.</summary>
    private async Task<Visitor> AnnAsync(string address)
    {
        Visitor ann = await people.NewVisitorAsync();
        await ann.GoAsync(address);
        await ann.SignInAsync(People.Email, People.Password);
        await ann.Page.GetByRole(AriaRole.Button, new() { Name = "Allow", Exact = true }).WaitForAsync();
        return ann;
    }

    /// <summary>The agent's client posts a form, with a proof of its instance's key and the nonce that the server wants in it.</summary>
    private async Task<(int Status, JsonNode Body)> ProvedAsync(AgentSession agent, string path, params KeyValuePair<string, string>[] fields)
    {
        using var http = new HttpClient(people.Deployment.HandlerTo(0));
        KeyValuePair<string, string>[] all = [.. people.Deployment.First.Assertion(issuer), .. fields];
        string? nonce = null;
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, issuer + path) { Content = new FormUrlEncodedContent(all) };
            request.Headers.Add(Names.Dpop.Header, DpopProof.Create(agent.Key, "POST", new Uri(issuer + path), null, TimeProvider.System.GetUtcNow(), nonce));
            using HttpResponseMessage response = await http.SendAsync(request);
            JsonNode body = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
            if (nonce is not null || (string?)body["error"] != Names.Dpop.UseNonce) return ((int)response.StatusCode, body);
            nonce = response.Headers.GetValues(Names.Dpop.Nonce).Single();
        }
    }

    private string ByScope(LoopbackCallback callback, string scope) => Authorize(callback, People.PageClient, ("scope", scope), ("resource", people.Files.Resource));

    private string Delegation(LoopbackCallback callback) => Authorize(callback, people.Deployment.First.ClientId, (Names.Resources.AuthorizationDetails, Details()));

    private string Details() => JsonNode.Parse(people.Deployment.Authority(
        """{"read_file":{},"delete_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}},"max_calls":3}}""",
        task: """{"purpose":"Tidy the reports of last year"}""").GetRawText())!.ToJsonString();

    private string Authorize(LoopbackCallback callback, string client, params (string Name, string Value)[] more)
    {
        var query = HttpUtility.ParseQueryString("");
        foreach (var (name, value) in new[]
        {
            ("client_id", client), ("redirect_uri", callback.RedirectUri.AbsoluteUri), ("response_type", "code"), ("state", "s-1"),
            ("code_challenge", Base64Url.Sha256("the verifier of this test, which no token request will ever show")), ("code_challenge_method", "S256"),
        }.Concat(more))
            query[name] = value;
        return $"{issuer}{Names.Paths.Authorize}?{query}";
    }
}
