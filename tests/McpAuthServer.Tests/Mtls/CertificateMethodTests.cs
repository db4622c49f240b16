using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Mtls;

/// <summary>Client authentication by certificate (RFC 8705 §2), over connections that show one.</summary>
public sealed class CertificateMethodTests(MtlsServer mtls) : IClassFixture<MtlsServer>
{
    private const string Subject = "CN=agent,O=Example";

    private TestServer Server => mtls.Server;

    private static CertificateShape Everything => new()
    {
        Dns = ["agent.example"], Uris = ["spiffe://example.org/agent"], Addresses = ["10.9.8.7"], Emails = ["agent@example.org"],
    };

    [Theory]
    [InlineData(Names.Mtls.SubjectDn, Subject)]
    [InlineData(Names.Mtls.SanDns, "agent.example")]
    [InlineData(Names.Mtls.SanUri, "spiffe://example.org/agent")]
    [InlineData(Names.Mtls.SanIp, "10.9.8.7")]
    [InlineData(Names.Mtls.SanEmail, "agent@example.org")]
    [Trait("Spec", "RFC8705-2.1")]
    public async Task TlsClientAuth_CertificateOfTheRegisteredName_IsTheClient(string parameter, string value)
    {
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.TlsClientAuth, new() { [parameter] = value });

