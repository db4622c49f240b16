using System.Net;
using McpAuth.Protocol.Network;
using McpAuthServer.Abuse;
using McpAuthServer.CallApprovals;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Clients.Registrations;
using McpAuthServer.Http;

namespace McpAuthServer;

/// <summary>The server's configuration (section <c>McpAuth</c>). Every default is the secure one.</summary>
public sealed class ServerOptions
{
    public const string Section = "McpAuth";

    /// <summary>
    /// The issuer identifier (RFC 8414 §2): https, or http on a loopback address. Every URL the server publishes is built from it,
    /// never from a request. Required.
    /// </summary>
    public string Issuer { get; set; } = "";

    /// <summary>Where the embedded database and, on a loopback issuer, the generated key-encryption key live.</summary>
    public string DataDirectory { get; set; } = "data";

    /// <summary>A PostgreSQL connection string; empty = the embedded SQLite database in <see cref="DataDirectory"/>.</summary>
    public string? Postgres { get; set; }

    /// <summary>
    /// Path of a file with the key-encryption key: 32 bytes in base64. It wraps the signing keys in the database and must not live there.
    /// Mandatory unless the issuer is loopback (then one is generated in <see cref="DataDirectory"/>).
    /// </summary>
    public string? KeyEncryptionKeyFile { get; set; }

    /// <summary>The key-encryption key itself, base64; for an environment variable. Excludes <see cref="KeyEncryptionKeyFile"/>.</summary>
    public string? KeyEncryptionKey { get; set; }

    /// <summary><c>ES256</c> (default) or <c>RS256</c>: the algorithm of signing keys made from now on; those there are stay what they are.</summary>
    public string SigningAlgorithm { get; set; } = "ES256";

    /// <summary>
    /// How long a signing key signs before the next one does; more than <see cref="KeyPublishedAhead"/> and at most three years. It
    /// cannot be turned off: a rotation that never happens is one that fails when it must.
    /// </summary>
    public TimeSpan KeyRotation { get; set; } = TimeSpan.FromDays(90);

