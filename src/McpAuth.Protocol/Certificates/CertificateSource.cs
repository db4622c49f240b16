using System.Buffers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace McpAuth.Protocol.Certificates;

/// <summary>
/// Which certificate a request came with: that of its own connection, or the one that a trusted proxy, which ended TLS, tells in a header. The
/// header's form follows from its name: <c>Client-Cert</c> is a structured field with the DER bytes (RFC 9440 §2), any other is URL-encoded
/// PEM, as nginx has it in <c>$ssl_client_escaped_cert</c>.
/// </summary>
public sealed class CertificateSource
{
    /// <summary>Base64 and escapes make it longer, never this much.</summary>
    private const int LongestHeader = 2 * Limits.Certificate;

    private static readonly SearchValues<char>
        TokenCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"),
        Base64Characters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="),
        EscapedCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%+/=");

    private readonly bool expected, structured;

    /// <param name="header">What the proxies send; null where certificates only come with the connection.</param>
    public CertificateSource(string? header)
    {
        expected = header is not null;
        Header = header ?? Names.Mtls.ClientCertHeader;
        structured = Header.Equals(Names.Mtls.ClientCertHeader, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The header to look at. Where none is expected it is the standard's, which then nobody may send.</summary>
    public string Header { get; }

    /// <summary>A field name (RFC 9110 §5.1).</summary>
    public static bool IsHeaderName(string name) => name is { Length: > 0 and <= 64 } && !name.AsSpan().ContainsAnyExcept(TokenCharacters);

    /// <summary>
    /// The certificate, in force now; null where the request came with none. Codes: <c>certificate_header_untrusted</c>,
    /// <c>certificate_twice</c>, and those of <see cref="ClientCertificate"/>.
    /// </summary>
    /// <param name="connection">Of the connection itself.</param>
    /// <param name="values">All values of <see cref="Header"/>.</param>
    /// <param name="fromProxy">Whether the connection is one of a trusted proxy.</param>
    public Result<ClientCertificate?> Read(X509Certificate2? connection, IReadOnlyList<string?> values, bool fromProxy, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values.Count == 0)
            return connection is null ? None : InForce(ClientCertificate.Of(connection), now);
        // Whoever is not the proxy and says what the proxy would say is up to something: that is no request without a certificate.
        if (!expected || !fromProxy)
            return new Fault("certificate_header_untrusted", "Only a trusted proxy may tell a client's certificate.");
        // Two fields, or a certificate of the connection beside one: one of them is not the client's.
        if (connection is not null || values is not [var value])
            return new Fault("certificate_twice", "The request came with more than one client certificate.");
        // What some proxies send of a connection without one.
        if (string.IsNullOrEmpty(value))
            return None;
        return InForce(value.Length > LongestHeader ? ClientCertificate.TooLarge : structured ? FromBytes(value) : FromPem(value), now);
    }

    private static Result<ClientCertificate?> None => (ClientCertificate?)null;

    private static Result<ClientCertificate?> InForce(Result<ClientCertificate> found, DateTimeOffset now) =>
        found.TryGet(out var certificate, out var fault) && certificate.InForce(now).TryGet(out certificate, out fault) ? certificate : fault;

    // RFC 9440 §2.1, RFC 9651 §3.3.5: base64 between colons; parameters are not defined for it.
    private static Result<ClientCertificate> FromBytes(ReadOnlySpan<char> value)
    {
        if (value is not [':', .. var base64, ':'] || base64.ContainsAnyExcept(Base64Characters))
            return ClientCertificate.Malformed;
        var der = new byte[base64.Length];
        return Convert.TryFromBase64Chars(base64, der, out var written) ? ClientCertificate.Parse(der.AsSpan(0, written)) : ClientCertificate.Malformed;
    }

    // One block, and nothing around it: which of two would be the client's?
    private static Result<ClientCertificate> FromPem(ReadOnlySpan<char> value)
    {
        if (value.ContainsAnyExcept(EscapedCharacters))
            return ClientCertificate.Malformed;
        var text = Uri.UnescapeDataString(value).AsSpan().Trim();
        if (!PemEncoding.TryFind(text, out var pem) || !text[pem.Label].SequenceEqual("CERTIFICATE") || text[pem.Location].Length != text.Length)
            return ClientCertificate.Malformed;
        var der = new byte[pem.DecodedDataLength];
        return Convert.TryFromBase64Chars(text[pem.Base64Data], der, out var written) ? ClientCertificate.Parse(der.AsSpan(0, written)) : ClientCertificate.Malformed;
    }
}
