using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace McpAuth.EndToEnd.Harness;

/// <summary>Where programs publish what they are (client ID metadata documents): a site on this machine, with a certificate that only those trust who are told to.</summary>
public sealed class DocumentSite : IAsyncDisposable
{
    private readonly TempDirectory directory = new();
    private readonly WebApplication site;

    private DocumentSite(int port, WebApplication site) => (Authority, this.site) = (string.Create(CultureInfo.InvariantCulture, $"localhost:{port}"), site);

    /// <summary>Host and port.</summary>
    public string Authority { get; }

    /// <summary>The file of the certificate, as OpenSSL's <c>SSL_CERT_FILE</c> takes it.</summary>
    public string CertificateFile => directory["site.pem"];

    /// <summary>The address of a program's document, which is its client id.</summary>
    public string Of(string program) => $"https://{Authority}/{program}/client.json";

    public static async Task<DocumentSite> StartAsync()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));

        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        int port = FreePort.Next();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.UseHttps(certificate)));
        var documents = new DocumentSite(port, builder.Build());
        documents.directory.Write("site.pem", certificate.ExportCertificatePem());
        documents.site.MapGet("/{program}/client.json", (string program) => Results.Json(new
        {
            client_id = documents.Of(program), client_name = $"Program {program}", redirect_uris = new[] { "http://127.0.0.1/callback", "http://localhost/callback" },
            grant_types = new[] { "authorization_code", "refresh_token" }, response_types = new[] { "code" }, token_endpoint_auth_method = "none",
        }));
        await documents.site.StartAsync();
        return documents;
    }

    public async ValueTask DisposeAsync()
    {
        await site.DisposeAsync();
        directory.Dispose();
    }
}
