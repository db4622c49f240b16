using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Hostile;

namespace McpAuthServer.Tests.Mtls;

/// <summary>Certificates that a header tells: one proxy's are believed, all others are an attempt (RFC 8705 §6.5, RFC 9440 §4).</summary>
public sealed class CertificateHeaderTests(MtlsServer mtls) : IClassFixture<MtlsServer>
{
    private const string Header = "Client-Cert", Stranger = "198.51.100.7";

    private TestServer Server => mtls.Server;

    [Theory]
    [InlineData(MtlsServer.Proxy)]
    [InlineData("::ffff:" + MtlsServer.Proxy)]
    [Trait("Spec", "RFC9440-2.1")]
    public async Task Header_OfTheProxy_IsTheClientsCertificate(string peer)
    {
        var (s, client, certificate) = await ArrangeAsync();

        await (await SendAsync(s, client, peer, h => h.Add(Header, certificate.Structured()))).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    public async Task Header_OfTheProxyForAClientWithoutCertificate_IsNone()
    {
        var s = await Server.ScenarioAsync();

        using var answer = await SendAsync(s, null, MtlsServer.Proxy, h => h.Authorization = MtlsServer.Basic(s));

        await answer.ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    /// <summary>What each sends, from whom, over a connection with which certificate.</summary>
    private static readonly Dictionary<string, (string? Peer, bool OnConnection, Func<X509Certificate2, string[]> Values, string Reason)> Cases = new()
    {
        ["by a stranger"] = (Stranger, false, c => [c.Structured()], "certificate_header_untrusted"),
        ["by a stranger with a certificate of its own"] = (Stranger, true, c => [c.Structured()], "certificate_header_untrusted"),
        ["by nobody knows whom"] = (null, false, c => [c.Structured()], "certificate_header_untrusted"),
        ["by a neighbour of the proxy"] = ("10.0.0.2", false, c => [c.Structured()], "certificate_header_untrusted"),
        ["doubled"] = (MtlsServer.Proxy, false, c => [c.Structured(), c.Structured()], "certificate_twice"),
        ["doubled, one empty"] = (MtlsServer.Proxy, false, c => [c.Structured(), ""], "certificate_twice"),
        ["joined by an intermediary"] = (MtlsServer.Proxy, false, c => [$"{c.Structured()}, {c.Structured()}"], "certificate_malformed"),
        ["beside the connection's"] = (MtlsServer.Proxy, true, c => [c.Structured()], "certificate_twice"),
        ["in another form"] = (MtlsServer.Proxy, false, c => [c.EscapedPem()], "certificate_malformed"),
        ["with something behind it"] = (MtlsServer.Proxy, false, c => [c.Structured() + ";trusted=?1"], "certificate_malformed"),
        ["two in one"] = (MtlsServer.Proxy, false, c => [$":{Convert.ToBase64String([.. c.RawData, .. c.RawData])}:"], "certificate_malformed"),
        ["rubbish"] = (MtlsServer.Proxy, false, _ => ["CN=agent,O=Example"], "certificate_malformed"),
        ["oversized"] = (MtlsServer.Proxy, false, _ => [$":{new string('A', 20_000)}:"], "certificate_too_large"),
    };

    public static TheoryData<string, string> CaseNames => Door.Times(Cases.Keys);

    [Theory]
    [MemberData(nameof(CaseNames))]
    [Trait("Attack", "114")]
    [Trait("Spec", "RFC9440-4")]
    public async Task Header_ThatIsNotTheProxysOneCertificate_IsNoClient(string name, string door)
    {
        var (peer, onConnection, values, reason) = Cases[name];
        var (s, client, certificate) = await ArrangeAsync();
        var at = await Door.OfAsync(await Server.ScenarioAsync(o => o.Agent["client_credentials"] = true), door);
        var used = await Door.UsedAsync(Server);
        void Spoil(HttpRequestHeaders headers) => headers.TryAddWithoutValidation(Header, values(certificate));

        // Whom the header names, and who authenticates rightly by other means: it is the header that is refused.
        await Server.RefusedAsync(
            () => SendAsync(s, client, peer, Spoil, at.Path, onConnection ? certificate : null),
            HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, at.RefusalType, reason);
        using var http = Server.ClientFrom(peer, onConnection ? certificate : null);
        Spoil(http.DefaultRequestHeaders);
        var refusal = await Server.RefusedAsync(
            () => at.KnockAsync(at.Scenario.Agent.Assertion(), client: http), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, at.RefusalType, reason);

        // The assertion was not even looked at, and nobody is recorded as the caller.
        Assert.Equal(used, await Door.UsedAsync(Server));
        Assert.Null(refusal.Client);
    }

    [Fact]
    [Trait("Attack", "114")]
    public async Task Header_ForwardedThroughTheProxyUnderAnotherName_IsNotRead()
    {
        var (s, client, certificate) = await ArrangeAsync();

        foreach (var name in new[] { "Client_Cert", "X-Client-Cert", "Client-Cert-Chain", "X-SSL-Cert", "X-Forwarded-Client-Cert" })
            await Server.RefusedAsync(
                () => SendAsync(s, client, MtlsServer.Proxy, h => h.TryAddWithoutValidation(name, certificate.Structured())),
                HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "no_certificate");
    }

    private async Task<(Scenario, string, X509Certificate2)> ArrangeAsync()
    {
        var certificate = TestCertificates.SelfSigned(mtls.Now);
        var (s, client) = await mtls.WithClientAsync(Names.Mtls.SelfSignedTlsClientAuth, new() { ["certificates"] = new JsonArray(certificate.Thumbprint()) });
        return (s, client, certificate);
    }

    private async Task<HttpResponseMessage> SendAsync(
        Scenario s, string? client, string? peer, Action<HttpRequestHeaders>? headers, string path = Names.Paths.Token, X509Certificate2? certificate = null)
    {
        using var http = Server.ClientFrom(peer, certificate);
        return await MtlsServer.SendAsync(http, MtlsServer.Form(s, client), path, headers);
    }
}

/// <summary>A server that was not told to look at certificates.</summary>
public sealed class NoCertificateTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Attack", "114")]
    public async Task Certificates_NotEnabled_CountForNothing()
    {
        var s = await server.ScenarioAsync();
        var certificate = TestCertificates.SelfSigned(server.Time.GetUtcNow());
        await server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = "self-signed", ["name"] = "Self-signed", ["auth_method"] = Names.Mtls.SelfSignedTlsClientAuth, ["grant_types"] = new JsonArray("client_credentials"),
                ["certificates"] = new JsonArray(certificate.Thumbprint()),
            }),
        }.ToJsonString());

        await server.RefusedAsync(
            () => MtlsServer.SendAsync(server.ClientFrom(null, certificate), MtlsServer.Form(s, "self-signed"), headers: h => h.Add("Client-Cert", certificate.Structured())),
            HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "no_certificate");
    }
}
