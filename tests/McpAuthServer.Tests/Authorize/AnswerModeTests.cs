using System.Net;
using System.Web;
using McpAuth.Protocol;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Authorize;

/// <summary>The ways a request may come and its answer may go, and the ways of signing in that it may ask for.</summary>
public class AnswerModeTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "OAuthFormPost-2")]
    public async Task FormPost_SendsTheCodeInAFormThatGoesOnByItself()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var page = await browser.AllowAsync(FormPost(s));

        Assert.Equal((HttpStatusCode.OK, null), (page.Status, page.Location));
        var form = Assert.Single(page.Forms);
        Assert.Equal((s.RedirectUri, "state-" + s.Suffix, TestServer.Issuer), (form.Action, form["state"], form["iss"]));
        Assert.Equal(["code", "state", "iss"], form.Fields.Select(f => f.Key));
        Assert.Equal("no-store", page.Header("Cache-Control"));
        Assert.Equal(HttpStatusCode.OK, (await new PersonFlow(s).RedeemRawAsync(form["code"]!)).StatusCode);
    }

    [Fact]
    [Trait("Spec", "OAuthFormPost-2")]
    public async Task FormPost_SendsARefusalTheSameWay()
    {
        var s = await server.ScenarioAsync();

        var page = await new TestBrowser(server).GetAsync("/authorize?" + FormPost(s, new() { ["prompt"] = "none", ["state"] = "\"><script>alert(1)</script>" }));

        var form = Assert.Single(page.Forms);
        Assert.Equal((Names.Errors.LoginRequired, "\"><script>alert(1)</script>", TestServer.Issuer), (form["error"], form["state"], form["iss"]));
        Assert.DoesNotContain("<script>", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FormPost_RunsNoScriptButOurs()
    {
        var s = await server.ScenarioAsync();

        var page = await new TestBrowser(server).GetAsync("/authorize?" + FormPost(s, new() { ["prompt"] = "none" }));
        var source = System.Text.RegularExpressions.Regex.Match(page.Html, "<script src=\"([^\"]+)\" defer>").Groups[1].Value;
        var script = await server.Client().GetAsync(source);

        Assert.Contains("script-src 'self';", page.Header("Content-Security-Policy"), StringComparison.Ordinal);
        Assert.Equal("text/javascript", script.Content.Headers.ContentType?.MediaType);
        // No other page may run any.
        var signIn = await new TestBrowser(server).GetAsync(Names.Paths.SignIn);
        Assert.DoesNotContain("script-src", signIn.Header("Content-Security-Policy"), StringComparison.Ordinal);
        Assert.DoesNotContain("<script", signIn.Html, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "OIDC-3.1.2.1")]
    public async Task Request_InAForm_IsTakenLikeOneInTheAddress()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var query = HttpUtility.ParseQueryString(s.AuthorizeQuery());

        var answer = await browser.PostAsync("/authorize", query.AllKeys.Select(k => KeyValuePair.Create(k!, query[k]!)));

        Assert.Equal(HttpStatusCode.SeeOther, answer.Status);
        Assert.StartsWith("/account/sign-in?continue=", (await browser.FollowAsync(answer)).Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("client_id=a b")]
    [InlineData("client_id=a\r\nSet-Cookie: x=y")]
    [InlineData("client_id=a#fragment")]
    [InlineData("")]
    public async Task Form_ThatIsNoQuery_LeadsNowhere(string body)
    {
        var answer = await server.Client().PostAsync("/authorize", new StringContent(body, System.Text.Encoding.UTF8, "application/x-www-form-urlencoded"));

        Assert.Equal((HttpStatusCode.BadRequest, null), (answer.StatusCode, answer.Headers.Location));
    }

    [Theory]
    [InlineData("phr")]
    [InlineData("phr urn:example:gold")]
    [Trait("Spec", "RFC9470-5")]
    public async Task WayOfSigningIn_ThatIsNotOffered_IsTold(string acr)
    {
        var s = await server.ScenarioAsync();

        var (error, _) = await server.RefusedAuthorizationAsync(s, s.AuthorizeQuery(new Dictionary<string, string?> { ["acr_values"] = acr }));

        Assert.Equal(Names.Errors.UnmetAuthenticationRequirements, error);
    }

    [Fact]
    [Trait("Spec", "RFC9470-5")]
    [Trait("Spec", "RFC9470-6.1")]
    public async Task WayOfSigningIn_AmongThoseOffered_IsToldInTheToken()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);

        var token = await flow.RedeemAsync(await flow.CodeAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["acr_values"] = "phr pwd", ["max_age"] = "60" })));

        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal("pwd", claims.GetProperty("acr").GetString());
        Assert.Equal(server.Time.GetUtcNow().ToUnixTimeSeconds(), claims.GetProperty("auth_time").GetInt64());
    }

    private static string FormPost(Scenario s, Dictionary<string, string?>? change = null) => s.AuthorizeQuery(new Dictionary<string, string?>(change ?? []) { ["response_mode"] = "form_post" });
}