    /// <summary>
    /// How long the next signing key is published before it signs; at least 10 minutes, so that it is everywhere by then: a cache may keep the key set for
    /// five, and whoever asked that cache for another five.
    /// </summary>
    public TimeSpan KeyPublishedAhead { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Names this node in audit events.</summary>
    public string Node { get; set; } = Environment.MachineName;

    /// <summary>Life of access tokens; at most 5 minutes.</summary>
    public TimeSpan AccessTokenLifetime { get; set; } = McpAuth.Protocol.Limits.AccessToken;

    /// <summary>
    /// Whether every DPoP proof must carry a nonce of this server (RFC 9449 §8), so that none can be made in advance: with somebody's key in reach
    /// for a moment, proofs for later. It costs a client one more request when it begins, and after two minutes of silence.
    /// </summary>
    public bool RequireDpopNonce { get; set; }

    /// <summary>
    /// How long what a decision was made on is kept, encrypted, so that it can be made again: arguments, as far as policies read them. Zero: not at all. At most ten years.
    /// </summary>
    public TimeSpan DecisionRetention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Units that may wait in the commit log before callers get 503.</summary>
    public int CommitQueue { get; set; } = 4096;

    /// <summary>What one connection may cost.</summary>
    public ConnectionLimits Connections { get; } = new();

    /// <summary>How often one address, client or account may ask for what.</summary>
    public RateLimitOptions RateLimits { get; } = new();

    /// <summary>Clients that are known by the address of a document about them.</summary>
    public ClientDocumentOptions ClientDocuments { get; } = new();

    /// <summary>Clients that register themselves.</summary>
    public DynamicRegistrationOptions DynamicRegistration { get; } = new();

    /// <summary>
    /// Addresses and CIDR prefixes of the reverse proxies before this server. Only a request whose TCP peer is one of them is believed when it
    /// says, in <c>X-Forwarded-For</c>, which client it is from, and in <see cref="MtlsOptions.Header"/> with which certificate; of no request is
    /// anything else believed. Empty = no proxy.
    /// </summary>
    public IReadOnlyList<string> Proxies { get; set; } = [];

    /// <summary>How people learn of calls that wait for their approval.</summary>
    public ApprovalOptions Approvals { get; } = new();

    /// <summary>Client certificates: off.</summary>
    public MtlsOptions Mtls { get; set; } = new();

    private static readonly TimeSpan LongestRetention = TimeSpan.FromDays(10 * 365);

    private static readonly TimeSpan LongestKeyRotation = TimeSpan.FromDays(3 * 365);

    internal IEnumerable<string> Faults()
    {
        if (!Uri.TryCreate(Issuer, UriKind.Absolute, out var issuer))
            yield return "McpAuth:Issuer must be an absolute URI, e.g. https://auth.example";
        else if (issuer.Scheme != Uri.UriSchemeHttps && !(issuer.Scheme == Uri.UriSchemeHttp && IsLoopback(issuer)))
            yield return $"McpAuth:Issuer must be https, or http on a loopback address; '{Issuer}' is neither";
        else if (issuer.Query.Length > 0 || issuer.Fragment.Length > 0 || issuer.UserInfo.Length > 0 || Issuer.EndsWith('/'))
            yield return "McpAuth:Issuer must have no query, fragment, user information or trailing slash (RFC 8414 §2)"; // RFC 8414 §2
        // Clients compare the issuer byte for byte and build addresses from it: one spelling, and a path that needs no escapes anywhere.
        else if (issuer.AbsoluteUri.TrimEnd('/') != Issuer || !issuer.AbsolutePath.All(IsPlain) || issuer.AbsolutePath.Contains("//", StringComparison.Ordinal))
            yield return $"McpAuth:Issuer must be in its normal form, with a path of A-Z a-z 0-9 - . _ ~ only, e.g. {issuer.GetLeftPart(UriPartial.Authority)}/tenant";
        else if (KeyEncryptionKey is null && KeyEncryptionKeyFile is null && !IsLoopback(issuer))
            yield return "McpAuth:KeyEncryptionKeyFile or McpAuth:KeyEncryptionKey is mandatory unless the issuer is loopback";
        if (KeyEncryptionKey is not null && KeyEncryptionKeyFile is not null)
            yield return "McpAuth:KeyEncryptionKey and McpAuth:KeyEncryptionKeyFile exclude each other";
        if (SigningAlgorithm is not ("ES256" or "RS256"))
            yield return "McpAuth:SigningAlgorithm must be ES256 or RS256";
        if (KeyPublishedAhead < 2 * McpAuth.Protocol.Limits.KeySetAge)
            yield return "McpAuth:KeyPublishedAhead must be at least 10 minutes";
        if (KeyRotation <= KeyPublishedAhead || KeyRotation > LongestKeyRotation)
            yield return "McpAuth:KeyRotation must be more than McpAuth:KeyPublishedAhead and at most three years";
        if (AccessTokenLifetime <= TimeSpan.Zero || AccessTokenLifetime > McpAuth.Protocol.Limits.AccessToken)
            yield return "McpAuth:AccessTokenLifetime must be more than zero and at most 5 minutes";
        if (DecisionRetention < TimeSpan.Zero || DecisionRetention > LongestRetention)
            yield return "McpAuth:DecisionRetention must be between zero and ten years";
        if (CommitQueue is < 1 or > 1_000_000)
            yield return "McpAuth:CommitQueue must be between 1 and 1000000";
        if (Node.Length is 0 or > 64)
            yield return "McpAuth:Node must be 1 to 64 characters";
        foreach (var fault in Connections.Faults().Concat(RateLimits.Faults()).Concat(ClientDocuments.Faults()).Concat(DynamicRegistration.Faults()).Concat(Approvals.Faults()))
            yield return fault;
        foreach (var proxy in Proxies)
            if (!TrustedProxies.TryParse(proxy, out _, out var why))
                yield return $"McpAuth:Proxies: '{proxy}' {why}";
        foreach (var fault in Mtls.Faults(this))
            yield return fault;
    }

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '/' or '-' or '.' or '_' or '~';

    // Uri.IsLoopback also accepts names that a resolver could point elsewhere; only the literal addresses and `localhost` count.
    internal static bool IsLoopback(Uri uri) =>
        uri.Host == "localhost" || (IPAddress.TryParse(uri.DnsSafeHost, out var address) && IPAddress.IsLoopback(address));
}
