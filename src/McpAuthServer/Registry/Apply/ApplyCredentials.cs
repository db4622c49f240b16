using McpAuth.Protocol;
using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Jose;
using McpAuthServer.Clients;

namespace McpAuthServer.Registry.Apply;

/// <summary>What a client of a file authenticates by: one method, with exactly what that needs.</summary>
internal static class ApplyCredentials
{
    private static readonly string[] Secrets = ["secret", "secret_hash"], Jwks = ["jwks"], OwnCertificates = ["certificates", "jwks"], Subjects = [.. CertificateSubject.Parameters];

    private static readonly string[] All = [.. Secrets, .. OwnCertificates, .. Subjects];

    /// <summary>Notes what is missing, too much, or of another method.</summary>
    public static void Check(ObjectReader entry, string method)
    {
        string[] alternatives = method switch
        {
            Names.ClientAssertion.None or Names.ClientAssertion.InstanceKey => [],
            Names.ClientAssertion.PrivateKeyJwt => Jwks,
            Names.Mtls.TlsClientAuth => Subjects,
            Names.Mtls.SelfSignedTlsClientAuth => OwnCertificates,
            _ => Secrets,
        };
        var given = Array.FindAll(alternatives, entry.Has);
        if (given.Length == 0 && alternatives.Length > 0)
            entry.Refuse("missing_member", alternatives.Length == 1 ? $"{method} needs it." : $"{method} needs one of {string.Join(", ", alternatives)}.", alternatives[0]);
        // RFC 8705 §2.1.2: exactly one; of two names, or a secret and another's hash, nobody could say which counts.
        foreach (var member in given.Skip(1))
            entry.Refuse("conflict", $"{given[0]} is enough.", member);
        foreach (var member in All.Where(m => entry.Has(m) && !alternatives.Contains(m)))
            entry.Refuse("conflict", $"{method} does not use it.", member);
    }

    /// <summary>Who the client's certificate is of, as it is stored; null when the file does not say.</summary>
    public static string? Subject(ObjectReader entry)
    {
        string? subject = null;
        foreach (var parameter in CertificateSubject.Parameters)
            subject = entry.Text(parameter, text => CertificateSubject.Of(parameter, text) is not null, Expected(parameter), required: false) is { } text
                ? CertificateSubject.Of(parameter, text)!.ToString() : subject;
        return subject;
    }

    /// <summary>Thumbprints of the client's own certificates.</summary>
    public static List<string> Certificates(ObjectReader entry)
    {
        var thumbprints = entry.Texts("certificates", ApplyGrammar.IsHash, "the base64url SHA-256 of a certificate (x5t#S256)");
        if (entry.IsEmptyArray("certificates"))
            entry.Refuse("invalid_value", "There must be a certificate.", "certificates");
        return thumbprints.ConvertAll(t => t.Value);
    }

    /// <summary>RFC 7517 §4.7: the first certificate carries this key. Which one it is does not matter: whatever carries the key is its owner's.</summary>
    public static void CheckCertificates(ObjectReader jwk, VerificationKey key)
    {
        var chain = jwk.Texts("x5c", text => text.Length > 0 && Convert.TryFromBase64String(text, new byte[text.Length], out _) && !text.Any(char.IsWhiteSpace), "a certificate: DER in base64");
        if (jwk.IsEmptyArray("x5c"))
            jwk.Refuse("invalid_value", "There must be a certificate.", "x5c");
        if (chain.Count > 0 && !(ClientCertificate.Parse(Convert.FromBase64String(chain[0].Value)).TryGet(out var certificate, out _) && key.IsKeyOf(certificate)))
            jwk.Refuse("invalid_key", "The certificate does not carry the key.", "x5c");
    }

    private static string Expected(string parameter) => parameter switch
    {
        Names.Mtls.SubjectDn => "a distinguished name (RFC 4514), e.g. CN=agent,O=Example",
        Names.Mtls.SanDns => "a host name without wildcards",
        Names.Mtls.SanUri => "a URI",
        Names.Mtls.SanIp => "an IP address",
        _ => "an e-mail address",
    };
}
