using System.Collections.Frozen;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Clients;
using GrantedAuthority = McpAuth.Protocol.ToolCalls.Authority;

namespace McpAuthServer.Registry;

/// <summary>A governed non-human identity.</summary>
/// <param name="State"><c>active</c>, <c>suspended</c> or <c>retired</c>.</param>
/// <param name="Ceiling">All it may ever get.</param>
/// <param name="ClientCredentials">Whether it may get a task's token without an instance.</param>
internal sealed record AgentRecord(
    string Id, string Name, string Owner, string Purpose, string State, GrantedAuthority Ceiling, IReadOnlySet<string> HandOffTo,
    bool RequireDpop, bool ClientCredentials, TimeSpan MaxTask)
{
    public bool Active => State == "active";

    /// <summary>The class it is of; null = none.</summary>
    public string? ToolClass { get; init; }

    /// <summary>When somebody is to look at it again.</summary>
    public DateTimeOffset? Review { get; init; }
}

/// <summary>OAuth software; names the product. When <paramref name="AgentId"/> is set it authenticates that agent.</summary>
/// <param name="SecretHash">base64url SHA-256 of a secret with 256 random bits.</param>
/// <param name="LegacyAudience">Whether the assertion's audience may be one of <see cref="Issuer.LegacyAudiences"/>.</param>
/// <param name="Authority">What a client that is no agent may get for itself.</param>
/// <param name="RedirectUris">Where a person's answer may be sent; exact, but for the port of a loopback address.</param>
/// <param name="ToolServers">Identifiers of those it may ask people for; empty = any that is registered.</param>
/// <param name="Subject">Who its certificate is of, by <c>tls_client_auth</c> (RFC 8705 §2.1.2).</param>
/// <param name="Certificates">Thumbprints (<c>x5t#S256</c>) of its own, by <c>self_signed_tls_client_auth</c>; those of <paramref name="Keys"/> are its own too.</param>
internal sealed record ClientRecord(
    string Id, string Name, string? AgentId, string AuthMethod, string? SecretHash, IReadOnlyList<VerificationKey> Keys,
    IReadOnlySet<string> GrantTypes, bool LegacyAudience, GrantedAuthority Authority, bool Active, IReadOnlyList<string> RedirectUris, IReadOnlySet<string> ToolServers,
    CertificateSubject? Subject = null, IReadOnlySet<string>? Certificates = null)
{
    /// <summary>One of <see cref="ClientOrigin"/>.</summary>
    public string Origin { get; init; } = ClientOrigin.Registered;

    /// <summary>What it said of itself, as it is kept; null when an administrator registered it.</summary>
    public string? Metadata { get; init; }

    /// <summary>Until when its document need not be fetched again, in epoch milliseconds.</summary>
    public long? FreshUntil { get; init; }

    /// <summary>Whether its document is a row, because somebody has allowed it something: what is fetched for it does not wait behind strangers.</summary>
    public bool InUse { get; init; }

    /// <summary>Whether it may also come without authenticating; it authenticates with a key when it does.</summary>
    public bool AlsoPublic { get; init; }

    /// <summary>Where its keys are published, when they are not <see cref="Keys"/>.</summary>
    public string? KeySet { get; init; }

    /// <summary>Whether its authorization requests must be pushed (RFC 9126 §6).</summary>
    public bool RequiresPushed { get; init; }

    /// <summary>Whether all its tokens must be bound to a key (RFC 9449 §5.2).</summary>
    public bool RequiresDpop { get; init; }

    /// <summary>Whether its tokens are bound to the certificate it comes with, and it must come with one (RFC 8705 §3.4).</summary>
    public bool BindsToCertificate { get; init; }

    public IReadOnlySet<string> Certificates { get; } = Certificates ?? FrozenSet<string>.Empty;

    /// <summary>Where a person may be sent after signing out (OpenID Connect RP-Initiated Logout §3.1); exact.</summary>
    public IReadOnlyList<string> PostLogoutRedirectUris { get; init; } = [];

    /// <summary>The tool server that asks about the tokens it gets by authenticating as this client (RFC 7662 §2.1); null for every other client.</summary>
    public string? Introspects { get; init; }

    /// <summary>Whether it may get tokens that administer this server; it has no other authority then.</summary>
    public bool Administers { get; init; }

    public bool Public => AuthMethod == Names.ClientAssertion.None || AlsoPublic;

    /// <summary>
    /// Changes with what the client authenticates by: a person's consent was to whoever held that. Of published keys it is the address: they are
    /// replaced as a matter of routine, by whoever has it.
    /// </summary>
    public string KeysDigest => Base64Url.Sha256(string.Join('\n',
        [AuthMethod, SecretHash ?? "", .. Keys.Select(k => k.Thumbprint).Concat(Certificates).Order(StringComparer.Ordinal), .. Subject is null ? [] : new[] { Subject.ToString() },
            .. KeySet is null ? [] : new[] { KeySet }, .. AlsoPublic ? [Names.ClientAssertion.None] : Array.Empty<string>()]));
}

