using System.Net;
using System.Text;
using McpAuth.Protocol;
using McpAuthServer.Clients;

namespace McpAuthServer.Registry.Apply;

/// <summary>The words of an apply file; <c>apply.schema.json</c> says the same, and a test holds the two together.</summary>
internal static class ApplyGrammar
{
    public const int FileBytes = 16 * 1024 * 1024, NameLength = 200, PurposeLength = 1000, EmailLength = 254, SecretMinimum = 32, SecretMaximum = 512,
        ResourceLength = 2000, SelectorLength = 1000, SubjectLength = 255;

    public const string Group = "grp_";

    private static readonly string[] ReservedPrefixes =
        [Id.User, Id.Agent, Id.Instance, Id.Task, Id.Grant, Id.Guard, Id.ToolServer, Id.WorkloadIssuer, Id.IdentityProvider, Group];

    public static readonly string[]
        Root = ["$schema", "users", "groups", "agents", "clients", "tool_servers", "edges", "workload_issuers", "tool_classes", "identity_providers"],
        UserMembers = ["id", "name", "email", "groups", "enabled", "administrator", "password", "password_hash"],
        GroupMembers = ["id", "name"],
        AgentMembers = ["id", "name", "owner", "purpose", "tool_class", "state", "ceiling", "hand_off_to", "require_dpop", "client_credentials",
            "max_task_seconds", "review_at", "trust"],
        ToolClassMembers = ["name", "exclusive"],
        TrustMembers = ["issuer", "client", "select"],
        IssuerMembers = ["id", "name", "kind", "issuer", "audience", "jwks", "jwks_uri", "max_seconds", "state"],
        ProviderMembers = ["id", "name", "issuer", "jwks", "jwks_uri", "clients", "links", "link_by_email", "provision", "state"],
        LinkMembers = ["subject", "user"],
        ProvisionMembers = ["email_domains", "groups"],
        ClientMembers = ["id", "name", "agent", "auth_method", "secret", "secret_hash", "jwks", "grant_types", "legacy_audience", "authority", "redirect_uris",
            "post_logout_redirect_uris", "tool_servers", "introspects", "administers", "state", "certificates", .. CertificateSubject.Parameters, Names.Mtls.BoundAccessTokens],
        JwksMembers = ["keys"],
        JwkMembers = ["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "ext", "x5c"],
        ToolServerMembers = ["id", "resource", "name", "owner", "state", "development", "enrolment_secrets", "enrolment_secret_hashes", "tools"],
        ToolMembers = ["name", "sensitivity", "class", "approval", "on_change", "state", "digest"],
        EdgeMembers = ["from", "to"],
        EdgeFromMembers = ["server", "tool"],
        EdgeToMembers = ["server", "tools"];

    /// <summary>Of clients that administer: by a key, never by a secret that somebody else may have read.</summary>
    public static readonly string[] AdministeringMethods = [Names.ClientAssertion.PrivateKeyJwt, Names.Mtls.TlsClientAuth, Names.Mtls.SelfSignedTlsClientAuth];

    public static readonly string[]
        States = [RegistryState.Active, RegistryState.Suspended, RegistryState.Retired],
        ToolStates = [RegistryState.Approved, RegistryState.Retired],
        Sensitivities = [Sensitivity.Read, Sensitivity.Write, Sensitivity.Destructive],
        Approvals = ["none", "required"],
        OnChanges = [OnChange.Hold, OnChange.Accept],
        AuthMethods = [Names.ClientAssertion.None, Names.ClientAssertion.PrivateKeyJwt, Names.ClientAssertion.InstanceKey, Names.ClientAssertion.SecretBasic, Names.ClientAssertion.SecretPost,
            Names.Mtls.TlsClientAuth, Names.Mtls.SelfSignedTlsClientAuth],
        GrantTypes = [Names.OAuth.ClientCredentials, Names.Exchange.GrantType, Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken, Names.Device.GrantType,
            Names.Assertions.JwtBearer, Names.Ciba.GrantType];

    public static bool IsId(string text, string prefix) =>
        text.StartsWith(prefix, StringComparison.Ordinal) && Within(text.AsSpan(prefix.Length), 64, "_-");

    /// <summary>
    /// RFC 9068 §5: a client must not be able to pass for a resource owner. Its id can become a <c>sub</c>, so those of users, agents, guards and
    /// everything else that is told by its prefix are not for clients.
    /// </summary>
    public static bool IsClientId(string text) =>
        Within(text, 200, "._~:/-") && !Array.Exists(ReservedPrefixes, p => text.StartsWith(p, StringComparison.Ordinal));

    public static bool IsClass(string text) => Within(text, 64, "_.-");

    /// <summary>The name of a claim, or of what a platform says in one.</summary>
    public static bool IsSelector(string text) => Within(text, 100, "_.:/-");

    /// <summary>An issuer, or where its keys are: compared character by character.</summary>
    public static bool IsIssuer(string text) => text.StartsWith("https://", StringComparison.Ordinal) && IsResource(text) && !text.Contains('?', StringComparison.Ordinal);

    /// <summary>The host part of an e-mail address, in the one spelling that is compared.</summary>
    public static bool IsDomain(string text) =>
        text.Length <= 253 && text.Contains('.', StringComparison.Ordinal) && text.Split('.').All(label => label.Length > 0 && label.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'));

    public static bool IsToolName(string text) => Within(text, 128, "_./-");

    /// <summary>Visible ASCII (RFC 6749 App. A.2), long enough to be kept as one SHA-256.</summary>
    public static bool IsSecret(string text) => text.Length is >= SecretMinimum and <= SecretMaximum && text.All(c => c is > ' ' and < '\x7f');

    /// <summary>base64url of 32 bytes, in its only spelling: the last character carries two zero bits.</summary>
    public static bool IsHash(string text) => text.Length == 43 && Within(text, 43, "_-") && "AEIMQUYcgkosw048".Contains(text[^1], StringComparison.Ordinal);

    public static bool IsDigest(string text) => text.StartsWith("sha-256:", StringComparison.Ordinal) && IsHash(text["sha-256:".Length..]);

    public static bool IsEmail(string text) =>
        text.Length <= EmailLength && text.IndexOf('@') is > 0 and var at && at < text.Length - 1 && text.LastIndexOf('@') == at &&
        !text.Any(c => char.IsWhiteSpace(c) || char.IsControl(c));

    /// <summary>One line of text; its length counts code points, as JSON Schema does.</summary>
    public static bool IsLine(string text, int most)
    {
        var length = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if (Rune.IsControl(rune))
                return false;
            length++;
        }
        return length >= 1 && length <= most;
    }

    /// <summary>
    /// An audience: an absolute URI without a fragment (RFC 8707 §2), https except on this machine, without credentials.
    /// It is compared character by character, so no escaping or case folding is done here.
    /// </summary>
    public static bool IsResource(string text)
    {
        if (text.Length > ResourceLength || text.Any(c => c is <= ' ' or >= '\x7f' or '#' or '\\' or '"' or '<' or '>' or '^' or '`' or '{' or '|' or '}'))
            return false;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0 || AuthorityOf(text).Contains('@'))
            return false;
        return text.StartsWith("https://", StringComparison.Ordinal) || (text.StartsWith("http://", StringComparison.Ordinal) && IsLoopback(uri));
    }

    /// <summary>An audience on this machine, whatever its scheme: 127.0.0.0/8, ::1 or localhost.</summary>
    public static bool IsLoopback(string resource) => Uri.TryCreate(resource, UriKind.Absolute, out var uri) && IsLoopback(uri);

    private static ReadOnlySpan<char> AuthorityOf(string text)
    {
        var rest = text.AsSpan(text.IndexOf("//", StringComparison.Ordinal) + 2);
        var end = rest.IndexOfAny('/', '?');
        return end < 0 ? rest : rest[..end];
    }

    private static bool IsLoopback(Uri uri) => uri.HostNameType switch
    {
        UriHostNameType.Dns => uri.Host == "localhost",
        UriHostNameType.IPv4 or UriHostNameType.IPv6 => IPAddress.IsLoopback(IPAddress.Parse(uri.DnsSafeHost)),
        _ => false,
    };

    private static bool Within(ReadOnlySpan<char> text, int most, ReadOnlySpan<char> others)
    {
        if (text.Length < 1 || text.Length > most)
            return false;
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && !others.Contains(c))
                return false;
        }
        return true;
    }
}
