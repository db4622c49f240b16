using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Authorizations;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Device;

/// <summary>The device grant (RFC 8628): from a code on a device to a token there, by a person elsewhere.</summary>
public class DeviceTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC8628-3.2")]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task Device_AfterThePersonAllowed_GetsATokenOfTheirs()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);

        Assert.Equal((600, 5, TestServer.Issuer + "/device"), (device.ExpiresIn, device.Interval, device.VerificationUri));
        Assert.Equal($"{device.VerificationUri}?user_code={device.UserCode}", device.VerificationUriComplete);
        Assert.Matches("^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$", device.UserCode);
        await (await PollAsync(s, device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var done = await browser.FollowAsync(await AnswerAsync(browser, device, "allow"));
        Assert.Equal((HttpStatusCode.OK, "Go back to your device"), (done.Status, done.Heading));

        server.Time.Advance(TimeSpan.FromSeconds(5));
        var token = await (await PollAsync(s, device)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal((s.Resource, s.User, s.PublicClient, "tools:read"), (
            claims.GetProperty("aud").GetString(), claims.GetProperty("sub").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("scope").GetString()));
        Assert.NotNull((await new PersonFlow(s).RefreshAsync(token.RefreshToken!)).RefreshToken);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task Device_AfterThePersonDenied_IsToldSo()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var mark = await server.NowAsync();

        await AnswerAsync(browser, device, "deny");

        await (await PollAsync(s, device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.AccessDenied);
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.ConsentRefused, Names.Errors.AccessDenied, s.User, s.PublicClient), (e.Type, e.Reason, e.User, e.Client));
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task Device_AskingTooOften_MustWaitLongerEachTime()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);

        Assert.Equal([Names.Device.AuthorizationPending, Names.Errors.SlowDown], [await ErrorAsync(s, device), await ErrorAsync(s, device)]);
        server.Time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(Names.Errors.SlowDown, await ErrorAsync(s, device));
        server.Time.Advance(TimeSpan.FromSeconds(14));
        Assert.Equal(Names.Errors.SlowDown, await ErrorAsync(s, device));
        server.Time.Advance(TimeSpan.FromSeconds(21));
        Assert.Equal(Names.Device.AuthorizationPending, await ErrorAsync(s, device));
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task DeviceCode_AfterTenMinutes_IsExpired()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        server.Time.Advance(TimeSpan.FromMinutes(10));

        Assert.Equal(Names.Device.ExpiredToken, await ErrorAsync(s, device));
        Assert.Equal(HttpStatusCode.BadRequest, (await TypeAsync(new TestBrowser(server), device.UserCode)).Status);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task DeviceCode_AllowedAndNotAskedForInTime_IsExpired()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await AnswerAsync(browser, device, "allow");
        server.Time.Advance(TimeSpan.FromMinutes(10));

        await server.RefusedAsync(() => PollAsync(s, device), HttpStatusCode.BadRequest, Names.Device.ExpiredToken, null, AuditTypes.TokenRefused, Names.Device.ExpiredToken);
    }

    [Fact]
    [Trait("Spec", "RFC8628-5.2")]
    public async Task DeviceCode_EachOfThem_HasMoreChanceThanCanBeGuessed()
    {
        var s = await server.ScenarioAsync();
        var codes = new[] { (await BeginAsync(s)).DeviceCode, (await BeginAsync(s)).DeviceCode };

        Assert.NotEqual(codes[0], codes[1]);
        Assert.All(codes, code => Assert.True(Base64Url.TryDecode(code.Replace("dc_", "", StringComparison.Ordinal), out var bytes) && bytes.Length == 32, code));
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.3")]
    public async Task Answer_AfterTheCodeExpired_GrantsNothing()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        server.Time.Advance(TimeSpan.FromMinutes(9));
        var page = await AskedAsync(browser, device);
        server.Time.Advance(TimeSpan.FromMinutes(2));

        var answer = await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal(Names.Device.ExpiredToken, await ErrorAsync(s, device));
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.1.2")]
    public async Task DeviceCode_UsedTwice_RevokesWhatItLedTo()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await AnswerAsync(browser, device, "allow");
        var token = await (await PollAsync(s, device)).ReadAsync(ProtocolJson.Default.TokenResponse);

        await (await PollAsync(s, device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        await (await new PersonFlow(s).RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
    }

    [Fact]
    public async Task DeviceCode_AsAnAuthorizationCode_IsNone()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await AnswerAsync(browser, device, "allow");
        var flow = new PersonFlow(s);

        await (await flow.RedeemRawAsync(device.DeviceCode)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);

        // And the other way round; nothing happened to either.
        var code = await flow.CodeAsync(s.AuthorizeQuery());
        await (await PollAsync(s, device with { DeviceCode = code })).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_code");
        Assert.Equal(HttpStatusCode.OK, (await PollAsync(s, device)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await flow.RedeemRawAsync(code)).StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.4")]
    public async Task DeviceCode_OfAnotherClient_IsUnknownAndStaysGoodForItsOwner()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var device = await BeginAsync(s);

        await (await PollAsync(other, device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_code");

        Assert.Equal(Names.Device.AuthorizationPending, await ErrorAsync(s, device));
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task DeviceCode_BegunWithAProof_IsForThatKeyAlone()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s, proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.DeviceAuthorization));
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await AnswerAsync(browser, device, "allow");

        await (await PollAsync(s, device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing");
        await (await PollAsync(s, device, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: SigningKey.Create()))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key");

        var token = await (await PollAsync(s, device, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal("DPoP", token.TokenType);
    }

    [Fact]
    [Trait("Spec", "RFC9449-11.1")]
    public async Task Proof_OfAPoll_IsGoodOnce()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s, proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.DeviceAuthorization));
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        await (await PollAsync(s, device, proof)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        await server.RefusedAsync(() => PollAsync(s, device, proof), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.3")]
    public async Task Person_NotSignedIn_SignsInBetweenCodeAndQuestion()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);

        var signIn = await browser.FollowAsync(await browser.FollowAsync(await TypeAsync(browser, device.UserCode)));
        var onward = await browser.PostFormAsync(signIn, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password }, Names.Paths.SignIn);
        var page = await browser.FollowAsync(await browser.FollowAsync(onward));

        Assert.Contains(device.UserCode, page.Text, StringComparison.Ordinal);
        Assert.Contains("Continue only if you started this yourself", page.Text, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.3.1")]
    public async Task CompleteAddress_FillsTheCodeInAndDecidesNothing()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var page = await browser.GetAsync(new Uri(device.VerificationUriComplete).PathAndQuery);

        Assert.Equal(device.UserCode, page.Form(Names.Paths.Device)["user_code"]);
        Assert.Equal(Names.Device.AuthorizationPending, await ErrorAsync(s, device));
    }

    [Theory]
    [InlineData("lower")]
    [InlineData("without the dash")]
    [InlineData("with blanks")]
    [Trait("Spec", "RFC8628-6.1")]
    public async Task UserCode_TypedAsPeopleType_IsTaken(string how)
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var typed = how switch { "lower" => device.UserCode.ToLowerInvariant(), "with blanks" => $" {device.UserCode.Replace('-', ' ')} ", _ => device.UserCode.Replace("-", "", StringComparison.Ordinal) };

        Assert.StartsWith("/consent?", (await TypeAsync(new TestBrowser(server), typed)).Location, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("BCDF-GHJK")]
    [InlineData("")]
    [InlineData("aaaa-aaaa")]
    [InlineData("BCDF-GHJK' or '1'='1")]
    [InlineData("<script>alert(1)</script>")]
    [Trait("Spec", "RFC8628-5.1")]
    public async Task UserCode_OfNoDevice_IsRefusedAndRecorded(string typed)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var page = await TypeAsync(new TestBrowser(server), typed);

        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        Assert.DoesNotContain("<script", page.Html, StringComparison.Ordinal);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.DeviceRefused, "unknown_code");
    }

    [Fact]
    public async Task Code_TypedIntoAFormOfAnotherSite_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);

        var page = await browser.PostAsync(Names.Paths.Device, [new("user_code", device.UserCode)]);

        Assert.Equal(HttpStatusCode.Forbidden, page.Status);
    }

    [Fact]
    public async Task Page_ShownToOnePerson_IsNotAnotherPersonsToAnswer()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var device = await BeginAsync(s);
        var (mine, theirs) = (new TestBrowser(server), new TestBrowser(server));
        await mine.SignInAsync(s.Person);
        await theirs.SignInAsync(other.Person);
        var page = await AskedAsync(mine, device);
        var own = await theirs.GetAsync(Names.Paths.Account);

        var fields = page.Form(Names.Paths.Consent).Fields.Where(f => f.Key != "csrf").Append(new("csrf", own.Forms[0]["csrf"]!)).Append(new("decision", "allow"));
        var answer = await theirs.PostAsync(Names.Paths.Consent, fields);

        Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
        Assert.Equal(Names.Device.AuthorizationPending, await ErrorAsync(s, device));
    }

    [Fact]
    [Trait("Spec", "RFC8628-5.4")]
    public async Task Consent_ThroughADevice_IsNeverRemembered()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await AnswerAsync(browser, await BeginAsync(s), "allow");

        var again = await AskedAsync(browser, await BeginAsync(s));

        Assert.Equal(HttpStatusCode.OK, again.Status);
        Assert.NotNull(again.Form(Names.Paths.Consent));
    }

    [Fact]
    public async Task Answer_GivenInTwoWindows_CountsOnce()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var (first, second) = (await AskedAsync(browser, device), await AskedAsync(browser, device));

        await browser.PostFormAsync(first, new() { ["decision"] = "deny" }, Names.Paths.Consent);
        var late = await browser.PostFormAsync(second, new() { ["decision"] = "allow" }, Names.Paths.Consent);

        Assert.Equal(HttpStatusCode.BadRequest, late.Status);
        Assert.Equal(Names.Errors.AccessDenied, await ErrorAsync(s, device));
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.1")]
    public async Task Client_NotRegisteredForTheGrant_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var form = new Dictionary<string, string> { ["client_id"] = s.ServiceClient, ["resource"] = s.Resource };
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.DeviceAuthorization) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));

        await server.RefusedAsync(() => server.Client().SendAsync(request), HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, null, AuditTypes.DeviceRefused, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.1")]
    [Trait("Spec", "RFC8628-3.4")]
    public async Task Client_WithASecret_ProvesItToBeginAndAtEveryPoll()
    {
        var s = await server.ScenarioAsync();
        var (client, secret) = ("television-" + s.Suffix, s.ServiceSecret + "-television");
        await server.ApplyAsync($$"""{"clients":[{"id":"{{client}}","name":"TV","auth_method":"client_secret_post","secret":"{{secret}}","grant_types":["{{Names.Device.GrantType}}"]}]}""");
        Dictionary<string, string> begin = new() { ["client_id"] = client, ["resource"] = s.Resource };

        await OnlyWithItsSecretAsync(Names.Paths.DeviceAuthorization, begin);
        begin["client_secret"] = secret;
        var device = await (await PostAsync(Names.Paths.DeviceAuthorization, begin, proof: null)).ReadAsync(ProtocolJson.Default.DeviceResponse);
        Dictionary<string, string> poll = new() { ["grant_type"] = Names.Device.GrantType, ["device_code"] = device.DeviceCode, ["client_id"] = client };
        await OnlyWithItsSecretAsync(Names.Paths.Token, poll);
        poll["client_secret"] = secret;
        await (await PostAsync(Names.Paths.Token, poll, proof: null)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        async Task OnlyWithItsSecretAsync(string path, Dictionary<string, string> form)
        {
            await server.RefusedAsync(() => PostAsync(path, form, proof: null), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "no_credential");
            await server.RefusedAsync(
                () => PostAsync(path, new(form) { ["client_secret"] = s.ServiceSecret }, proof: null), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "bad_secret");
        }
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.1")]
    public async Task Request_UnknownOrEmptyParameters_AreIgnored()
    {
        var s = await server.ScenarioAsync();

        using var answer = await BeginRawAsync(s, new() { ["unheard_of"] = "1", ["authorization_details"] = "" });

        Assert.True(answer.Headers.CacheControl?.NoStore);
        await answer.ReadAsync(ProtocolJson.Default.DeviceResponse);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.1")]
    public async Task Request_WithAParameterTwice_IsRefused()
    {
        var s = await server.ScenarioAsync();
        KeyValuePair<string, string>[] fields = [new("client_id", s.PublicClient), new("resource", s.Resource), new("scope", "tools:read"), new("scope", "tools:read")];

        await server.RefusedAsync(
            () => server.Client().PostAsync(Names.Paths.DeviceAuthorization, new FormUrlEncodedContent(fields)), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, "duplicate_parameter",
            AuditTypes.DeviceRefused, "duplicate_parameter");
    }

    [Theory]
    [InlineData("resource", "https://unknown.test/mcp", Names.Errors.InvalidTarget)]
    [InlineData("scope", "tool:unknown", Names.Errors.InvalidScope)]
    [InlineData("authorization_details", "[]", Names.Errors.InvalidAuthorizationDetails)]
    [Trait("Spec", "RFC8628-3.2")]
    public async Task Request_ThatCouldNotBeGranted_IsRefusedAtOnce(string name, string value, string error)
    {
        var s = await server.ScenarioAsync();

        await server.RefusedAsync(() => BeginRawAsync(s, new() { [name] = value }), HttpStatusCode.BadRequest, error, null, AuditTypes.DeviceRefused, error);
    }

    [Fact]
    public async Task Client_Suspended_GetsNothingFromAnAnswer()
    {
        var s = await server.ScenarioAsync();
        var device = await BeginAsync(s);
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var page = await AskedAsync(browser, device);
        s.File["clients"]!.AsArray().First(c => (string)c!["id"]! == s.PublicClient)!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());

        var answer = await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);

        Assert.Equal((HttpStatusCode.BadRequest, null), (answer.Status, answer.Location));
        await (await PollAsync(s, device)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
    }

    [Fact]
    public void UserCodes_AreOfLettersThatMakeNoWords()
    {
        var codes = Enumerable.Range(0, 500).Select(_ => UserCode.New()).ToList();
        Assert.All(codes, code => Assert.Equal(code, UserCode.Read(code)));
        Assert.Equal(codes.Count, codes.Distinct().Count());
        Assert.Equal(20, codes.SelectMany(c => c).Where(c => c != '-').Distinct().Count());
    }

    private async Task<DeviceResponse> BeginAsync(Scenario s, Dictionary<string, string>? change = null, string? proof = null) =>
        await (await BeginRawAsync(s, change, proof)).ReadAsync(ProtocolJson.Default.DeviceResponse);

    private Task<HttpResponseMessage> BeginRawAsync(Scenario s, Dictionary<string, string>? change = null, string? proof = null)
    {
        var form = new Dictionary<string, string> { ["client_id"] = s.PublicClient, ["resource"] = s.Resource, ["scope"] = Names.Scopes.ToolsRead };
        foreach (var (name, value) in change ?? [])
            form[name] = value;
        return PostAsync(Names.Paths.DeviceAuthorization, form, proof);
    }

    private Task<HttpResponseMessage> PollAsync(Scenario s, DeviceResponse device, string? proof = null) => PostAsync(
        Names.Paths.Token, new() { ["grant_type"] = Names.Device.GrantType, ["device_code"] = device.DeviceCode, ["client_id"] = s.PublicClient }, proof);

    private async Task<string> ErrorAsync(Scenario s, DeviceResponse device)
    {
        var mark = await server.NowAsync();
        var answer = await PollAsync(s, device);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        // Waiting is no refusal: it is not recorded.
        Assert.Empty(await server.SinceAsync(mark));
        return (await answer.ReadErrorAsync()).Error;
    }

    private async Task<HttpResponseMessage> PostAsync(string path, Dictionary<string, string> form, string? proof)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(form) };
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        return await server.Client().SendAsync(request);
    }

    private static async Task<TestPage> TypeAsync(TestBrowser browser, string code) =>
        await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Device), new() { ["user_code"] = code }, Names.Paths.Device);

    private static async Task<TestPage> AskedAsync(TestBrowser browser, DeviceResponse device) => await browser.FollowAsync(await TypeAsync(browser, device.UserCode));

    private static async Task<TestPage> AnswerAsync(TestBrowser browser, DeviceResponse device, string decision) =>
        await browser.PostFormAsync(await AskedAsync(browser, device), new() { ["decision"] = decision }, Names.Paths.Consent);
}
