using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace McpAuth.Client;

/// <summary>Which addresses credentials may be sent to, and which may be named as a resource.</summary>
internal static class ServerAddress
{
    /// <summary>An issuer: https (or http on loopback), without query, fragment or user information (RFC 8414 §2).</summary>
    /// <exception cref="ArgumentException">It is not.</exception>
    public static Uri Issuer(string issuer)
    {
        if (!Uri.TryCreate(issuer, UriKind.Absolute, out Uri? uri) || uri.Query.Length > 0 || uri.Fragment.Length > 0
            || issuer.Contains('?') || issuer.Contains('#') || uri.UserInfo.Length > 0 || !MayCarryCredentials(uri))
            throw new ArgumentException("The issuer must be an https address (http only on loopback) without query and fragment.", nameof(issuer));
        return uri;
    }

    /// <summary>https anywhere; http only to this machine (RFC 6749 §3.2, OAuth 2.1 §1.5).</summary>
    public static bool MayCarryCredentials(Uri uri) =>
        uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && IsLoopback(uri));

    /// <summary>A resource indicator: an absolute URI without a fragment (RFC 8707 §2), and not what only a file system calls absolute.</summary>
    public static bool IsResource(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && text.StartsWith(uri.Scheme + ":", StringComparison.OrdinalIgnoreCase) && !text.Contains('#');

    /// <exception cref="ArgumentException">It is not one.</exception>
    public static void RequireResource(string resource)
    {
        if (!IsResource(resource)) throw new ArgumentException("A resource is an absolute URI without a fragment.", nameof(resource));
    }

    public static bool IsLoopback(Uri uri) =>
        uri.IdnHost == "localhost" || (IPAddress.TryParse(uri.IdnHost, out IPAddress? address) && IPAddress.IsLoopback(address));

    /// <summary>A handler for one address: a redirect would carry token and proof where nobody configured, a proxy has no business on loopback.</summary>
    public static SocketsHttpHandler Handler(Uri address) => new()
    {
        AllowAutoRedirect = false, UseCookies = false, UseProxy = !IsLoopback(address), ConnectTimeout = TimeSpan.FromSeconds(5),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    };

    /// <summary>The same, showing a certificate. Made for one attestation: the next one may show another.</summary>
    /// <param name="authorities">Those that may vouch for the server; null = the system's.</param>
    public static SocketsHttpHandler Handler(Uri address, X509Certificate2 certificate, X509Certificate2Collection? authorities)
    {
        SocketsHttpHandler handler = Handler(address);
        // Offline: nobody is to be asked at an address that stands in a certificate.
        handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, additionalCertificates: null, offline: true);
        if (authorities is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.AddRange(authorities);
            handler.SslOptions.CertificateChainPolicy = policy;
        }
        return handler;
    }

    public static bool SameOrigin(Uri a, Uri b) => a.Scheme == b.Scheme && a.IdnHost == b.IdnHost && a.Port == b.Port;
}
