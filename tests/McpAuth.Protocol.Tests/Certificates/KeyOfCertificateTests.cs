using System.Security.Cryptography;
using System.Text.Json;
using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;

namespace McpAuth.Protocol.Tests.Certificates;

public sealed class KeyOfCertificateTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("P-256")]
    [InlineData("P-384")]
    [InlineData("RSA")]
    [Trait("Spec", "RFC7517-4.7")]
    public void Certificate_OfTheKey_CarriesItAndNoOther(string kind)
    {
        using var own = Create(kind);
        using var other = Create(kind);
        var key = Public(own);

        Assert.True(key.IsKeyOf(Certificate(own)));
        // The same key in a renewed certificate.
        Assert.True(key.IsKeyOf(Certificate(own)));
        Assert.False(key.IsKeyOf(Certificate(other)));
    }

    /// <summary>CVE-2020-0601: the point is the victim's, the curve is made so that its private key is one.</summary>
    [Fact]
    public void Certificate_OfTheSamePointOnAMadeUpCurve_DoesNotCarryTheKey()
    {
        using var victim = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var key = Public(victim);
        using var named = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var curve = named.ExportExplicitParameters(false).Curve;
        var point = victim.ExportParameters(false).Q;
        // The generator is the victim's own point, so that the private key is 1. The certificate is not signed by it: nobody asks.
        curve.G = point;
        var spki = Forged(curve, point);
        using var any = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest(
            new("CN=victim"), System.Security.Cryptography.X509Certificates.PublicKey.CreateFromSubjectPublicKeyInfo(spki, out _), HashAlgorithmName.SHA256);
        using var forged = request.Create(
            new("CN=victim"), System.Security.Cryptography.X509Certificates.X509SignatureGenerator.CreateForECDsa(any), Now.AddDays(-1), Now.AddDays(1), [1]);

        Assert.False(key.IsKeyOf(ClientCertificate.Parse(forged.RawData).Value));
        Assert.True(key.IsKeyOf(Certificate(victim)));
    }

    private static byte[] Forged(ECCurve curve, ECPoint point)
    {
        var writer = new System.Formats.Asn1.AsnWriter(System.Formats.Asn1.AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            {
                writer.WriteObjectIdentifier("1.2.840.10045.2.1");
                // ECParameters (RFC 3279 §2.3.5), spelled out.
                using (writer.PushSequence())
                {
                    writer.WriteInteger(1);
                    using (writer.PushSequence())
                    {
                        writer.WriteObjectIdentifier("1.2.840.10045.1.1");
                        writer.WriteIntegerUnsigned(curve.Prime!);
                    }
                    using (writer.PushSequence())
                    {
                        writer.WriteOctetString(curve.A!);
                        writer.WriteOctetString(curve.B!);
                    }
                    writer.WriteOctetString([4, .. curve.G.X!, .. curve.G.Y!]);
                    writer.WriteIntegerUnsigned(curve.Order!);
                    writer.WriteInteger(1);
                }
            }
            writer.WriteBitString([4, .. point.X!, .. point.Y!]);
        }
        return writer.Encode();
    }

    private static AsymmetricAlgorithm Create(string kind) => kind switch
    {
        "P-256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
        "P-384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
        _ => RSA.Create(2048),
    };

    private static ClientCertificate Certificate(AsymmetricAlgorithm key)
    {
        using var certificate = TestCertificates.SelfSigned(Now, new() { Key = key });
        return ClientCertificate.Of(certificate).Value;
    }

    private static VerificationKey Public(AsymmetricAlgorithm key)
    {
        string Text(byte[] bytes) => Base64Url.Encode(bytes);
        var json = key is RSA rsa && rsa.ExportParameters(false) is var r
            ? JsonSerializer.Serialize(new { kty = "RSA", n = Text(r.Modulus!), e = Text(r.Exponent!) })
            : ((ECDsa)key).ExportParameters(false).Q is var q ? JsonSerializer.Serialize(new { kty = "EC", crv = q.X!.Length == 32 ? "P-256" : "P-384", x = Text(q.X), y = Text(q.Y!) }) : "";
        return VerificationKey.FromJwk(JsonElement.Parse(json)).Value;
    }
}
