using McpAuth.Protocol.Certificates;

namespace McpAuthServer;

/// <summary>Client certificates (RFC 8705), section <c>McpAuth:Mtls</c>.</summary>
public sealed class MtlsOptions
{
    /// <summary>Whether certificates are looked at: at endpoints that ask for them (<c>Kestrel:Endpoints:…:ClientCertificateMode</c>), and in <see cref="Header"/>.</summary>
    public bool Enabled { get; set; }

    /// <summary>
    /// Where a proxy of <c>McpAuth:Proxies</c> tells the certificate of a connection that it ended: <c>Client-Cert</c> is read as RFC 9440 has it,
    /// a header of another name as URL-encoded PEM. Null = only the connection itself.
    /// </summary>
    public string? Header { get; set; }

    /// <summary>What stands in place of the issuer where clients come with certificates, e.g. <c>https://mtls.auth.example</c>. Null = the issuer itself.</summary>
    public string? Endpoint { get; set; }

    /// <summary>A PEM file: the roots that vouch for clients of <c>tls_client_auth</c>, and the intermediates below them. Null = that method is not offered.</summary>
    public string? TrustedAuthorities { get; set; }

    internal IEnumerable<string> Faults(ServerOptions server)
    {
        if (!Enabled)
        {
            if (Header is not null || Endpoint is not null || TrustedAuthorities is not null)
                yield return "McpAuth:Mtls says something, but McpAuth:Mtls:Enabled is not true";
            yield break;
        }
        if (Header is not null && !CertificateSource.IsHeaderName(Header))
            yield return $"McpAuth:Mtls:Header: '{Header}' is not the name of a header";
        if (Header is not null && server.Proxies.Count == 0)
            yield return "McpAuth:Mtls:Header needs McpAuth:Proxies: from nobody else is it believed";
        if (Endpoint is not null && !IsEndpoint(Endpoint, server.Issuer))
            yield return "McpAuth:Mtls:Endpoint must be another https address than the issuer's, in its normal form and with the issuer's path";
    }

    // The server answers below the issuer's path, whatever the host.
    private static bool IsEndpoint(string endpoint, string issuer) =>
        Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) && Uri.TryCreate(issuer, UriKind.Absolute, out var own)
        && uri.Scheme == Uri.UriSchemeHttps && uri.GetLeftPart(UriPartial.Authority) != own.GetLeftPart(UriPartial.Authority)
        && uri.UserInfo.Length == 0 && endpoint == uri.GetLeftPart(UriPartial.Authority) + own.AbsolutePath.TrimEnd('/');
}
