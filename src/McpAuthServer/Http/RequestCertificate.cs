using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;
using McpAuth.Protocol.Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace McpAuthServer.Http;

/// <summary>The client's certificate of a request: of its own connection, or as a trusted proxy tells it (RFC 8705 §6.5).</summary>
internal sealed class RequestCertificate(ServerOptions options, ClientAddress address, TimeProvider time)
{
    private readonly CertificateSource source = new(options.Mtls.Header);

    /// <summary>Null where there is none, or none is looked at. Codes: those of <see cref="CertificateSource.Read"/>.</summary>
    public Result<ClientCertificate?> Of(HttpContext context) => options.Mtls.Enabled
        ? source.Read(context.Connection.ClientCertificate, context.Request.Headers[source.Header], address.FromProxy(context), time.GetUtcNow())
        : (ClientCertificate?)null;

    /// <summary>
    /// Lets every certificate through the handshake, which shows that the client has its key: those signed by nobody are legal (RFC 8705 §2.2),
    /// and who vouches for the others is asked when a client authenticates by them.
    /// </summary>
    public static void AllowAny(HttpsConnectionAdapterOptions https)
    {
        https.AllowAnyClientCertificate();
        // Before it asks us, the platform builds a chain, and for that would fetch whatever address the certificate names.
        https.OnAuthenticate = (_, ssl) => ssl.CertificateChainPolicy = new X509ChainPolicy { DisableCertificateDownloads = true, RevocationMode = X509RevocationMode.NoCheck };
    }
}
