using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Tests;

/// <summary>Tokens bound to a certificate (RFC 8705 §3): at the guard's own TLS, and behind proxies that tell the certificate in a header.</summary>
public sealed class CertificateTests : IAsyncLifetime
{
    private const string Header = "Client-Cert";

    private readonly DateTimeOffset now = TimeProvider.System.GetUtcNow();
    private readonly X509Certificate2 own, other, server;
    private FakeAuthorizationServer authorization = null!;

    public CertificateTests() => (own, other, server) = (TestCertificates.SelfSigned(now), TestCertificates.SelfSigned(now), TestCertificates.Server(now));

    public async Task InitializeAsync()
    {
        authorization = await FakeAuthorizationServer.StartAsync();
        authorization.Approve("echo", "read");
    }

    public async Task DisposeAsync() => await authorization.DisposeAsync();

    [Fact]
    [Trait("Attack", "115")]
    [Trait("Spec", "RFC8705-3")]
    public async Task Tls_BoundToken_RunsWithItsCertificateAndWithNoOther()
    {
        await using ToolHost host = await ToolHost.StartAsync(authorization, tls: server);
        string token = authorization.Token(new() { Certificate = own.Thumbprint() });
        using HttpClient right = TestCertificates.Client(server, own), wrong = TestCertificates.Client(server, other), none = TestCertificates.Client(server, null);

        Assert.Equal("bound", (await Call(host, token, http: right)).Text);
        // The token is known by now; whose connection it comes over is asked at every request.
        await Refused(host, token, "other_certificate", http: wrong);
        await Refused(host, token, "certificate_missing", http: none);
        Assert.Equal("bound", (await Call(host, token, http: right)).Text);

        // A certificate makes no difference to a token that is not bound.
        foreach (HttpClient http in new[] { right, none })
            Assert.Equal("bound", (await Call(host, authorization.Token(), http: http)).Text);
    }

    [Fact]
    [Trait("Attack", "115")]
    [Trait("Spec", "RFC9449-7.1")]
    public async Task Tls_TokenBoundToKeyAndCertificate_NeedsBoth()
    {
        await using ToolHost host = await ToolHost.StartAsync(authorization, tls: server);
        using var key = SigningKey.Create();
        string token = authorization.Token(new() { Jkt = key.Public.Thumbprint, Certificate = own.Thumbprint() });
        using HttpClient right = TestCertificates.Client(server, own), wrong = TestCertificates.Client(server, other);
        string Proof() => DpopProof.Create(key, "POST", new Uri(host.Resource), token, DateTimeOffset.UtcNow.AddSeconds(30));

        string proof = Proof();
        await Refused(host, token, "other_certificate", proof, http: wrong);
        await Refused(host, token, "bound_as_bearer", http: right);
        // The refusal did not use the proof up.
        Assert.Equal("bound", (await Call(host, token, proof, http: right)).Text);
        await Refused(host, token, "dpop_replay", proof, http: right);
        await Refused(host, token, "dpop_header_count", proof: "", http: right);
    }

    [Fact]
    [Trait("Attack", "115")]
    public async Task Tls_CertificateThatIsOver_IsRefusedThoughItIsTheTokens()
    {
        await using ToolHost host = await ToolHost.StartAsync(authorization, tls: server);
        foreach (var (shape, reason) in new (CertificateShape, string)[]
        {
            (new() { From = TimeSpan.FromDays(-2), To = TimeSpan.FromMinutes(-1) }, "certificate_expired"), (new() { From = TimeSpan.FromMinutes(10) }, "certificate_not_yet_valid"),
        })
        {
            var certificate = TestCertificates.SelfSigned(now, shape);
            using HttpClient http = TestCertificates.Client(server, certificate);
            await Refused(host, authorization.Token(new() { Certificate = certificate.Thumbprint() }), reason, http: http);
        }
    }

