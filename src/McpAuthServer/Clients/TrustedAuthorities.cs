using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol.Certificates;

namespace McpAuthServer.Clients;

/// <summary>Who may vouch for the certificates of clients (RFC 8705 §2.1): the operator's file, never the machine's own store, and never the network.</summary>
internal sealed class TrustedAuthorities
{
    private readonly X509Certificate2Collection roots = [], intermediates = [];

    private TrustedAuthorities() { }

    /// <param name="path">A PEM file; null = nobody.</param>
    /// <exception cref="StartupException">It cannot be read, or holds something other than authorities with a root among them.</exception>
    public static TrustedAuthorities Load(string? path)
    {
        var authorities = new TrustedAuthorities();
        if (path is null)
            return authorities;
        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPemFile(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new StartupException($"The file of trusted authorities '{path}' cannot be read: {e.Message}");
        }
        foreach (var certificate in all)
        {
            if (!CertificateChain.IsAuthority(certificate))
                throw new StartupException($"'{path}' holds the certificate of '{certificate.Subject}', which is no authority's.");
            (certificate.SubjectName.RawData.AsSpan().SequenceEqual(certificate.IssuerName.RawData) ? authorities.roots : authorities.intermediates).Add(certificate);
        }
        return authorities.roots.Count > 0 ? authorities : throw new StartupException($"'{path}' holds no root: the certificate of an authority signed by itself.");
    }

    /// <inheritdoc cref="CertificateChain.Refuse"/>
    public string? Refuse(ClientCertificate client, X509Certificate2 certificate, DateTimeOffset now) => CertificateChain.Refuse(roots, intermediates, client, certificate, now);
}
