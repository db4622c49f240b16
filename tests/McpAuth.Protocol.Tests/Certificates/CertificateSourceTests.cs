using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol.Certificates;
using McpAuth.Testing;

namespace McpAuth.Protocol.Tests.Certificates;

/// <summary>Which certificate a request came with, by what its connection and a header say.</summary>
public sealed class CertificateSourceTests
{
    private const string Structured = "Client-Cert", Escaped = "X-Ssl-Cert";

    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
    private static readonly X509Certificate2 Certificate = TestCertificates.SelfSigned(Now), Other = TestCertificates.SelfSigned(Now);

    [Fact]
    [Trait("Spec", "RFC8705-3.1")]
    public void Connection_WithACertificate_IsItsThumbprint()
    {
        var read = new CertificateSource(null).Read(Certificate, [], fromProxy: false, Now);

        Assert.Equal(Certificate.Thumbprint(), read.Value!.Thumbprint);
        Assert.Equal(Certificate.RawData, read.Value.Der.ToArray());
    }

    /// <summary>The standard's own example (RFC 8705, appendix A).</summary>
    [Fact]
    [Trait("Spec", "RFC8705-3.1")]
    public void Certificate_OfTheStandardsExample_HasItsThumbprint()
    {
        const string der =
            "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqG"
            + "SM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1A"
            + "GHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";

        Assert.Equal("A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0", ClientCertificate.Parse(Convert.FromBase64String(der)).Value.Thumbprint);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(Structured)]
    [InlineData(Escaped)]
    public void Nothing_IsNoCertificate(string? header) => Assert.Null(new CertificateSource(header).Read(null, [], fromProxy: true, Now).Value);

    [Fact]
    [Trait("Spec", "RFC9440-2.1")]
    public void ClientCert_OfATrustedProxy_IsTheStructuredField() => Assert.Equal(Certificate.Thumbprint(), Read(Structured, Certificate.Structured()).Value!.Thumbprint);

    [Theory]
    [InlineData("client-cert")]
    [InlineData("CLIENT-CERT")]
    public void ClientCert_InAnyCase_IsTheStructuredField(string name) => Assert.True(Read(name, Certificate.Structured()).Ok);

    [Fact]
    public void OtherHeader_OfATrustedProxy_IsEscapedPem()
    {
        Assert.Equal(Certificate.Thumbprint(), Read(Escaped, Certificate.EscapedPem()).Value!.Thumbprint);
        // Some leave what base64 and PEM need as it is, and end without a line feed.
        var lax = Certificate.ExportCertificatePem().Replace("\n", "%0A", StringComparison.Ordinal).Replace(" ", "%20", StringComparison.Ordinal);
        Assert.Equal(Certificate.Thumbprint(), Read(Escaped, lax).Value!.Thumbprint);
    }

    [Theory]
    [InlineData(Structured)]
    [InlineData(Escaped)]
    public void EmptyHeader_OfATrustedProxy_IsNoCertificate(string header) => Assert.Null(Read(header, "").Value);

    [Theory]
    [InlineData(null, true)]
    [InlineData(null, false)]
    [InlineData(Structured, false)]
    [InlineData(Escaped, false)]
    [Trait("Attack", "114")]
    public void Header_NotOfATrustedProxy_IsRefusedWhateverItHolds(string? header, bool fromProxy)
    {
        var source = new CertificateSource(header);
        foreach (var value in new[] { Certificate.Structured(), Certificate.EscapedPem(), "", "rubbish" })
        {
            Assert.Equal("certificate_header_untrusted", source.Read(null, [value], fromProxy, Now).Fault!.Code);
            Assert.Equal("certificate_header_untrusted", source.Read(Certificate, [value], fromProxy, Now).Fault!.Code);
        }
    }

    [Fact]
    public void Header_NoneExpected_IsTheStandards() => Assert.Equal(Structured, new CertificateSource(null).Header);

    [Fact]
    [Trait("Attack", "114")]
    public void Header_SentTwiceOrBesideTheConnectionsCertificate_IsRefused()
    {
        var source = new CertificateSource(Structured);
        Assert.Equal("certificate_twice", source.Read(null, [Certificate.Structured(), Certificate.Structured()], fromProxy: true, Now).Fault!.Code);
        Assert.Equal("certificate_twice", source.Read(null, [Certificate.Structured(), ""], fromProxy: true, Now).Fault!.Code);
        Assert.Equal("certificate_twice", source.Read(Certificate, [Certificate.Structured()], fromProxy: true, Now).Fault!.Code);
        Assert.Equal("certificate_twice", source.Read(Certificate, [""], fromProxy: true, Now).Fault!.Code);
        // What an intermediary makes of two.
        Assert.Equal("certificate_malformed", Read(Structured, $"{Certificate.Structured()}, {Other.Structured()}").Fault!.Code);
        Assert.Equal("certificate_malformed", Read(Escaped, $"{Certificate.EscapedPem()},{Other.EscapedPem()}").Fault!.Code);
    }

