using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;
using McpAuth.Protocol.Certificates;
using McpAuthServer.Registry;

namespace McpAuthServer.Clients;

/// <summary>Client authentication by certificate (RFC 8705 §2). That the client holds the key, the TLS handshake has shown.</summary>
internal sealed class CertificateAuthentication(TrustedAuthorities authorities, TimeProvider time)
{
    /// <summary>Null when the certificate is the client's, by the method it is registered for; else why not.</summary>
    public (string Message, string Reason)? Refuse(ClientRecord client, ClientCertificate? certificate)
    {
        if (certificate is null)
            return ("The client must come with its certificate.", "no_certificate");
        if (client.AuthMethod == Names.Mtls.SelfSignedTlsClientAuth)
            // §2.2: it is the one registered, or of a key that is; no chain is looked at.
            return client.Certificates.Contains(certificate.Thumbprint) || client.Keys.Any(key => key.IsKeyOf(certificate))
                ? null
                : ("The certificate is not the client's.", "wrong_certificate");

        // §2.1: an authority vouches for it, and it names the client.
        using var x509 = X509CertificateLoader.LoadCertificate(certificate.Der.Span);
        if (authorities.Refuse(certificate, x509, time.GetUtcNow()) is { } reason)
            return ("The certificate is not one that a trusted authority issued to a client.", reason);
        return client.Subject?.Matches(x509) == true ? null : ("The certificate is not the client's.", "wrong_certificate");
    }
}
