using System.Formats.Asn1;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;

namespace McpAuthServer.Clients;

/// <summary>The one name by which a client of <c>tls_client_auth</c> is known in its certificate (RFC 8705 §2.1.2).</summary>
internal sealed record CertificateSubject
{
    private const string AlternativeNames = "2.5.29.17";

    // GeneralName (RFC 5280 §4.2.1.6).
    private static readonly Asn1Tag Email = new(TagClass.ContextSpecific, 1), Dns = new(TagClass.ContextSpecific, 2), Uri = new(TagClass.ContextSpecific, 6), Ip = new(TagClass.ContextSpecific, 7);

    private CertificateSubject(string parameter, string value) => (Parameter, Value) = (parameter, value);

    /// <summary>The client metadata parameters, of which a client has exactly one.</summary>
    public static IReadOnlyList<string> Parameters { get; } = [Names.Mtls.SubjectDn, Names.Mtls.SanDns, Names.Mtls.SanUri, Names.Mtls.SanIp, Names.Mtls.SanEmail];

    /// <summary>One of <see cref="Parameters"/>.</summary>
    public string Parameter { get; }
    public string Value { get; }

    /// <summary>Null when the value is none of the parameter's.</summary>
    public static CertificateSubject? Of(string parameter, string value)
    {
        var reads = value.Length is > 0 and <= 1000 && parameter switch
        {
            Names.Mtls.SubjectDn => DistinguishedName.Parse(value) is not null,
            // Without wildcards: a certificate is of somebody, not of a zone.
            Names.Mtls.SanDns => value.Length <= 253 && value.Split('.').All(label => label.Length is > 0 and <= 63 && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')),
            Names.Mtls.SanUri => value.All(IsVisible) && System.Uri.TryCreate(value, UriKind.Absolute, out var uri)
                && value.StartsWith(uri.Scheme + ":", StringComparison.OrdinalIgnoreCase) && value.Length > uri.Scheme.Length + 1,
            Names.Mtls.SanIp => Address(value) is not null,
            Names.Mtls.SanEmail => value.All(IsVisible) && value.IndexOf('@') is > 0 and var at && at < value.Length - 1 && value.LastIndexOf('@') == at,
            _ => false,
        };
        return reads ? new(parameter, value) : null;
    }

    /// <summary>As it is stored: <c>parameter=value</c>.</summary>
    public override string ToString() => $"{Parameter}={Value}";

    public static CertificateSubject? Stored(string text) => text.Split('=', 2) is [var parameter, var value] ? Of(parameter, value) : null;

    public bool Matches(X509Certificate2 certificate)
    {
        if (Parameter == Names.Mtls.SubjectDn)
            return DistinguishedName.Parse(Value)!.Matches(certificate.SubjectName);
        var names = Read(certificate);
        return Parameter switch
        {
            Names.Mtls.SanDns => names.Any(n => n.Tag == Dns && n.Text!.Equals(Value, StringComparison.OrdinalIgnoreCase)),
            // X.509-SVID §2: exactly one. Of a certificate with several nobody could say which is meant.
            Names.Mtls.SanUri => names.Where(n => n.Tag == Uri).ToList() is [var only] && only.Text == Value,
            Names.Mtls.SanIp => names.Any(n => n.Tag == Ip && n.Bytes.AsSpan().SequenceEqual(Address(Value)!.GetAddressBytes())),
            // RFC 5280 §7.5: the host without regard to case, the mailbox with.
            _ => names.Any(n => n.Tag == Email && SameMailbox(n.Text!, Value)),
        };
    }

    /// <summary>The one URI that the certificate is of; null where it names none, or several.</summary>
    public static string? OnlyUri(X509Certificate2 certificate) => Read(certificate).Where(n => n.Tag == Uri).ToList() is [var only] ? only.Text : null;

    private static bool SameMailbox(string a, string b) =>
        a.LastIndexOf('@') is > 0 and var at && b.LastIndexOf('@') == at && a.AsSpan(0, at).SequenceEqual(b.AsSpan(0, at))
        && a.AsSpan(at).Equals(b.AsSpan(at), StringComparison.OrdinalIgnoreCase);

    private static IPAddress? Address(string text) =>
        IPAddress.TryParse(text, out var address) && !text.AsSpan().ContainsAny("%[]/")
        && (address.AddressFamily == AddressFamily.InterNetworkV6 || text == address.ToString()) ? address : null;

    private static bool IsVisible(char c) => c is > ' ' and < '\x7f';

    /// <summary>None when the extension is absent, stands twice (RFC 5280 §4.2) or does not read.</summary>
    private static List<(Asn1Tag Tag, string? Text, byte[]? Bytes)> Read(X509Certificate2 certificate)
    {
        var names = new List<(Asn1Tag, string?, byte[]?)>();
        if (certificate.Extensions.Where(e => e.Oid?.Value == AlternativeNames).ToList() is not [var extension])
            return names;
        try
        {
            var reader = new AsnReader(extension.RawData, AsnEncodingRules.DER);
            var sequence = reader.ReadSequence();
            reader.ThrowIfNotEmpty();
            while (sequence.HasData)
            {
                var tag = sequence.PeekTag();
                if (tag == Email || tag == Dns || tag == Uri)
                    names.Add((tag, sequence.ReadCharacterString(UniversalTagNumber.IA5String, tag), null));
                else if (tag == Ip)
                    names.Add((tag, null, sequence.ReadOctetString(tag)));
                else
                    sequence.ReadEncodedValue();
            }
            return names;
        }
        catch (AsnContentException)
        {
            return [];
        }
    }
}
