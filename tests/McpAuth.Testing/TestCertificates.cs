using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace McpAuth.Testing;

/// <summary>What a test wants in a certificate; the rest is right for a client.</summary>
public sealed record CertificateShape
{
    public string Subject { get; init; } = "CN=agent, O=Example";
    public string[] Dns { get; init; } = [];
    public string[] Uris { get; init; } = [];
    public string[] Addresses { get; init; } = [];
    public string[] Emails { get; init; } = [];

    /// <summary>Extended key usages; empty = the extension is absent.</summary>
    public string[] Usages { get; init; } = [TestCertificates.ClientAuthentication];
    public bool Authority { get; init; }

    /// <summary>From the clock's now.</summary>
    public TimeSpan From { get; init; } = TimeSpan.FromHours(-1);
    public TimeSpan To { get; init; } = TimeSpan.FromDays(30);

    public AsymmetricAlgorithm? Key { get; init; }
    public X509Extension[] Extensions { get; init; } = [];
}

/// <summary>Certificates made for a test, with their private keys.</summary>
public static class TestCertificates
{
    public const string ClientAuthentication = "1.3.6.1.5.5.7.3.2", ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    public static X509Certificate2 SelfSigned(DateTimeOffset now, CertificateShape? shape = null) => Make(now, shape ?? new(), issuer: null);

    /// <summary>A root authority.</summary>
    public static X509Certificate2 Root(DateTimeOffset now, string name = "CN=Test root") =>
        Make(now, new() { Subject = name, Authority = true, Usages = [], From = TimeSpan.FromDays(-1), To = TimeSpan.FromDays(3650) }, issuer: null);

    /// <summary>A certificate that this authority issues; with <see cref="CertificateShape.Authority"/>, one that may issue others.</summary>
    public static X509Certificate2 Issue(this X509Certificate2 issuer, DateTimeOffset now, CertificateShape? shape = null) => Make(now, shape ?? new(), issuer);

    /// <summary>For a server on 127.0.0.1.</summary>
    public static X509Certificate2 Server(DateTimeOffset now) =>
        SelfSigned(now, new() { Subject = "CN=127.0.0.1", Addresses = ["127.0.0.1"], Usages = [ServerAuthentication] });

    /// <summary><c>x5t#S256</c> (RFC 8705 §3.1).</summary>
    public static string Thumbprint(this X509Certificate2 certificate) => System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(certificate.RawData));

    /// <summary>As RFC 9440 has it.</summary>
    public static string Structured(this X509Certificate2 certificate) => $":{Convert.ToBase64String(certificate.RawData)}:";

    /// <summary>As nginx has it in <c>$ssl_client_escaped_cert</c>.</summary>
    public static string EscapedPem(this X509Certificate2 certificate) => Uri.EscapeDataString(certificate.ExportCertificatePem() + "\n");

    /// <summary>A client that trusts this server and shows, if any, this certificate.</summary>
    public static HttpClient Client(X509Certificate2 server, X509Certificate2? own)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null && presented.GetRawCertData().AsSpan().SequenceEqual(server.RawData);
        // Made here and offline: of a certificate chosen during the handshake the platform would look for the chain where the certificate says.
        if (own is not null)
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(own, additionalCertificates: null, offline: true);
        return new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(30) };
    }

    private static X509Certificate2 Make(DateTimeOffset now, CertificateShape shape, X509Certificate2? issuer)
    {
        using AsymmetricAlgorithm? made = shape.Key is null ? ECDsa.Create(ECCurve.NamedCurves.nistP256) : null;
        var key = shape.Key ?? made!;
        var request = key is RSA rsa
            ? new CertificateRequest(shape.Subject, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest(shape.Subject, (ECDsa)key, HashAlgorithmName.SHA256);
        foreach (var extension in Extensions(shape))
            request.CertificateExtensions.Add(extension);
        var (from, to) = (now + shape.From, now + shape.To);
        if (issuer is null)
            return request.CreateSelfSigned(from, to);
        using var issued = issuer.GetECDsaPrivateKey() is { } signer
            ? request.Create(issuer.SubjectName, X509SignatureGenerator.CreateForECDsa(signer), from, to, RandomNumberGenerator.GetBytes(12))
            : throw new NotSupportedException("Authorities of tests have EC keys.");
        return key is RSA r ? issued.CopyWithPrivateKey(r) : issued.CopyWithPrivateKey((ECDsa)key);
    }

    private static IEnumerable<X509Extension> Extensions(CertificateShape shape)
    {
        if (shape.Authority)
        {
            yield return new X509BasicConstraintsExtension(true, false, 0, true);
            yield return new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true);
        }
        if (shape.Usages.Length > 0)
        {
            var usages = new OidCollection();
            foreach (var usage in shape.Usages)
                usages.Add(new Oid(usage));
            yield return new X509EnhancedKeyUsageExtension(usages, false);
        }
        if (shape.Dns.Length + shape.Uris.Length + shape.Addresses.Length + shape.Emails.Length > 0)
        {
            var names = new SubjectAlternativeNameBuilder();
            Array.ForEach(shape.Dns, names.AddDnsName);
            Array.ForEach(shape.Uris, uri => names.AddUri(new Uri(uri)));
            Array.ForEach(shape.Addresses, address => names.AddIpAddress(IPAddress.Parse(address)));
            Array.ForEach(shape.Emails, names.AddEmailAddress);
            yield return names.Build();
        }
        foreach (var extension in shape.Extensions)
            yield return extension;
    }
}
