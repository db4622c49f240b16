using System.Net.Http.Headers;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Harness;

/// <summary>
/// What happens between a person and the server before the token endpoint, without its pages: a sign-in, an answer to a request. Tests of the
/// pages themselves use a browser.
/// </summary>
public sealed class PersonFlow(Scenario scenario, TestServer? node = null)
{
    private readonly TestServer server = node ?? scenario.Server;

    /// <summary>How the clients reach the token endpoint; null = as anybody does.</summary>
    public HttpClient? Http { get; set; }

    /// <summary>The sign-in that codes come from; a new one after <see cref="SignInAgainAsync"/>.</summary>
    internal SignInSession? Session { get; private set; }

    internal async Task<SignInSession> SignInAgainAsync()
    {
        var now = server.Time.GetUtcNow();
        var session = new SignInSession(Id.New(Id.Session, now), scenario.User, now, SignInSession.Password, now + SignInSession.Life);
        await server.Services.GetRequiredService<ICommitLog>().Commit(new OpenSession(session));
        return Session = session;
    }

    /// <summary>A code for the request, with all of it allowed but what <paramref name="without"/> names (keys of items).</summary>
    public async Task<string> CodeAsync(string query, params string[] without)
    {
        var (result, location) = await AnswerAsync(query, without);
        Assert.True(location is not null, $"{result.Outcome} {result.Reason}");
        return System.Web.HttpUtility.ParseQueryString(new Uri(location).Query)["code"]!;
    }

    /// <summary>How the person's answer ended.</summary>
    internal async Task<(IssueResult Result, string? Location)> AnswerAsync(string query, params string[] without)
    {
        var session = Session ?? await SignInAgainAsync();
        var registry = await server.Services.GetRequiredService<RegistryCache>().Current(default);
        var request = Assert.IsType<ReadRequest.Valid>(await server.Services.GetRequiredService<AuthorizationRequests>().ReadAsync(query, registry, server.Time.GetUtcNow(), default)).Request;
        var before = await server.Services.GetRequiredService<ConsentStore>().FindFor(scenario.User, request, default);
        var items = Approval.Items(request.Asked, before, registry).Where(item => !without.Contains(item.Key));
        var decision = Once.Decision(Id.New("page_", server.Time.GetUtcNow()), server.Time.GetUtcNow().AddMinutes(10));
        var (result, answer) = await server.Services.GetRequiredService<CodeIssuer>().IssueAsync(request, session, Approval.Of(request.Asked, items)!, decision, registry.Version);
        return (result, answer?.Location);
    }

    /// <summary>The public client's redemption; <paramref name="change"/> replaces, adds or (null) removes parameters.</summary>
    public Task<HttpResponseMessage> RedeemRawAsync(string code, Dictionary<string, string?>? change = null, string? proof = null) => TokenAsync(new()
    {
        ["grant_type"] = "authorization_code", ["code"] = code, ["code_verifier"] = scenario.Verifier, ["client_id"] = scenario.PublicClient, ["redirect_uri"] = scenario.RedirectUri,
    }, change, proof);

    public async Task<TokenResponse> RedeemAsync(string code, Dictionary<string, string?>? change = null) =>
        await (await RedeemRawAsync(code, change)).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>A token by scope of the public client, from the request to the token.</summary>
    public async Task<TokenResponse> TokenAsync(string scope = Names.Scopes.ToolsRead) =>
        await RedeemAsync(await CodeAsync(scenario.AuthorizeQuery(new Dictionary<string, string?> { ["scope"] = scope })));

    public Task<HttpResponseMessage> RefreshRawAsync(string refreshToken, Dictionary<string, string?>? change = null, string? proof = null) => TokenAsync(new()
    {
        ["grant_type"] = "refresh_token", ["refresh_token"] = refreshToken, ["client_id"] = scenario.PublicClient,
    }, change, proof);

    public async Task<TokenResponse> RefreshAsync(string refreshToken, Dictionary<string, string?>? change = null) =>
        await (await RefreshRawAsync(refreshToken, change)).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>What a person hands to the first agent for a new task, redeemed by the agent's client.</summary>
    public async Task<TokenResponse> DelegateAsync(string purpose, params string[] tools) => await DelegateAsync(scenario.AuthorizeQuery(purpose, tools));

    public async Task<TokenResponse> DelegateAsync(string query) => await (await DelegateRawAsync(await CodeAsync(query))).ReadAsync(ProtocolJson.Default.TokenResponse);

    public Task<HttpResponseMessage> DelegateRawAsync(string code, TestAgent? agent = null)
    {
        agent ??= scenario.Agent;
        var form = agent.AssertionForm();
        (form["grant_type"], form["code"], form["code_verifier"]) = ("authorization_code", code, scenario.Verifier);
        return agent.PostFormAsync(Names.Paths.Token, form, proof: null, Http ?? server.Client());
    }

    private async Task<HttpResponseMessage> TokenAsync(Dictionary<string, string?> form, Dictionary<string, string?>? change, string? proof)
    {
        foreach (var (name, value) in change ?? [])
            form[name] = value;
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token)
        {
            Content = new FormUrlEncodedContent(form.Where(p => p.Value is not null).Select(p => KeyValuePair.Create(p.Key, p.Value!))),
        };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        return await (Http ?? server.Client()).SendAsync(request);
    }

    private sealed class OpenSession(SignInSession session) : Unit<bool>
    {
        public override bool Apply(WriteTx tx) => SessionBeginning.Begin(tx, session);
    }
}
