using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Tests.Harness;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpAuthServer.Tests.Mtls;

/// <summary>Handshakes and sockets: the server's own TLS as an operator configures it, and a reverse proxy before it.</summary>
public sealed class RealTlsTests : IAsyncLifetime
{
    private const string Header = "X-Ssl-Cert";

    private readonly TempDirectory directory = new();
    private readonly DateTimeOffset now = TimeProvider.System.GetUtcNow();
    private readonly int plainPort = FreePort.Next(), tlsPort = FreePort.Next();
    private WebApplicationFactory<Program> factory = null!;
    private X509Certificate2 root = null!, server = null!;

    private string Plain => $"http://127.0.0.1:{plainPort}";
    private string Tls => $"https://127.0.0.1:{tlsPort}";

    public async Task InitializeAsync()
    {
        root = TestCertificates.Root(now);
        server = TestCertificates.Server(now);
        directory.Write("server.pem", server.ExportCertificatePem());
        using (var key = server.GetECDsaPrivateKey()!)
            directory.Write("server.key", key.ExportPkcs8PrivateKeyPem());
        var settings = new Dictionary<string, string>
        {
            ["McpAuth:Issuer"] = Plain, ["McpAuth:DataDirectory"] = directory["data"], ["McpAuth:Mtls:Enabled"] = "true", ["McpAuth:Mtls:Endpoint"] = Tls,
            ["McpAuth:Mtls:TrustedAuthorities"] = directory.Write("authorities.pem", root.ExportCertificatePem()),
            ["McpAuth:Mtls:Header"] = Header, ["McpAuth:Proxies:0"] = "127.0.0.1",
            ["Kestrel:Endpoints:Main:Url"] = Plain, ["Kestrel:Endpoints:Mtls:Url"] = Tls, ["Kestrel:Endpoints:Mtls:ClientCertificateMode"] = "AllowCertificate",
            ["Kestrel:Endpoints:Mtls:Certificate:Path"] = directory["server.pem"], ["Kestrel:Endpoints:Mtls:Certificate:KeyPath"] = directory["server.key"],
        };
        factory = new WebApplicationFactory<Program>().WithWebHostBuilder(builder =>
        {
            foreach (var (name, value) in settings)
                builder.UseSetting(name, value);
            builder.ConfigureLogging(logging => logging.ClearProviders());
        });
        factory.UseKestrel();
        factory.StartServer();
        var apply = await factory.Services.GetRequiredService<RegistryApply>().Apply(Encoding.UTF8.GetBytes(Registry));
        Assert.Empty(apply.Faults);
        factory.Services.GetRequiredService<RegistryCache>().Invalidate(1);
    }

    public async Task DisposeAsync()
    {
        await factory.DisposeAsync();
        directory.Dispose();
    }

    private readonly X509Certificate2 selfSigned = TestCertificates.SelfSigned(TimeProvider.System.GetUtcNow(), new() { Subject = "CN=self" });

    private string Registry => $$"""
        {"users":[{"id":"usr_o","name":"O"}],
         "tool_servers":[{"id":"srv_f","resource":"https://files.test/mcp","name":"F","owner":"usr_o","tools":[{"name":"read_file","sensitivity":"read"}]}],
         "clients":[
          {"id":"pki","name":"P","auth_method":"tls_client_auth","tls_client_auth_san_uri":"spiffe://example.org/agent","grant_types":["client_credentials"],"authority":{{Authority}},
           "tls_client_certificate_bound_access_tokens":true},
          {"id":"self","name":"S","auth_method":"self_signed_tls_client_auth","certificates":["{{selfSigned.Thumbprint()}}"],"grant_types":["client_credentials"],"authority":{{Authority}},
           "tls_client_certificate_bound_access_tokens":true},
          {"id":"secret","name":"B","auth_method":"client_secret_post","secret":"0123456789012345678901234567890123","grant_types":["client_credentials"],"authority":{{Authority}}}]}
        """;

    private const string Authority = """[{"type":"mcp_tool_call","locations":["https://files.test/mcp"],"actions":["tools/call"],"tools":{"read_file":{}}}]""";

    [Fact]
    [Trait("Spec", "RFC8705-2")]
    public async Task DirectTls_ClientsByCertificate_AreAuthenticatedAndTheirTokensBound()
    {
        var issued = root.Issue(now, new() { Uris = ["spiffe://example.org/agent"] });

        foreach (var (client, certificate) in new[] { ("pki", issued), ("self", selfSigned) })
        {
            using var http = With(certificate);
            var token = await (await TokenAsync(http, Tls, client)).ReadAsync(ProtocolJson.Default.TokenResponse);
            Assert.Equal(certificate.Thumbprint(), Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("x5t#S256").GetString());
        }
    }

