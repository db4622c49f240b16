using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Ciba;

/// <summary>An agent's and a person's side of asking a person who is elsewhere.</summary>
internal static partial class AskingSteps
{
    public const string Purpose = "Sort the mail";

    /// <summary>The first agent asks Ann to let it read a file; <paramref name="change"/> replaces, adds or (null) removes parameters.</summary>
    /// <param name="proof">Null: none; empty: one by the agent's key.</param>
    public static Task<HttpResponseMessage> AskRawAsync(
        this Scenario s, Dictionary<string, string?>? change = null, string? proof = null, TestAgent? agent = null, HttpClient? client = null)
    {
        agent ??= s.Agent;
        var form = agent.AssertionForm();
        (form["login_hint"], form["authorization_details"]) = (s.Person.Email, s.Details(["read_file"], new JsonObject { ["purpose"] = Purpose }).ToJsonString());
        foreach (var (name, value) in change ?? [])
            if (value is null)
                form.Remove(name);
            else
                form[name] = value;
        return agent.PostFormAsync(Names.Paths.BackchannelAuthentication, form, proof, client);
    }

    public static async Task<string> AskAsync(this Scenario s, Dictionary<string, string?>? change = null, string? proof = null, TestAgent? agent = null) =>
        (await (await s.AskRawAsync(change, proof, agent)).ReadAsync(ProtocolJson.Default.BackchannelResponse)).RequestId;

    public static Task<HttpResponseMessage> PollRawAsync(this Scenario s, string id, string? proof = null, TestAgent? agent = null, HttpClient? client = null)
    {
        agent ??= s.Agent;
        var form = agent.AssertionForm();
        (form["grant_type"], form["auth_req_id"]) = (Names.Ciba.GrantType, id);
        return agent.PostFormAsync(Names.Paths.Token, form, proof, client);
    }

    public static async Task<TokenResponse> PollAsync(this Scenario s, string id, string? proof = null) =>
        await (await s.PollRawAsync(id, proof)).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>The error of a poll that has to wait.</summary>
    public static async Task<string> WaitAsync(this Scenario s, string id)
    {
        var answer = await s.PollRawAsync(id);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        return (await answer.ReadErrorAsync()).Error;
    }

    /// <summary>The addresses of what waits, as the account page has them.</summary>
    public static async Task<IReadOnlyList<string>> WaitingAsync(this TestBrowser browser) =>
        [.. Link().Matches((await browser.GetAsync(Names.Paths.Account)).Html).Select(m => WebUtility.HtmlDecode(m.Groups[1].Value))];

    /// <summary>The page that asks, of the only thing that waits.</summary>
    public static async Task<TestPage> OpenAsync(this TestBrowser browser)
    {
        var page = await browser.GetAsync(Assert.Single(await browser.WaitingAsync()));
        Assert.True(page.Status == HttpStatusCode.OK, $"{(int)page.Status} {page.Location} {page.Text}");
        return page;
    }

    public static async Task<TestPage> AnswerAsync(this Scenario s, string decision, Func<string, bool>? keep = null)
    {
        var browser = await s.BrowserAsync();
        var answer = await browser.AnswerAsync(await browser.OpenAsync(), decision, keep);
        Assert.True(answer.Status == HttpStatusCode.SeeOther, answer.Text);
        return await browser.FollowAsync(answer);
    }

    /// <summary>What an agent of <paramref name="s"/> does with what it was handed.</summary>
    public static async Task<HttpResponseMessage> BeginAsync(this Scenario s, TokenResponse handed) => await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(handed.AccessToken, withActor: true));

    [GeneratedRegex("href=\"(/consent\\?continue=[^\"]+)\"")]
    private static partial Regex Link();
}
