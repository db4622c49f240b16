using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol.Certificates;

namespace McpAuthServer.Clients;

/// <summary>Whether given authorities vouch for a client's certificate; nobody else is asked, and nothing is fetched.</summary>
internal static class CertificateChain
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>Null when a root vouches for the certificate as a client's; else the reason why none does.</summary>
    public static string? Refuse(
        X509Certificate2Collection roots, X509Certificate2Collection intermediates, ClientCertificate client, X509Certificate2 certificate, DateTimeOffset now)
    {
        // An authority's own certificate leads to a root as well, but is not for saying who one is.
        if (IsAuthority(certificate))
            return "certificate_usage";
        using var chain = new X509Chain();
        var policy = chain.ChainPolicy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(roots);
        policy.ExtraStore.AddRange(intermediates);
        // A certificate names places to fetch from; whoever made it chose them.
        policy.DisableCertificateDownloads = true;
        policy.RevocationMode = X509RevocationMode.NoCheck;
        // It, and every authority above it, says nothing of its use or says this one.
        policy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        // The certificate itself was found to be in force, give or take the skew: the chain is judged at the nearest moment at which it is. To the
        // platform its last second is over already.
        var last = client.NotAfter.AddSeconds(-1);
        policy.VerificationTime = (now < client.NotBefore ? client.NotBefore : now > last ? last : now).UtcDateTime;
        if (chain.Build(certificate))
            return null;
        return chain.ChainStatus.Any(s => s.Status == X509ChainStatusFlags.NotValidForUsage) ? "certificate_usage" : "untrusted_certificate";
    }

    // RFC 5280 §4.2.1.9.
    public static bool IsAuthority(X509Certificate2 certificate) => certificate.Extensions.OfType<X509BasicConstraintsExtension>().Any(b => b.CertificateAuthority);
}