/// <summary>A protected resource; <paramref name="Resource"/> is the audience.</summary>
internal sealed record ToolServerRecord(
    string Id, string Resource, string Name, bool Active, long Manifest, IReadOnlyDictionary<string, ToolRecord> Tools)
{
    /// <summary>What decides its calls beside authority; null = nothing.</summary>
    public PolicyRecord? Policies { get; init; }

    /// <summary>What only says what it would decide.</summary>
    public PolicyRecord? Shadow { get; init; }

    /// <summary>Whether what its guards report is approved at once.</summary>
    public bool Development { get; init; }
}

/// <param name="Text">Cedar.</param>
internal sealed record PolicyRecord(long Version, string Text);

/// <param name="State"><c>new</c>, <c>approved</c>, <c>drifted</c>, <c>retired</c>.</param>
/// <param name="Sensitivity"><c>read</c>, <c>write</c>, <c>destructive</c>.</param>
internal sealed record ToolRecord(string Name, string State, string Sensitivity, string? Class, bool ApprovalRequired, string? Digest)
{
    public bool Approved => State == "approved";

    /// <summary>The definition that was approved (JSON text); null while none is known.</summary>
    public string? Definition { get; init; }
}

/// <summary>A tool may call tools of another server downstream.</summary>
internal sealed record EdgeRecord(string FromServer, string FromTool, string ToServer, IReadOnlySet<string> ToTools);

/// <summary>Everything registered, at one version; immutable.</summary>
internal sealed class RegistrySnapshot(
    long version, IReadOnlyDictionary<string, AgentRecord> agents, IReadOnlyDictionary<string, ClientRecord> clients,
    IReadOnlyDictionary<string, ToolServerRecord> toolServers, IReadOnlyList<EdgeRecord> edges,
    IReadOnlyList<WorkloadIssuerRecord> workloadIssuers, IReadOnlyList<TrustBinding> bindings, IReadOnlySet<string> exclusiveClasses,
    IReadOnlyList<IdentityProviderRecord> identityProviders)
{
    private readonly Dictionary<string, ToolServerRecord> byResource = toolServers.Values.ToDictionary(s => s.Resource, StringComparer.Ordinal);

    public long Version { get; } = version;
    public IReadOnlyDictionary<string, AgentRecord> Agents { get; } = agents;
    public IReadOnlyDictionary<string, ClientRecord> Clients { get; } = clients;
    public IReadOnlyDictionary<string, ToolServerRecord> ToolServers { get; } = toolServers;
    public IReadOnlyList<EdgeRecord> Edges { get; } = edges;

    /// <summary>By what their tokens call them.</summary>
    public IReadOnlyDictionary<string, WorkloadIssuerRecord> WorkloadIssuers { get; } = workloadIssuers.ToDictionary(i => i.Issuer, StringComparer.Ordinal);
    public IReadOnlyList<TrustBinding> Bindings { get; } = bindings;

    /// <summary>By what their assertions call them; a store of its own, whoever is in both.</summary>
    public IReadOnlyDictionary<string, IdentityProviderRecord> IdentityProviders { get; } = identityProviders.ToDictionary(p => p.Issuer, StringComparer.Ordinal);

    /// <summary>Classes of tools of which a token never holds two.</summary>
    public IReadOnlySet<string> ExclusiveClasses { get; } = exclusiveClasses;

    public ToolServerRecord? ByResource(string resource) => byResource.GetValueOrDefault(resource);

    /// <summary>
    /// The active tool server that a <c>resource</c> parameter names (RFC 8707 §2). RFC 3986 §6.2.3: an address without a path and one whose
    /// path is "/" are the same, and clients write either. Nothing else is normalised.
    /// </summary>
    public ToolServerRecord? Named(string resource) => (ByResource(resource) ?? RootSlash(resource)) is { Active: true } server ? server : null;

    private ToolServerRecord? RootSlash(string resource) =>
        !Uri.TryCreate(resource, UriKind.Absolute, out var uri) || uri.PathAndQuery != "/" || uri.Fragment.Length > 0 ? null
        : ByResource(resource.EndsWith('/') ? resource[..^1] : resource + "/");
}
