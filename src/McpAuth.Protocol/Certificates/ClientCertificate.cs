using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol.Jose;

namespace McpAuth.Protocol.Certificates;

/// <summary>A client's X.509 certificate: parsed and within bounds. Whether it is anybody's, and trusted, others decide. Holds no native handle.</summary>
public sealed class ClientCertificate
{
    private ClientCertificate(X509Certificate2 certificate)
    {
        Der = certificate.RawDataMemory;
        Thumbprint = Base64Url.Encode(SHA256.HashData(Der.Span));
        (NotBefore, NotAfter) = (certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime());
    }

    /// <summary><c>x5t#S256</c>: base64url of the SHA-256 of the DER encoding (RFC 8705 §3.1).</summary>
    public string Thumbprint { get; }

    public ReadOnlyMemory<byte> Der { get; }
    public DateTimeOffset NotBefore { get; }
    public DateTimeOffset NotAfter { get; }

    /// <summary>Exactly one certificate in DER. Codes: <c>certificate_too_large</c>, <c>certificate_malformed</c>.</summary>
    public static Result<ClientCertificate> Parse(ReadOnlySpan<byte> der)
    {
        if (der.Length > Limits.Certificate)
            return TooLarge;
        try
        {
            using var certificate = X509CertificateLoader.LoadCertificate(der);
            // The loader also takes PEM, and passes over what follows: the thumbprint must be that of the very bytes.
            return certificate.RawDataMemory.Span.SequenceEqual(der) ? new ClientCertificate(certificate) : Malformed;
        }
        catch (CryptographicException)
        {
            return Malformed;
        }
    }

    /// <summary>What the connection's handshake brought; it stays the caller's. Codes: as <see cref="Parse"/>.</summary>
    public static Result<ClientCertificate> Of(X509Certificate2 certificate)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        try
        {
            return certificate.RawDataMemory.Length > Limits.Certificate ? TooLarge : new ClientCertificate(certificate);
        }
        catch (CryptographicException)
        {
            return Malformed;
        }
    }

    /// <summary>This, if it is in force (RFC 5280 §4.1.2.5), give or take the clocks' skew. Codes: <c>certificate_expired</c>, <c>certificate_not_yet_valid</c>.</summary>
    public Result<ClientCertificate> InForce(DateTimeOffset now)
    {
        // The skew moves the clock, not the certificate: 9999-12-31, which means "for ever", has no later.
        if (now - Limits.ClockSkew > NotAfter)
            return new Fault("certificate_expired", "The client certificate is expired.");
        return now + Limits.ClockSkew < NotBefore ? new Fault("certificate_not_yet_valid", "The client certificate is not valid yet.") : this;
    }

    internal static Fault Malformed { get; } = new("certificate_malformed", "The client certificate does not read.");

    internal static Fault TooLarge { get; } = new("certificate_too_large", $"The client certificate is longer than {Limits.Certificate} bytes.");
}