    /// <summary>Whoever made a certificate chose the addresses in it (RFC 5280 §4.2.2.1).</summary>
    [Fact]
    public async Task Tls_AddressesInACertificate_AreNotFetched()
    {
        await using ToolHost host = await ToolHost.StartAsync(authorization, tls: server);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        string address = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/ca.der";
        var certificate = TestCertificates.Root(now).Issue(now, new() { Extensions = [new X509AuthorityInformationAccessExtension(null, [address])] });
        using HttpClient http = TestCertificates.Client(server, certificate);

        Assert.Equal("bound", (await Call(host, authorization.Token(new() { Certificate = certificate.Thumbprint() }), http: http)).Text);

        Assert.False(listener.Pending());
    }

    [Theory]
    [InlineData(Header)]
    [InlineData("X-Ssl-Cert")]
    [Trait("Attack", "115")]
    [Trait("Spec", "RFC8705-6.5")]
    public async Task Header_OfAProxy_IsTheCallersCertificate(string header)
    {
        await using ToolHost host = await ToolHost.StartAsync(authorization, o =>
        {
            o.Proxies.Add("127.0.0.1");
            o.CertificateHeader = header;
        });
        string token = authorization.Token(new() { Certificate = own.Thumbprint() });
        string Told(X509Certificate2 certificate) => header == Header ? certificate.Structured() : certificate.EscapedPem();

        Assert.Equal("bound", (await Call(host, token, headers: [(header, Told(own))])).Text);
        await Refused(host, token, "other_certificate", headers: [(header, Told(other))]);
        await Refused(host, token, "certificate_missing");
        await Refused(host, token, "certificate_malformed", headers: [(header, Told(own) + ",")]);
        await Refused(host, token, "certificate_malformed", headers: [(header, "rubbish")]);
        await Refused(host, token, "certificate_too_large", headers: [(header, new string('A', 20_000))]);
        await Refused(host, token, "certificate_missing", headers: [("X-Other-Cert", Told(own))]);
        // Joined by an intermediary, and as two fields.
        await Refused(host, token, "certificate_malformed", headers: [(header, Told(own)), (header, Told(own))]);
        Assert.Equal("HTTP/1.1 401 Unauthorized", await host.Raw(token, $"{header}: {Told(own)}\r\n{header}: {Told(own)}\r\n"));
        await authorization.Event(e => e.Type == "call.refused" && e.Reason == "certificate_twice");
        Assert.Equal("HTTP/1.1 401 Unauthorized", await host.Raw(token, $"{header}:\r\n"));
        Assert.Equal("HTTP/1.1 200 OK", await host.Raw(token, $"{header}: {Told(own)}\r\n"));
    }

