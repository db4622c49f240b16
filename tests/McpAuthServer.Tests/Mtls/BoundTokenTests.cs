using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Mtls;

/// <summary>Tokens bound to a certificate (RFC 8705 §3, §4, §7.1): whose client is registered for them, and nobody else's.</summary>
public sealed class BoundTokenTests(MtlsServer mtls) : IClassFixture<MtlsServer>
{
    private TestServer Server => mtls.Server;

    [Fact]
    [Trait("Spec", "RFC8705-3.1")]
    [Trait("Spec", "RFC8705-3.4")]
    public async Task Token_OfAClientRegisteredForIt_IsBoundToTheCertificateAndStaysBearer()
    {
        var certificate = mtls.Root.Issue(mtls.Now);
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.TlsClientAuth, new() { [Names.Mtls.SubjectDn] = "CN=agent,O=Example", [Names.Mtls.BoundAccessTokens] = true });

        var token = await (await mtls.TokenAsync(s, client, certificate)).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal("Bearer", token.TokenType);
        Assert.Equal($$"""{"x5t#S256":"{{certificate.Thumbprint()}}"}""", Answers.Claims(token.AccessToken).GetProperty("cnf").GetRawText());
    }

    [Fact]
    [Trait("Spec", "RFC8705-3")]
    public async Task Token_OfAClientOfAnotherMethod_IsBoundIfTheClientAsksForItAlone()
    {
        var certificate = TestCertificates.SelfSigned(mtls.Now);
        var s = await Server.ScenarioAsync();
        using var http = Server.ClientFrom(null, certificate);
        async Task<TokenResponse> TokenAsync() =>
            await (await MtlsServer.SendAsync(http, MtlsServer.Form(s, null), headers: h => h.Authorization = MtlsServer.Basic(s))).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.False(Answers.Claims((await TokenAsync()).AccessToken).TryGetProperty("cnf", out _));
        await BindAsync(s, s.ServiceClient);
        Assert.Equal(certificate.Thumbprint(), Bound(await TokenAsync()));

        // Registered for it, without a certificate there is no token: less than what was asked for is nothing.
        await Server.RefusedAsync(
            () => MtlsServer.SendAsync(Server.ClientFrom(null), MtlsServer.Form(s, null), headers: h => h.Authorization = MtlsServer.Basic(s)),
            HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, "no_certificate", AuditTypes.TokenRefused, "no_certificate");
    }

    [Fact]
    [Trait("Spec", "RFC8705-3.1")]
    [Trait("Spec", "RFC9449-6.1")]
    public async Task Token_WithAProofBesideTheCertificate_IsBoundToBoth()
    {
        var certificate = TestCertificates.SelfSigned(mtls.Now);
        var s = await Server.ScenarioAsync();
        await BindAsync(s, s.ServiceClient);
        using var key = SigningKey.Create();

        // At either address of the endpoint: the proof is for the one that the client called (RFC 8705 §5).
        foreach (var address in new[] { TestServer.Issuer, MtlsServer.Endpoint })
        {
            var token = await (await MtlsServer.SendAsync(Server.ClientFrom(null, certificate), MtlsServer.Form(s, null), headers: h =>
            {
                h.Authorization = MtlsServer.Basic(s);
                h.Add("DPoP", DpopProof.Create(key, "POST", new Uri(address + "/token"), null, mtls.Now));
            })).ReadAsync(ProtocolJson.Default.TokenResponse);

            Assert.Equal("DPoP", token.TokenType);
            Assert.Equal((key.Public.Thumbprint, certificate.Thumbprint()), (Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("jkt").GetString(), Bound(token)));
        }
    }

    [Fact]
    [Trait("Spec", "RFC8705-3.2")]
    public async Task Introspection_ShowsWhatTheTokenIsBoundTo()
    {
        var certificate = TestCertificates.SelfSigned(mtls.Now);
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.SelfSignedTlsClientAuth, new() { ["certificates"] = new JsonArray(certificate.Thumbprint()), [Names.Mtls.BoundAccessTokens] = true });
        var guard = await TestGuard.OfAsync(s);
        var token = await (await mtls.TokenAsync(s, client, certificate)).ReadAsync(ProtocolJson.Default.TokenResponse);

        var answer = await guard.IntrospectAsync(token.AccessToken);

        Assert.Equal(("Bearer", certificate.Thumbprint()), (answer.GetProperty("token_type").GetString(), answer.GetProperty("cnf").GetProperty("x5t#S256").GetString()));
    }

    [Fact]
    [Trait("Spec", "RFC8705-4")]
    [Trait("Spec", "RFC8705-7.1")]
    public async Task RefreshToken_OfAPublicClient_NeedsTheSameCertificateEveryTime()
    {
        var (own, other) = (TestCertificates.SelfSigned(mtls.Now), TestCertificates.SelfSigned(mtls.Now));
        var s = await Server.ScenarioAsync();
        await BindAsync(s, s.PublicClient);
        var flow = new PersonFlow(s) { Http = Server.ClientFrom(null, own) };
        var first = await flow.TokenAsync();
        Assert.Equal(own.Thumbprint(), Bound(first));

        foreach (var certificate in new[] { null, other })
        {
            flow.Http = Server.ClientFrom(null, certificate);
            var (error, reason) = certificate is null ? (Names.Errors.InvalidRequest, "no_certificate") : (Names.Errors.InvalidGrant, "wrong_certificate");
            await Server.RefusedAsync(() => flow.RefreshRawAsync(first.RefreshToken!), HttpStatusCode.BadRequest, error, reason, AuditTypes.TokenRefused, reason);
        }
        // Nothing came of that: its owner goes on, and what comes next is bound as well.
        flow.Http = Server.ClientFrom(null, own);
        var second = await flow.RefreshAsync(first.RefreshToken!);
        Assert.Equal(own.Thumbprint(), Bound(second));
        flow.Http = Server.ClientFrom(null, other);
        await Server.RefusedAsync(
            () => flow.RefreshRawAsync(second.RefreshToken!), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "wrong_certificate", AuditTypes.TokenRefused, "wrong_certificate");

        // The line stays bound when the client's record no longer asks for it.
        await BindAsync(s, s.PublicClient, bind: false);
        flow.Http = Server.ClientFrom(null);
        await Server.RefusedAsync(
            () => flow.RefreshRawAsync(second.RefreshToken!), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "wrong_certificate", AuditTypes.TokenRefused, "wrong_certificate");
    }

    [Fact]
    [Trait("Attack", "86")]
    public async Task RefreshToken_BoundToACertificate_IsNotToleratedASecondTime()
    {
        var own = TestCertificates.SelfSigned(mtls.Now);
        var s = await Server.ScenarioAsync();
        await BindAsync(s, s.PublicClient);
        var flow = new PersonFlow(s) { Http = Server.ClientFrom(null, own) };
        var first = await flow.TokenAsync();
        await flow.RefreshAsync(first.RefreshToken!);

        await (await flow.RefreshRawAsync(first.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);
    }

    [Fact]
    [Trait("Spec", "RFC8705-7.1")]
    public async Task RefreshToken_OfAClientThatAuthenticates_FollowsItsNextCertificate()
    {
        var (own, next) = (TestCertificates.SelfSigned(mtls.Now), TestCertificates.SelfSigned(mtls.Now));
        var s = await Server.ScenarioAsync();
        var web = "web-" + s.Suffix;
        await Server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = web, ["name"] = "Web", ["auth_method"] = Names.Mtls.SelfSignedTlsClientAuth, ["certificates"] = new JsonArray(own.Thumbprint(), next.Thumbprint()),
                [Names.Mtls.BoundAccessTokens] = true, ["grant_types"] = new JsonArray("authorization_code", "refresh_token"), ["redirect_uris"] = new JsonArray(s.RedirectUri),
            }),
        }.ToJsonString());
        Dictionary<string, string?> itself = new() { ["client_id"] = web };
        var flow = new PersonFlow(s) { Http = Server.ClientFrom(null, own) };
        var first = await flow.RedeemAsync(await flow.CodeAsync(s.AuthorizeQuery(itself)), itself);
        flow.Http = Server.ClientFrom(null, next);

        Assert.Equal(next.Thumbprint(), Bound(await flow.RefreshAsync(first.RefreshToken!, itself)));
    }

    [Fact]
    [Trait("Spec", "RFC8705-3")]
    public async Task Exchange_OfABoundToken_NeedsItsCertificate()
    {
        var (own, other) = (TestCertificates.SelfSigned(mtls.Now), TestCertificates.SelfSigned(mtls.Now));
        var s = await Server.ScenarioAsync();
        s.File["clients"]![0]![Names.Mtls.BoundAccessTokens] = true;
        await Server.ApplyAsync(s.File.ToJsonString());
        var agent = s.Agent;
        await agent.AttestAsync();
        Task<HttpResponseMessage> ExchangeAsync(X509Certificate2? certificate, Dictionary<string, string> form) =>
            agent.PostFormAsync(Names.Paths.Token, form, client: Server.ClientFrom(null, certificate));

        // The agent's own work, continued.
        var task = await agent.BeginTaskAsync("read_file", "list_files");
        var token = await (await ExchangeAsync(own, agent.ExchangeForm(details: s.Details(["read_file", "list_files"], new() { ["id"] = task })))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(("DPoP", own.Thumbprint()), (token.TokenType, Bound(token)));
        await Server.RefusedAsync(
            () => ExchangeAsync(other, agent.ExchangeForm(token.AccessToken)), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.NotPresenter,
            AuditTypes.TokenRefused, Names.Reasons.NotPresenter);
        Assert.Equal(own.Thumbprint(), Bound(await (await ExchangeAsync(own, agent.ExchangeForm(token.AccessToken))).ReadAsync(ProtocolJson.Default.TokenResponse)));

        // What a person handed over.
        var flow = new PersonFlow(s) { Http = Server.ClientFrom(null, own) };
        var delegation = await flow.DelegateAsync("read", "read_file");
        Assert.Equal(own.Thumbprint(), Bound(delegation));
        await Server.RefusedAsync(
            () => ExchangeAsync(other, agent.ExchangeForm(delegation.AccessToken, withActor: true)), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.NotPresenter,
            AuditTypes.TokenRefused, Names.Reasons.NotPresenter);
        Assert.Equal(own.Thumbprint(), Bound(await (await ExchangeAsync(own, agent.ExchangeForm(delegation.AccessToken, withActor: true))).ReadAsync(ProtocolJson.Default.TokenResponse)));
    }

    [Fact]
    [Trait("Attack", "115")]
    [Trait("Spec", "RFC8705-3")]
    public async Task UserInfo_BoundToken_NeedsItsCertificate()
    {
        var (own, other) = (TestCertificates.SelfSigned(mtls.Now), TestCertificates.SelfSigned(mtls.Now));
        var s = await Server.ScenarioAsync();
        var site = await RelyingParty.OfAsync(s, change: c => c[Names.Mtls.BoundAccessTokens] = true);
        site.Http = Server.ClientFrom(null, own);
        var token = await site.SignInAsync();
        Assert.Equal(("Bearer", own.Thumbprint()), (token.TokenType, Bound(token)));
        using var key = SigningKey.Create();
        string Proof(string method, string path, string? accessToken) => DpopProof.Create(key, method, new Uri(MtlsServer.Endpoint + path), accessToken, mtls.Now);
        var both = await site.RedeemAsync(await new PersonFlow(s).CodeAsync(site.Query()), Proof("POST", Names.Paths.Token, null));
        Assert.Equal(("DPoP", own.Thumbprint()), (both.TokenType, Bound(both)));

        // Of the second the proof is right, and not used up by the refusal.
        var proof = Proof("GET", Names.Paths.UserInfo, both.AccessToken);
        foreach (var (certificate, reason) in new[] { (null, "no_certificate"), (other, "wrong_certificate") })
        {
            await RefusedAsync(token.AccessToken, "Bearer", null, certificate, reason);
            await RefusedAsync(both.AccessToken, "DPoP", proof, certificate, reason);
        }
        // What only a proxy may tell, told by another beside the right certificate.
        using var forged = Server.ClientFrom("198.51.100.7", own);
        forged.DefaultRequestHeaders.Add("Client-Cert", $":{Convert.ToBase64String(own.RawData)}:");
        await Server.RefusedAsync(
            () => site.AskRawAsync(token.AccessToken, client: forged), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, "certificate_header_untrusted",
            AuditTypes.UserInfoRefused, "certificate_header_untrusted");

        Assert.Equal(s.User, (await (await site.AskRawAsync(token.AccessToken, client: Server.ClientFrom(null, own))).ReadAsync(ProtocolJson.Default.UserInfoResponse)).Subject);
        Assert.Equal(s.User, (await (await site.AskRawAsync(both.AccessToken, "DPoP", proof: proof, client: Server.ClientFrom(null, own))).ReadAsync(ProtocolJson.Default.UserInfoResponse)).Subject);

        Task RefusedAsync(string presented, string scheme, string? proof, X509Certificate2? certificate, string reason) => Server.RefusedAsync(
            () => site.AskRawAsync(presented, scheme, proof: proof, client: Server.ClientFrom(null, certificate)), HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, reason,
            AuditTypes.UserInfoRefused, reason);
    }

    [Fact]
    [Trait("Spec", "RFC8705-4")]
    [Trait("Spec", "RFC8628-3.5")]
    public async Task RefreshToken_ThatADeviceGot_NeedsTheSameCertificate()
    {
        var (own, other) = (TestCertificates.SelfSigned(mtls.Now), TestCertificates.SelfSigned(mtls.Now));
        var s = await Server.ScenarioAsync();
        await BindAsync(s, s.PublicClient);
        using var http = Server.ClientFrom(null, own);
        var device = await (await MtlsServer.SendAsync(
            http, new() { ["client_id"] = s.PublicClient, ["resource"] = s.Resource, ["scope"] = Names.Scopes.ToolsRead }, Names.Paths.DeviceAuthorization))
            .ReadAsync(ProtocolJson.Default.DeviceResponse);
        var browser = new TestBrowser(Server);
        await browser.SignInAsync(s.Person);
        var typed = await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Device), new() { ["user_code"] = device.UserCode }, Names.Paths.Device);
        await browser.PostFormAsync(await browser.FollowAsync(typed), new() { ["decision"] = "allow" }, Names.Paths.Consent);

        var token = await (await MtlsServer.SendAsync(
            http, new() { ["grant_type"] = Names.Device.GrantType, ["device_code"] = device.DeviceCode, ["client_id"] = s.PublicClient })).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(own.Thumbprint(), Bound(token));
        var flow = new PersonFlow(s) { Http = Server.ClientFrom(null, other) };
        await Server.RefusedAsync(
            () => flow.RefreshRawAsync(token.RefreshToken!), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "wrong_certificate", AuditTypes.TokenRefused, "wrong_certificate");
        flow.Http = http;
        Assert.Equal(own.Thumbprint(), Bound(await flow.RefreshAsync(token.RefreshToken!)));
    }

    private static string? Bound(TokenResponse token) => Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("x5t#S256").GetString();

    /// <summary>Registers one of the scenario's clients for bound tokens.</summary>
    private async Task BindAsync(Scenario s, string client, bool bind = true)
    {
        var registered = s.File["clients"]!.AsArray().Single(c => (string)c!["id"]! == client)!.DeepClone();
        registered[Names.Mtls.BoundAccessTokens] = bind;
        await Server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(registered) }.ToJsonString());
    }
}