        foreach (var certificate in new[]
        {
            mtls.Root.Issue(mtls.Now, Everything), mtls.Intermediate.Issue(mtls.Now, Everything), mtls.Root.Issue(mtls.Now, Everything with { Usages = [] }),
            mtls.Root.Issue(mtls.Now, Everything with { Usages = [TestCertificates.ServerAuthentication, TestCertificates.ClientAuthentication] }),
        })
        {
            var token = await (await mtls.TokenAsync(s, client, certificate)).ReadAsync(ProtocolJson.Default.TokenResponse);
            Assert.Equal(client, Answers.Claims(token.AccessToken).GetProperty("client_id").GetString());
            // Binding is a matter of its own.
            Assert.False(Answers.Claims(token.AccessToken).TryGetProperty("cnf", out _));
        }
    }

    public static TheoryData<string> Impostors => [.. Cases.Keys];

    /// <summary>What each presents in place of the certificate of <see cref="Subject"/>.</summary>
    private static readonly Dictionary<string, (Func<MtlsServer, X509Certificate2?> Present, string Reason)> Cases = new()
    {
        ["nothing"] = (_ => null, "no_certificate"),
        ["expired"] = (m => m.Root.Issue(m.Now, new() { From = TimeSpan.FromDays(-2), To = TimeSpan.FromSeconds(-31) }), "certificate_expired"),
        ["not yet valid"] = (m => m.Root.Issue(m.Now, new() { From = TimeSpan.FromSeconds(31) }), "certificate_not_yet_valid"),
        ["for servers only"] = (m => m.Root.Issue(m.Now, new() { Usages = [TestCertificates.ServerAuthentication] }), "certificate_usage"),
        ["for signing code"] = (m => m.Root.Issue(m.Now, new() { Usages = ["1.3.6.1.5.5.7.3.3"] }), "certificate_usage"),
        ["signed by itself, same name"] = (m => TestCertificates.SelfSigned(m.Now), "untrusted_certificate"),
        ["of another authority"] = (m => TestCertificates.Root(m.Now, "CN=Another root").Issue(m.Now), "untrusted_certificate"),
        ["of another authority that has the root's name"] = (m => TestCertificates.Root(m.Now).Issue(m.Now), "untrusted_certificate"),
        ["of an intermediate that nobody told the server"] = (
            m => m.Root.Issue(m.Now, new() { Subject = "CN=Unknown", Authority = true, Usages = [] }).Issue(m.Now), "untrusted_certificate"),
        ["of an authority whose time is over"] = (m => m.Expired.Issue(m.Now), "untrusted_certificate"),
        ["an authority of that name"] = (m => m.Root.Issue(m.Now, new() { Authority = true }), "certificate_usage"),
        ["another name"] = (m => m.Root.Issue(m.Now, new() { Subject = "CN=agent2, O=Example" }), "wrong_certificate"),
        ["the name and more"] = (m => m.Root.Issue(m.Now, new() { Subject = "CN=agent, OU=Other, O=Example" }), "wrong_certificate"),
        ["the name as one attribute"] = (m => m.Root.Issue(m.Now, new() { Subject = "CN=\"agent,O=Example\"" }), "wrong_certificate"),
        ["the name as an alternative name"] = (m => m.Root.Issue(m.Now, new() { Subject = "CN=other", Dns = ["agent"] }), "wrong_certificate"),
        ["too large"] = (m => m.Root.Issue(m.Now, new() { Dns = [.. Enumerable.Range(0, 300).Select(i => $"host-{i}.of-a-long-name.example")] }), "certificate_too_large"),
    };

    [Theory]
    [MemberData(nameof(Impostors))]
    [Trait("Spec", "RFC8705-2.1")]
    public async Task TlsClientAuth_AnyOtherCertificate_IsNoClient(string name)
    {
        var (present, reason) = Cases[name];
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.TlsClientAuth, new() { [Names.Mtls.SubjectDn] = Subject });

        foreach (var (path, type) in new[] { (Names.Paths.Token, AuditTypes.ClientRefused), (Names.Paths.Revoke, AuditTypes.TokenRevoked), (Names.Paths.PushedRequests, AuditTypes.ClientRefused) })
            await Server.RefusedAsync(
                () => mtls.TokenAsync(s, client, present(mtls), path: path), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, type, reason);
    }

    [Theory]
    [InlineData(-30)]
    [InlineData(30)]
    public async Task TlsClientAuth_CertificateJustOutsideItsTime_IsTakenWithinTheSkew(int seconds)
    {
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.TlsClientAuth, new() { [Names.Mtls.SubjectDn] = Subject });
        var shape = seconds < 0 ? new CertificateShape { To = TimeSpan.FromSeconds(seconds) } : new CertificateShape { From = TimeSpan.FromSeconds(seconds) };

        await (await mtls.TokenAsync(s, client, mtls.Root.Issue(mtls.Now, shape))).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    [Trait("Spec", "X509-SVID-2")]
    public async Task TlsClientAuth_UriBesideAnother_IsNoClient()
    {
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.TlsClientAuth, new() { [Names.Mtls.SanUri] = "spiffe://example.org/agent" });
        var certificate = mtls.Root.Issue(mtls.Now, new() { Uris = ["spiffe://example.org/agent", "spiffe://example.org/other"] });

        await Server.RefusedAsync(
            () => mtls.TokenAsync(s, client, certificate), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "wrong_certificate");
    }

    [Fact]
    [Trait("Spec", "RFC8705-2.2")]
    public async Task SelfSigned_CertificateOfARegisteredThumbprint_IsTheClient()
    {
        var (own, second) = (TestCertificates.SelfSigned(mtls.Now), TestCertificates.SelfSigned(mtls.Now));
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.SelfSignedTlsClientAuth, new() { ["certificates"] = new JsonArray(own.Thumbprint(), second.Thumbprint()) });

        foreach (var certificate in new[] { own, second })
            await (await mtls.TokenAsync(s, client, certificate)).ReadAsync(ProtocolJson.Default.TokenResponse);
        using var key = own.GetECDsaPrivateKey()!;
        foreach (var (certificate, reason) in new (X509Certificate2?, string)[]
        {
            (null, "no_certificate"), (TestCertificates.SelfSigned(mtls.Now), "wrong_certificate"), (mtls.Root.Issue(mtls.Now), "wrong_certificate"),
            // The key is right, but a certificate is what was registered.
            (TestCertificates.SelfSigned(mtls.Now, new() { Key = key, To = TimeSpan.FromDays(60) }), "wrong_certificate"),
        })
            await Server.RefusedAsync(
                () => mtls.TokenAsync(s, client, certificate), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, reason);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Spec", "RFC8705-2.2.2")]
    public async Task SelfSigned_CertificateOfARegisteredKey_IsTheClientAlsoWhenRenewed(bool withCertificate)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var (first, renewed) = (TestCertificates.SelfSigned(mtls.Now, new() { Key = key }), TestCertificates.SelfSigned(mtls.Now, new() { Key = key, To = TimeSpan.FromDays(90) }));
        var point = key.ExportParameters(false).Q;
        string Text(byte[] bytes) => McpAuth.Protocol.Jose.Base64Url.Encode(bytes);
        var jwk = new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = Text(point.X!), ["y"] = Text(point.Y!) };
        if (withCertificate)
            jwk["x5c"] = new JsonArray(Convert.ToBase64String(first.RawData));
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.SelfSignedTlsClientAuth, new() { ["jwks"] = new JsonObject { ["keys"] = new JsonArray(jwk) } });

        foreach (var certificate in new[] { first, renewed })
            await (await mtls.TokenAsync(s, client, certificate)).ReadAsync(ProtocolJson.Default.TokenResponse);
        await Server.RefusedAsync(
            () => mtls.TokenAsync(s, client, TestCertificates.SelfSigned(mtls.Now)), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "wrong_certificate");
    }

    [Fact]
    [Trait("Attack", "73")]
    [Trait("Spec", "RFC6749-2.3")]
    public async Task Client_OfACertificateMethod_AuthenticatesByNothingElse()
    {
        var certificate = mtls.Root.Issue(mtls.Now);
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.TlsClientAuth, new() { [Names.Mtls.SubjectDn] = Subject });
        var assertion = s.Agent.AssertionForm();

        foreach (var (more, reason) in new (Dictionary<string, string>, string)[]
        {
            (new() { ["client_secret"] = s.ServiceSecret }, "wrong_method"),
            (new() { [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer, [Names.ClientAssertion.Parameter] = s.Agent.Assertion(new() { ["iss"] = client, ["sub"] = client }) }, "wrong_method"),
            (assertion, "client_mismatch"),
        })
            await Server.RefusedAsync(
                () => mtls.TokenAsync(s, client, certificate, more), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, reason);
        // RFC 8705 §2: without client_id it is nobody's.
        await Server.RefusedAsync(
            () => MtlsServer.SendAsync(Server.ClientFrom(null, certificate), MtlsServer.Form(s, null)), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "unknown_client");
    }

    [Fact]
    [Trait("Attack", "73")]
    public async Task Client_OfAnotherMethod_IsNotAuthenticatedByACertificate()
    {
        var certificate = mtls.Root.Issue(mtls.Now);
        var s = await Server.ScenarioAsync();

        foreach (var client in new[] { s.ServiceClient, s.Agent.ClientId })
            await Server.RefusedAsync(
                () => mtls.TokenAsync(s, client, certificate), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "no_credential");
    }
}
