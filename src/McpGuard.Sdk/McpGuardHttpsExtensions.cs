using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace McpGuard.Sdk;

/// <summary>Lets callers come with certificates where the tool server itself ends TLS.</summary>
public static class McpGuardHttpsExtensions
{
    /// <summary>
    /// Asks callers for a certificate, without insisting, and lets any through the handshake, which shows that they hold its key: a token that is
    /// bound to a certificate (RFC 8705 §3) says which one it must be, so nobody has to vouch for it. Nothing is fetched from addresses that a
    /// certificate names. Browsers ask their users for one on such an endpoint.
    /// </summary>
    public static HttpsConnectionAdapterOptions AllowCallerCertificates(this HttpsConnectionAdapterOptions https)
    {
        ArgumentNullException.ThrowIfNull(https);
        https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
        https.AllowAnyClientCertificate();
        https.OnAuthenticate += static (_, ssl) => ssl.CertificateChainPolicy = new X509ChainPolicy { DisableCertificateDownloads = true, RevocationMode = X509RevocationMode.NoCheck };
        return https;
    }
}
