using McpAuth.Protocol;
using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Network;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Http;

/// <summary>The caller's certificate: of the request's own connection, or as a trusted proxy tells it (RFC 8705 §6.5).</summary>
internal sealed class RequestCertificate(IOptions<McpGuardOptions> options)
{
    public const string Missing = "certificate_missing", Other = "other_certificate";

    private readonly CertificateSource source = new(options.Value.CertificateHeader);
    private readonly TrustedProxies proxies = new(options.Value.Proxies);

    /// <summary>Null when the request came with the certificate of this thumbprint, in force; else the reason why not (RFC 8705 §3).</summary>
    public string? Refuse(HttpContext context, string thumbprint, DateTimeOffset now)
    {
        bool fromProxy = proxies.Include(context.Connection.RemoteIpAddress);
        if (!source.Read(context.Connection.ClientCertificate, context.Request.Headers[source.Header], fromProxy, now).TryGet(out ClientCertificate? certificate, out Fault? fault))
            return fault.Code;
        return certificate is null ? Missing : certificate.Thumbprint == thumbprint ? null : Other;
    }
}
