using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Clients;

namespace McpAuthServer.Tests.Clients;

/// <summary>Which names in a certificate are a client's.</summary>
public sealed class CertificateSubjectTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    // The certificate's name as RFC 4514 writes it, most specific first, and as tools print it.
    [InlineData("CN=agent,O=Example", "CN=agent, O=Example", true)]
    [InlineData("CN=agent, O=Example", "CN=agent, O=Example", true)]
    [InlineData("cn=agent,o=Example", "CN=agent, O=Example", true)]
    [InlineData("2.5.4.3=agent,2.5.4.10=Example", "CN=agent, O=Example", true)]
    [InlineData(@"CN=a\,b,O=x\+y", "CN=\"a,b\", O=\"x+y\"", true)]
    [InlineData(@"CN=a\2Cb,O=x\2By", "CN=\"a,b\", O=\"x+y\"", true)]
    [InlineData(@"CN=M\C3\BCller", "CN=Müller", true)]
    [InlineData("CN=Müller", "CN=Müller", true)]
    [InlineData(@"CN=a\=b=c", "CN=\"a=b=c\"", true)]
    [InlineData("serialNumber=7,UID=u,DC=b,DC=a", "SERIALNUMBER=7, 0.9.2342.19200300.100.1.1=u, DC=b, DC=a", true)]
    // Anything else is another name.
    [InlineData("O=Example,CN=agent", "CN=agent, O=Example", false)]
    [InlineData("CN=agent", "CN=agent, O=Example", false)]
    [InlineData("CN=agent,O=Example,C=DE", "CN=agent, O=Example", false)]
    [InlineData("CN=Agent,O=Example", "CN=agent, O=Example", false)]
    [InlineData("CN=agent,O=Example", "CN=\"agent,O=Example\"", false)]
    [InlineData(@"CN=agent\,O\=Example", "CN=agent, O=Example", false)]
    [InlineData("CN=agent,O=Example", "CN=agent, OU=Example", false)]
    [InlineData("CN=agent,O=Example", "CN=agent+O=Example", false)]
    [InlineData("CN=agent", "CN=agent, CN=agent", false)]
    [InlineData("CN=agent", "CN=\"agent \"", false)]
    [Trait("Spec", "RFC8705-2.1.2")]
    public void SubjectDn_IsComparedAttributeByAttribute(string registered, string subject, bool matches) =>
        Assert.Equal(matches, Matches(Names.Mtls.SubjectDn, registered, new() { Subject = subject }));

    [Theory]
    [InlineData("")]
    [InlineData("agent")]
    [InlineData("=agent")]
    [InlineData("CN=")]
    [InlineData("CN=agent,")]
    [InlineData(",CN=agent")]
    [InlineData("CN=agent,,O=Example")]
    [InlineData("CN=agent+O=Example")]
    [InlineData("CN=#0C0161")]
    [InlineData("CN= agent")]
    [InlineData("CN=agent ,O=Example")]
    [InlineData("CN=agent ")]
    [InlineData("CN=a\"b")]
    [InlineData("CN=a;b")]
    [InlineData("CN=<a>")]
    [InlineData(@"CN=a\")]
    [InlineData(@"CN=a\x")]
    [InlineData(@"CN=\C3")]
    [InlineData("XY=agent")]
    [InlineData("2.05.4=agent")]
    [InlineData(" CN=agent")]
    public void SubjectDn_OfAnotherForm_IsNotTaken(string text) => Assert.Null(CertificateSubject.Of(Names.Mtls.SubjectDn, text));

    [Theory]
    [InlineData(Names.Mtls.SanDns, "agent.example", true)]
    [InlineData(Names.Mtls.SanDns, "AGENT.example", true)]
    [InlineData(Names.Mtls.SanDns, "second.example", true)]
    [InlineData(Names.Mtls.SanDns, "a.zone.example", false)]
    [InlineData(Names.Mtls.SanDns, "example", false)]
    [InlineData(Names.Mtls.SanIp, "10.0.0.1", true)]
    [InlineData(Names.Mtls.SanIp, "2001:0db8::0001", true)]
    [InlineData(Names.Mtls.SanIp, "10.0.0.2", false)]
    [InlineData(Names.Mtls.SanIp, "::ffff:10.0.0.1", false)]
    [InlineData(Names.Mtls.SanEmail, "agent@example.org", true)]
    [InlineData(Names.Mtls.SanEmail, "agent@EXAMPLE.org", true)]
    [InlineData(Names.Mtls.SanEmail, "Agent@example.org", false)]
    [InlineData(Names.Mtls.SanEmail, "agent@example.org.evil", false)]
    [InlineData(Names.Mtls.SanUri, "spiffe://example.org/agent", true)]
    [InlineData(Names.Mtls.SanUri, "spiffe://example.org/Agent", false)]
    [InlineData(Names.Mtls.SanUri, "spiffe://example.org/agent/", false)]
    // A name of one kind is not one of another.
    [InlineData(Names.Mtls.SanDns, "10.0.0.1", false)]
    [InlineData(Names.Mtls.SanDns, "agent", false)]
    [Trait("Spec", "RFC8705-2.1.2")]
    public void AlternativeName_IsFoundAmongThoseOfItsKind(string parameter, string registered, bool matches) => Assert.Equal(matches, Matches(parameter, registered, new()
    {
        Dns = ["agent.example", "second.example", "*.zone.example"], Addresses = ["10.0.0.1", "2001:db8::1"], Emails = ["agent@example.org"], Uris = ["spiffe://example.org/agent"],
    }));

    [Fact]
    [Trait("Spec", "X509-SVID-2")]
    public void Uri_BesideAnother_IsNobodys()
    {
        var shape = new CertificateShape { Uris = ["spiffe://example.org/agent", "spiffe://example.org/other"] };

        Assert.False(Matches(Names.Mtls.SanUri, "spiffe://example.org/agent", shape));
        Assert.False(Matches(Names.Mtls.SanUri, "spiffe://example.org/other", shape));
    }

    [Fact]
    public void AlternativeNames_AbsentTwiceOrBroken_AreNone()
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("agent.example");
        var right = names.Build();

        foreach (var extensions in new X509Extension[][] { [], [new(right.Oid!, right.RawData[..^1], false)], [new(right.Oid!, [.. right.RawData, 0], false)] })
            Assert.False(Matches(Names.Mtls.SanDns, "agent.example", new() { Extensions = extensions }));
        Assert.True(Matches(Names.Mtls.SanDns, "agent.example", new() { Extensions = [right] }));

        // Nobody issues one with two, so the other is made of an extension whose OID differs in its last byte (2.5.29.18).
        using var one = TestCertificates.SelfSigned(Now, new() { Extensions = [right, new("2.5.29.18", right.RawData, false)] });
        var der = one.RawData;
        der[der.AsSpan().IndexOf<byte>([0x55, 0x1d, 0x12]) + 2] = 0x11;
        using var two = X509CertificateLoader.LoadCertificate(der);
        Assert.Equal(2, two.Extensions.Count(e => e.Oid!.Value == right.Oid!.Value));
        Assert.True(CertificateSubject.Of(Names.Mtls.SanDns, "agent.example")!.Matches(one));
        Assert.False(CertificateSubject.Of(Names.Mtls.SanDns, "agent.example")!.Matches(two));
    }

    private static bool Matches(string parameter, string registered, CertificateShape shape)
    {
        using var certificate = TestCertificates.SelfSigned(Now, shape);
        var subject = CertificateSubject.Of(parameter, registered);
        Assert.NotNull(subject);
        Assert.Equal(subject, CertificateSubject.Stored(subject.ToString()));
        return subject.Matches(certificate);
    }
}