    [Fact]
    [Trait("Spec", "RFC8705-2")]
    public async Task DirectTls_OtherCertificates_PassTheHandshakeAndAreNoClients()
    {
        foreach (var certificate in new[]
        {
            null, TestCertificates.SelfSigned(now, new() { Uris = ["spiffe://example.org/agent"] }), TestCertificates.Root(now).Issue(now, new() { Uris = ["spiffe://example.org/agent"] }),
            root.Issue(now, new() { Uris = ["spiffe://example.org/agent"], To = TimeSpan.FromMinutes(-1) }),
        })
        {
            using var http = With(certificate);
            await (await TokenAsync(http, Tls, "pki")).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
            await (await TokenAsync(http, Tls, "self")).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        }
    }

    [Fact]
    public async Task DirectTls_WithoutACertificate_ServesEverybodyElse()
    {
        using var http = With(null);

        await (await TokenAsync(http, Tls, "secret", "0123456789012345678901234567890123")).ReadAsync(ProtocolJson.Default.TokenResponse);
        await (await TokenAsync(http, Plain, "secret", "0123456789012345678901234567890123")).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    /// <summary>Whoever made a certificate chose the addresses in it (RFC 5280 §4.2.2.1).</summary>
    [Fact]
    public async Task DirectTls_AddressesInACertificate_AreNotFetched()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/ca.der";
        var unknown = TestCertificates.Root(now, "CN=Only to be fetched");
        var shape = new CertificateShape
        {
            Uris = ["spiffe://example.org/agent"],
            Extensions = [new X509AuthorityInformationAccessExtension(null, [address]), CertificateRevocationListBuilder.BuildCrlDistributionPointExtension([address])],
        };
        foreach (var certificate in new[] { unknown.Issue(now, shape), root.Issue(now, shape), TestCertificates.SelfSigned(now, shape) })
        {
            using var http = With(certificate);
            using var answer = await TokenAsync(http, Tls, "pki");
            Assert.Equal(certificate.Issuer == root.Subject ? HttpStatusCode.OK : HttpStatusCode.Unauthorized, answer.StatusCode);
        }

        Assert.False(listener.Pending());
    }

    [Fact]
    [Trait("Attack", "114")]
    [Trait("Spec", "RFC8705-6.5")]
    public async Task ReverseProxy_TellsTheCertificateOfTheConnectionThatItEnded()
    {
        var issued = root.Issue(now, new() { Uris = ["spiffe://example.org/agent"] });
        await using var proxy = await ProxyAsync();
        var address = proxy.Urls.Single();
        using var own = With(issued);
        var token = await (await TokenAsync(own, address, "pki")).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(issued.Thumbprint(), Answers.Claims(token.AccessToken).GetProperty("cnf").GetProperty("x5t#S256").GetString());

        // What a client says itself does not get through a proxy that sets its header; through one that adds its own, it spoils that.
        using var other = With(selfSigned);
        other.DefaultRequestHeaders.Add(Header, issued.EscapedPem());
        await (await TokenAsync(other, address, "pki")).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        other.DefaultRequestHeaders.Add("Test-Careless", "1");
        await (await TokenAsync(other, address, "pki")).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        using var none = With(null);
        await (await TokenAsync(none, address, "secret", "0123456789012345678901234567890123")).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    private HttpClient With(X509Certificate2? certificate) => TestCertificates.Client(server, certificate);

    private static async Task<HttpResponseMessage> TokenAsync(HttpClient http, string at, string client, string? secret = null)
    {
        var form = new Dictionary<string, string> { ["grant_type"] = "client_credentials", ["client_id"] = client, ["resource"] = "https://files.test/mcp" };
        if (secret is not null)
            form["client_secret"] = secret;
        return await http.PostAsync(at + Names.Paths.Token, new FormUrlEncodedContent(form));
    }

    /// <summary>What nginx does with <c>proxy_set_header X-Ssl-Cert $ssl_client_escaped_cert</c>; asked to be careless, it adds and does not set.</summary>
    private async Task<WebApplication> ProxyAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(https =>
        {
            https.ServerCertificate = X509Certificate2.CreateFromPemFile(directory["server.pem"], directory["server.key"]);
            https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
            https.AllowAnyClientCertificate();
        })));
        var app = builder.Build();
        var upstream = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        app.Map("{**path}", async (HttpContext context) =>
        {
            using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), Plain + context.Request.Path) { Content = new StreamContent(context.Request.Body) };
            request.Content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType);
            if (context.Request.Headers.ContainsKey("Test-Careless"))
                request.Headers.TryAddWithoutValidation(Header, context.Request.Headers[Header].ToArray());
            if (context.Connection.ClientCertificate is { } certificate)
                request.Headers.TryAddWithoutValidation(Header, certificate.EscapedPem());
            using var answer = await upstream.SendAsync(request);
            context.Response.StatusCode = (int)answer.StatusCode;
            context.Response.ContentType = answer.Content.Headers.ContentType?.ToString();
            context.Response.Headers.CacheControl = answer.Headers.CacheControl?.ToString();
            await answer.Content.CopyToAsync(context.Response.Body);
        });
        await app.StartAsync();
        return app;
    }
}