    public static TheoryData<string, string> Malformed
    {
        get
        {
            var (base64, pem) = (Convert.ToBase64String(Certificate.RawData), Certificate.ExportCertificatePem());
            string Escape(string text) => Uri.EscapeDataString(text);
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            return new()
            {
                { Structured, base64 }, { Structured, $":{base64}" }, { Structured, $"{base64}:" }, { Structured, "::" }, { Structured, ":" }, { Structured, ":AAAA:" },
                { Structured, $":{base64}:;a=1" }, { Structured, $":{base64[..8]} {base64[8..]}:" }, { Structured, $":{base64[..8]}\n{base64[8..]}:" },
                { Structured, $":{Convert.ToBase64String([.. Certificate.RawData, 0])}:" }, { Structured, $":{Convert.ToBase64String(Certificate.RawData[..^1])}:" },
                { Structured, $":{Convert.ToBase64String([.. Certificate.RawData, .. Other.RawData])}:" }, { Structured, $":{Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(pem))}:" },
                { Structured, Certificate.EscapedPem() }, { Structured, $"\":{base64}:\"" },
                { Escaped, Certificate.Structured() }, { Escaped, base64 }, { Escaped, pem }, { Escaped, Escape(base64) }, { Escaped, "%" }, { Escaped, Escape("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----") },
                { Escaped, Escape(pem + Other.ExportCertificatePem()) }, { Escaped, Escape("Subject: agent\n" + pem) }, { Escaped, Escape(pem + "\ntrailing") }, { Escaped, Escape(pem) + "\u0000" },
                { Escaped, Escape(pem.Replace("CERTIFICATE", "TRUSTED CERTIFICATE", StringComparison.Ordinal)) }, { Escaped, Escape(key.ExportPkcs8PrivateKeyPem()) },
                { Escaped, Escape(PemEncoding.WriteString("CERTIFICATE", [.. Certificate.RawData, .. Other.RawData])) }, { Escaped, Escape(PemEncoding.WriteString("CERTIFICATE", new byte[64])) },
                { Escaped, Escape(Escape(pem)) }, { Escaped, Escape(pem + "\0") },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Malformed))]
    [Trait("Attack", "114")]
    public void Header_NotExactlyOneCertificate_IsMalformed(string header, string value) => Assert.Equal("certificate_malformed", Read(header, value).Fault!.Code);

    [Fact]
    public void Certificate_LongerThanTheBound_IsRefusedBeforeItIsRead()
    {
        var large = TestCertificates.SelfSigned(Now, new() { Dns = [.. Enumerable.Range(0, 200).Select(i => $"host-{i}.of-a-rather-long-name.example")] });
        Assert.True(large.RawData.Length > Limits.Certificate);

        Assert.Equal("certificate_too_large", new CertificateSource(null).Read(large, [], false, Now).Fault!.Code);
        Assert.Equal("certificate_too_large", Read(Structured, large.Structured()).Fault!.Code);
        Assert.Equal("certificate_too_large", Read(Escaped, large.EscapedPem()).Fault!.Code);
        Assert.Equal("certificate_too_large", Read(Escaped, new string('%', 17 * 1024)).Fault!.Code);
        Assert.Equal("certificate_too_large", ClientCertificate.Parse(large.RawData).Fault!.Code);
        // Just below, both forms fit their header.
        var most = TestCertificates.SelfSigned(Now, new() { Dns = [.. Enumerable.Range(0, 170).Select(i => $"host-{i:000}.of-a-rather-long-name.example")] });
        Assert.InRange(most.RawData.Length, Limits.Certificate * 3 / 4, Limits.Certificate);
        Assert.True(Read(Structured, most.Structured()).Ok);
        Assert.True(Read(Escaped, most.EscapedPem()).Ok);
    }

    [Theory]
    [InlineData(-3600, -31, "certificate_expired")]
    [InlineData(-3600, -30, null)]
    [InlineData(-3600, 0, null)]
    [InlineData(0, 3600, null)]
    [InlineData(30, 3600, null)]
    [InlineData(31, 3600, "certificate_not_yet_valid")]
    [Trait("Spec", "RFC5280-4.1.2.5")]
    public void Certificate_OutsideItsTime_IsRefusedGiveOrTakeTheSkew(int from, int to, string? code)
    {
        var certificate = TestCertificates.SelfSigned(Now, new() { From = TimeSpan.FromSeconds(from), To = TimeSpan.FromSeconds(to) });

        foreach (var read in new[] { new CertificateSource(null).Read(certificate, [], false, Now), Read(Structured, certificate.Structured()), Read(Escaped, certificate.EscapedPem()) })
            Assert.Equal(code, read.Fault?.Code);
    }

    [Fact]
    [Trait("Spec", "RFC5280-4.1.2.5")]
    public void Certificate_ForEver_IsInForce()
    {
        var certificate = TestCertificates.SelfSigned(Now, new() { To = new DateTimeOffset(9999, 12, 31, 23, 59, 59, TimeSpan.Zero) - Now });

        Assert.True(new CertificateSource(null).Read(certificate, [], false, Now).Ok);
    }

    [Theory]
    [InlineData("Client-Cert", true)]
    [InlineData("x_ssl.cert", true)]
    [InlineData("", false)]
    [InlineData("a b", false)]
    [InlineData("a:b", false)]
    [InlineData("a\r\nb", false)]
    [InlineData("é", false)]
    public void HeaderName_IsAToken(string name, bool valid) => Assert.Equal(valid, CertificateSource.IsHeaderName(name));

    private static Result<ClientCertificate?> Read(string header, string value) => new CertificateSource(header).Read(null, [value], fromProxy: true, Now);
}