    [Fact]
    [Trait("Attack", "115")]
    public async Task Header_NotOfAProxy_IsRefused()
    {
        await using ToolHost host = await ToolHost.StartAsync(authorization, o =>
        {
            o.Proxies.Add("10.0.0.1");
            o.CertificateHeader = Header;
        });

        await Refused(host, authorization.Token(new() { Certificate = own.Thumbprint() }), "certificate_header_untrusted", headers: [(Header, own.Structured())]);
        // Who needs no certificate gains nothing by the header, and loses nothing.
        Assert.Equal("bound", (await Call(host, authorization.Token(), headers: [(Header, own.Structured())])).Text);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Attack", "115")]
    public async Task Header_BesideTheConnectionsCertificate_IsRefused(bool fromProxy)
    {
        await using ToolHost host = await ToolHost.StartAsync(
            authorization, o =>
            {
                if (!fromProxy) return;
                o.Proxies.Add("127.0.0.1");
                o.CertificateHeader = Header;
            }, tls: server);
        using HttpClient http = TestCertificates.Client(server, own);
        string token = authorization.Token(new() { Certificate = own.Thumbprint() });

        Assert.Equal("bound", (await Call(host, token, http: http)).Text);
        await Refused(host, token, fromProxy ? "certificate_twice" : "certificate_header_untrusted", headers: [(Header, own.Structured())], http: http);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("\"x5t#S256\"")]
    [InlineData("""{"x5t#S256":""}""")]
    [InlineData("""{"x5t#S256":7}""")]
    [InlineData("""{"x5t#S256":"OWN","kid":"k"}""")]
    [InlineData("""{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","x5t#S256":null}""")]
    [InlineData("""{"x5t":"OWN"}""")]
    [InlineData("""{"x5u":"https://evil.example/","x5t#S256":"OWN"}""")]
    [Trait("Attack", "115")]
    [Trait("Spec", "RFC7800-3.1")]
    public async Task Confirmation_TheGuardCannotCheck_IsNotABearerToken(string cnf)
    {
        await using ToolHost host = await ToolHost.StartAsync(authorization, tls: server);
        using HttpClient http = TestCertificates.Client(server, own);

        await Refused(host, authorization.Token(new() { Cnf = cnf.Replace("OWN", own.Thumbprint(), StringComparison.Ordinal) }), "invalid_claims", http: http);
    }

    [Fact]
    public void Options_ProxiesAndHeader_GoTogether()
    {
        Assert.True(Validate(o => { }).Succeeded);
        Assert.True(Validate(o => Set(o, "X-Ssl-Cert", "10.0.0.0/8", "::1")).Succeeded);
        foreach (var (change, says) in new (Action<McpGuardOptions>, string)[]
        {
            (o => o.CertificateHeader = Header, "go together"), (o => o.Proxies.Add("10.0.0.1"), "go together"), (o => Set(o, "a b", "10.0.0.1"), "not the name of a header"),
            (o => Set(o, Header, "proxy.example"), "neither an IP address"), (o => Set(o, Header, "0.0.0.0/0"), "every client"),
        })
        {
            ValidateOptionsResult result = Validate(change);
            Assert.Contains(says, Assert.Single(result.Failures!), StringComparison.Ordinal);
        }

        static void Set(McpGuardOptions options, string header, params string[] proxies)
        {
            options.CertificateHeader = header;
            foreach (string proxy in proxies) options.Proxies.Add(proxy);
        }
    }

    private static ValidateOptionsResult Validate(Action<McpGuardOptions> change)
    {
        var options = new McpGuardOptions { AuthorizationServer = "https://auth.example", Resource = "https://files.example/mcp" };
        change(options);
        return new McpGuardOptionsValidator().Validate(null, options);
    }

    private static async Task<Answer> Call(ToolHost host, string token, string? proof = null, (string Name, string Value)[]? headers = null, HttpClient? http = null)
    {
        using HttpRequestMessage request = host.Request(ToolHost.Call("echo", """{"text":"bound"}"""), token, scheme: proof is null ? "Bearer" : "DPoP");
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "echo");
        if (proof is { Length: > 0 }) request.Headers.Add("DPoP", proof);
        foreach (var group in (headers ?? []).GroupBy(h => h.Name)) request.Headers.TryAddWithoutValidation(group.Key, group.Select(h => h.Value));
        return await host.Send(request, http);
    }

    private async Task Refused(ToolHost host, string token, string reason, string? proof = null, (string, string)[]? headers = null, HttpClient? http = null)
    {
        int ran = host.Runs.All.Count, recorded = authorization.Events().Count(Like);

        Answer answer = await Call(host, token, proof, headers, http);

        Assert.Equal(401, answer.Status);
        if (!reason.StartsWith("dpop_", StringComparison.Ordinal))
            Assert.StartsWith($"{(proof is null && reason != "bound_as_bearer" ? "Bearer" : "DPoP")} error=\"invalid_token\", ", answer.Challenge, StringComparison.Ordinal);
        Assert.Contains("resource_metadata=", answer.Challenge, StringComparison.Ordinal);
        Assert.Equal(ran, host.Runs.All.Count);
        for (int i = 0; i < 200 && authorization.Events().Count(Like) == recorded; i++) await Task.Delay(50);
        Assert.Equal(recorded + 1, authorization.Events().Count(Like));

        bool Like(McpAuth.Protocol.Audit.AuditEvent e) => e.Reason == reason && e.Outcome == "refused";
    }
}
