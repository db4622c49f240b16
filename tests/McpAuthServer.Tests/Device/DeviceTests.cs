using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
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
        var device = await s.BeginAsync();

        Assert.Equal((600, 5, TestServer.Issuer + "/device"), (device.ExpiresIn, device.Interval, device.VerificationUri));
        Assert.Equal($"{device.VerificationUri}?user_code={device.UserCode}", device.VerificationUriComplete);
        Assert.Matches("^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$", device.UserCode);
        await (await s.PollAsync(device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var done = await browser.FollowAsync(await browser.AnswerAsync(device, "allow"));
        Assert.Equal((HttpStatusCode.OK, "Go back to your device"), (done.Status, done.Heading));

        server.Time.Advance(TimeSpan.FromSeconds(5));
        var token = await (await s.PollAsync(device)).ReadAsync(ProtocolJson.Default.TokenResponse);
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
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var mark = await server.NowAsync();

        await browser.AnswerAsync(device, "deny");

        await (await s.PollAsync(device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.AccessDenied);
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.ConsentRefused, Names.Errors.AccessDenied, s.User, s.PublicClient), (e.Type, e.Reason, e.User, e.Client));
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task Device_AskingTooOften_MustWaitLongerEachTime()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();

        Assert.Equal([Names.Device.AuthorizationPending, Names.Errors.SlowDown], [await s.ErrorAsync(device), await s.ErrorAsync(device)]);
        server.Time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(Names.Errors.SlowDown, await s.ErrorAsync(device));
        server.Time.Advance(TimeSpan.FromSeconds(14));
        Assert.Equal(Names.Errors.SlowDown, await s.ErrorAsync(device));
        server.Time.Advance(TimeSpan.FromSeconds(21));
        Assert.Equal(Names.Device.AuthorizationPending, await s.ErrorAsync(device));
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task DeviceCode_AfterTenMinutes_IsExpired()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        server.Time.Advance(TimeSpan.FromMinutes(10));

        Assert.Equal(Names.Device.ExpiredToken, await s.ErrorAsync(device));
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(server).TypeAsync(device.UserCode)).Status);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task DeviceCode_AllowedAndNotAskedForInTime_IsExpired()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await browser.AnswerAsync(device, "allow");
        server.Time.Advance(TimeSpan.FromMinutes(10));

        await server.RefusedAsync(() => s.PollAsync(device), HttpStatusCode.BadRequest, Names.Device.ExpiredToken, null, AuditTypes.TokenRefused, Names.Device.ExpiredToken);
    }

    [Fact]
    [Trait("Spec", "RFC8628-5.2")]
    public async Task DeviceCode_EachOfThem_HasMoreChanceThanCanBeGuessed()
    {
        var s = await server.ScenarioAsync();
        var codes = new[] { (await s.BeginAsync()).DeviceCode, (await s.BeginAsync()).DeviceCode };

        Assert.NotEqual(codes[0], codes[1]);
        Assert.All(codes, code => Assert.True(Base64Url.TryDecode(code.Replace("dc_", "", StringComparison.Ordinal), out var bytes) && bytes.Length == 32, code));
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.3")]
    public async Task Answer_AfterTheCodeExpired_GrantsNothing()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        server.Time.Advance(TimeSpan.FromMinutes(9));
        var page = await browser.AskedAsync(device);
        server.Time.Advance(TimeSpan.FromMinutes(2));

        var answer = await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal(Names.Device.ExpiredToken, await s.ErrorAsync(device));
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.1.2")]
    public async Task DeviceCode_UsedTwice_RevokesWhatItLedTo()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await browser.AnswerAsync(device, "allow");
        var token = await (await s.PollAsync(device)).ReadAsync(ProtocolJson.Default.TokenResponse);

        await (await s.PollAsync(device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        await (await new PersonFlow(s).RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
    }

    [Fact]
    public async Task DeviceCode_AsAnAuthorizationCode_IsNone()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await browser.AnswerAsync(device, "allow");
        var flow = new PersonFlow(s);

        await (await flow.RedeemRawAsync(device.DeviceCode)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);

        // And the other way round; nothing happened to either.
        var code = await flow.CodeAsync(s.AuthorizeQuery());
        await (await s.PollAsync(device with { DeviceCode = code })).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_code");
        Assert.Equal(HttpStatusCode.OK, (await s.PollAsync(device)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await flow.RedeemRawAsync(code)).StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.4")]
    public async Task DeviceCode_OfAnotherClient_IsUnknownAndStaysGoodForItsOwner()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        var device = await s.BeginAsync();

        await (await other.PollAsync(device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_code");

        Assert.Equal(Names.Device.AuthorizationPending, await s.ErrorAsync(device));
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task DeviceCode_BegunWithAProof_IsForThatKeyAlone()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync(proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.DeviceAuthorization));
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await browser.AnswerAsync(device, "allow");

        await (await s.PollAsync(device)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing");
        await (await s.PollAsync(device, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: SigningKey.Create()))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key");

        var token = await (await s.PollAsync(device, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal("DPoP", token.TokenType);
    }

    [Fact]
    [Trait("Spec", "RFC9449-11.1")]
    public async Task Proof_OfAPoll_IsGoodOnce()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync(proof: s.Agent.Proof(HttpMethod.Post, Names.Paths.DeviceAuthorization));
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        await (await s.PollAsync(device, proof)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        await server.RefusedAsync(() => s.PollAsync(device, proof), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);
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
        var device = await (await s.PostAsync(Names.Paths.DeviceAuthorization, begin)).ReadAsync(ProtocolJson.Default.DeviceResponse);
        Dictionary<string, string> poll = new() { ["grant_type"] = Names.Device.GrantType, ["device_code"] = device.DeviceCode, ["client_id"] = client };
        await OnlyWithItsSecretAsync(Names.Paths.Token, poll);
        poll["client_secret"] = secret;
        await (await s.PostAsync(Names.Paths.Token, poll)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        async Task OnlyWithItsSecretAsync(string path, Dictionary<string, string> form)
        {
            await server.RefusedAsync(() => s.PostAsync(path, form), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "no_credential");
            await server.RefusedAsync(
                () => s.PostAsync(path, new(form) { ["client_secret"] = s.ServiceSecret }), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "bad_secret");
        }
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.1")]
    public async Task Request_UnknownOrEmptyParameters_AreIgnored()
    {
        var s = await server.ScenarioAsync();

        using var answer = await s.BeginRawAsync(new() { ["unheard_of"] = "1", ["authorization_details"] = "" });

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

        await server.RefusedAsync(() => s.BeginRawAsync(new() { [name] = value }), HttpStatusCode.BadRequest, error, null, AuditTypes.DeviceRefused, error);
    }

    [Fact]
    public async Task Client_Suspended_GetsNothingFromAnAnswer()
    {
        var s = await server.ScenarioAsync();
        var device = await s.BeginAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var page = await browser.AskedAsync(device);
        s.File["clients"]!.AsArray().First(c => (string)c!["id"]! == s.PublicClient)!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());

        var answer = await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);

        Assert.Equal((HttpStatusCode.BadRequest, null), (answer.Status, answer.Location));
        await (await s.PollAsync(device)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
    }
}
