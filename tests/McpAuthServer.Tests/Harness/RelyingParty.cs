using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Tests.Harness;

/// <summary>A web site that people sign in to by way of the server: a client with a secret, registered for no tool server.</summary>
public sealed class RelyingParty
{
    private readonly Scenario s;

    private RelyingParty(Scenario s, string name) => (this.s, Id) = (s, $"{name}-{s.Suffix}");

    /// <summary>How it reaches the token endpoint; null = as anybody does.</summary>
    public HttpClient? Http { get; set; }

    public string Id { get; }
    public string Secret => $"secret-of-{Id}-0123456789abcdefghijklmnop";
    public string RedirectUri => $"https://{Id}.test/cb";
    public string PostLogoutUri => $"https://{Id}.test/bye";
    public string Nonce => $"nonce of {Id}";

    private TestServer Server => s.Server;

    internal static async Task<RelyingParty> OfAsync(Scenario s, string name = "site", Action<JsonObject>? change = null)
    {
        var site = new RelyingParty(s, name);
        var entry = new JsonObject
        {
            ["id"] = site.Id, ["name"] = "Web site", ["auth_method"] = "client_secret_basic", ["secret"] = site.Secret,
            ["grant_types"] = new JsonArray("authorization_code", "refresh_token"), ["redirect_uris"] = new JsonArray(site.RedirectUri),
            ["post_logout_redirect_uris"] = new JsonArray(site.PostLogoutUri),
        };
        change?.Invoke(entry);
        await s.Server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(entry) }.ToJsonString());
        return site;
    }

    /// <summary>The query of a request for everything about the person; <paramref name="change"/> replaces, adds or (null) removes parameters.</summary>
    public string Query(Dictionary<string, string?>? change = null)
    {
        var all = new Dictionary<string, string?>
        {
            ["client_id"] = Id, ["redirect_uri"] = RedirectUri, ["resource"] = null, ["scope"] = "openid profile email", ["nonce"] = Nonce,
        };
        foreach (var (name, value) in change ?? [])
            all[name] = value;
        return s.AuthorizeQuery(all);
    }

    public string Query(string scope) => Query(new Dictionary<string, string?> { ["scope"] = scope });

    public async Task<HttpResponseMessage> RedeemRawAsync(string code, Dictionary<string, string>? change = null, string? proof = null)
    {
        var form = new Dictionary<string, string> { ["grant_type"] = "authorization_code", ["code"] = code, ["code_verifier"] = s.Verifier, ["redirect_uri"] = RedirectUri };
        foreach (var (name, value) in change ?? [])
            form[name] = value;
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Authorization = Basic;
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        return await (Http ?? Server.Client()).SendAsync(request);
    }

    public AuthenticationHeaderValue Basic => new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Id}:{Secret}")));

    public async Task<TokenResponse> RedeemAsync(string code, string? proof = null) =>
        await (await RedeemRawAsync(code, null, proof)).ReadAsync(ProtocolJson.Default.TokenResponse);

    /// <summary>From the request to what the site gets, all of it allowed.</summary>
    public async Task<TokenResponse> SignInAsync(string? query = null) => await RedeemAsync(await new PersonFlow(s).CodeAsync(query ?? Query()));

    /// <summary>The same in a browser, which has signed in and has been asked then.</summary>
    public async Task<TokenResponse> SignInAsync(TestBrowser browser, string? query = null)
    {
        var answer = await browser.GetAsync("/authorize?" + (query ?? Query()));
        if (answer.Location?.StartsWith(Names.Paths.Consent, StringComparison.Ordinal) == true)
            answer = await browser.PostFormAsync(await browser.FollowAsync(answer), new() { ["decision"] = "allow" }, Names.Paths.Consent);
        Assert.True(answer.Location?.StartsWith(RedirectUri + "?code=", StringComparison.Ordinal), $"{answer.Status} {answer.Location} {answer.Text}");
        return await RedeemAsync(System.Web.HttpUtility.ParseQueryString(new Uri(answer.Location!).Query)["code"]!);
    }

    /// <summary>Asks <c>/userinfo</c> with a token.</summary>
    public async Task<HttpResponseMessage> AskRawAsync(string token, string scheme = "Bearer", HttpMethod? method = null, string? proof = null, HttpClient? client = null)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, Names.Paths.UserInfo);
        request.Headers.Authorization = new AuthenticationHeaderValue(scheme, token);
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        return await (client ?? Server.Client()).SendAsync(request);
    }

    public async Task<UserInfoResponse> AskAsync(string token, HttpClient? client = null) => await (await AskRawAsync(token, client: client)).ReadAsync(ProtocolJson.Default.UserInfoResponse);

    /// <summary>An ID token whose key the server has given up, or never had.</summary>
    public static string Outlived(string idToken)
    {
        using var gone = SigningKey.Create();
        return gone.Sign("JWT", json =>
        {
            foreach (var claim in Answers.Claims(idToken).EnumerateObject())
                claim.WriteTo(json);
        });
    }

    /// <summary>What a site's library does with a JWT of the server: type, signature by the published keys; its payload.</summary>
    public static async Task<JsonElement> VerifyAsync(TestServer server, string jwt, string type)
    {
        var set = StrictJson.Parse(await server.Client().GetByteArrayAsync(Names.Paths.Jwks), new JsonLimits(65536)).Value;
        Assert.True(StrictJwt.Read(jwt, new JwtRules("test", [type], TypeRequired: true, ["ES256", "RS256"])).TryGet(out var read, out var fault), fault?.ToString());
        var key = Assert.Single(VerificationKey.FromJwks(set).Value, k => k.KeyId == read.KeyId);
        Assert.True(key.Verify(read));
        return read.Payload;
    }
}
