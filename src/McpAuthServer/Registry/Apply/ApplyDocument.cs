using GrantedAuthority = McpAuth.Protocol.ToolCalls.Authority;

namespace McpAuthServer.Registry.Apply;

/// <summary>A value and where in the file it stands, e.g. <c>$.agents[0].owner</c>.</summary>
internal readonly record struct At<T>(T Value, string Path);

/// <summary>An authority, and the tool servers and tools it refers to as they stand in the file.</summary>
internal sealed record AppliedAuthority(
    GrantedAuthority Value, IReadOnlyList<At<string>> Locations, IReadOnlyList<(string Location, At<string> Tool)> Tools)
{
    public static readonly AppliedAuthority None = new(GrantedAuthority.None, [], []);
}

/// <summary>What one file declares. An entry is complete: a member it leaves out has its default, except where said.</summary>
internal sealed record ApplyDocument(
    IReadOnlyList<AppliedUser> Users, IReadOnlyList<AppliedGroup> Groups, IReadOnlyList<AppliedAgent> Agents,
    IReadOnlyList<AppliedClient> Clients, IReadOnlyList<AppliedToolServer> ToolServers, IReadOnlyList<AppliedEdge> Edges,
    IReadOnlyList<AppliedIssuer> WorkloadIssuers, IReadOnlyList<AppliedToolClass> ToolClasses, IReadOnlyList<AppliedProvider> IdentityProviders)
{
    public static readonly ApplyDocument Empty = new([], [], [], [], [], [], [], [], []);
}

/// <param name="Email">The sign-in name; a user without one cannot sign in.</param>
/// <param name="Enabled">Null keeps what is; a new user is enabled.</param>
/// <param name="Administrator">Null keeps what is; a new user is none.</param>
/// <param name="Password">Either in plain text, hashed before it is stored; or <paramref name="PasswordHash"/>. Used when the account has none yet.</param>
internal sealed record AppliedUser(
    string Id, string Name, At<string>? Email, IReadOnlyList<At<string>> Groups, bool? Enabled, bool? Administrator, string? Password, string? PasswordHash);

internal sealed record AppliedGroup(string Id, string Name);

/// <param name="State">Null keeps what is, so that a restart with the same file lifts nobody's suspension; a new agent is active.</param>
internal sealed record AppliedAgent(
    string Id, string Name, At<string> Owner, string Purpose, string? ToolClass, string? State, AppliedAuthority Ceiling,
    IReadOnlyList<At<string>> HandOffTo, bool RequireDpop, bool ClientCredentials, long MaxTaskSeconds, long? ReviewAt, IReadOnlyList<AppliedBinding> Trust);

internal sealed record AppliedToolClass(string Name, bool Exclusive);

/// <param name="Selectors">As they are stored.</param>
internal sealed record AppliedBinding(At<string> Issuer, IReadOnlyList<At<string>> Names, string Selectors, At<string> Client, string Path);

/// <param name="Jwks">The public members only.</param>
/// <param name="State">Null keeps what is.</param>
internal sealed record AppliedIssuer(
    string Id, string Name, string Kind, At<string> Issuer, string? Audience, string? Jwks, string? JwksUri, long LongestSeconds, string? State);

/// <param name="Jwks">The public members only.</param>
/// <param name="Links">All that an administrator says; what came by a rule stays.</param>
/// <param name="Provision">As it is stored; null = no subject becomes a new user.</param>
/// <param name="Groups">Those that the rule puts people in.</param>
/// <param name="State">Null keeps what is.</param>
internal sealed record AppliedProvider(
    string Id, string Name, At<string> Issuer, string? Jwks, string? JwksUri, IReadOnlyList<At<string>> Clients, IReadOnlyList<AppliedLink> Links,
    IReadOnlyList<string> LinkDomains, string? Provision, IReadOnlyList<At<string>> Groups, string? State);

internal sealed record AppliedLink(string Subject, At<string> User);

/// <param name="Jwks">The public members only.</param>
/// <param name="CertificateSubject">As it is stored.</param>
/// <param name="Certificates">Thumbprints.</param>
/// <param name="State">Null keeps what is.</param>
internal sealed record AppliedClient(
    string Id, string Name, At<string>? Agent, string AuthMethod, string? SecretHash, string? Jwks, IReadOnlyList<string> GrantTypes,
    bool LegacyAudience, AppliedAuthority Authority, IReadOnlyList<string> RedirectUris, IReadOnlyList<string> PostLogoutRedirectUris, IReadOnlyList<At<string>> ToolServers,
    At<string>? Introspects, string? State, string? CertificateSubject, IReadOnlyList<string> Certificates, bool BindsToCertificate, bool Administers);

/// <param name="State">Null keeps what is.</param>
/// <param name="EnrolmentSecretHashes">Added to those there are; a used one is never armed again.</param>
/// <param name="Development">Whatever its guards report is approved at once.</param>
internal sealed record AppliedToolServer(
    string Id, At<string> Resource, string Name, At<string> Owner, string? State, IReadOnlyList<At<string>> EnrolmentSecretHashes, bool Development,
    IReadOnlyList<AppliedTool> Tools);

/// <param name="State">Null approves a tool that is new and keeps a retired one retired.</param>
/// <param name="Digest">The definition that is approved; null keeps the pinned one, or leaves it to the next report.</param>
/// <param name="OnChange">One of <see cref="Registry.OnChange"/>.</param>
internal sealed record AppliedTool(string Name, string Sensitivity, string? Class, string Approval, string? State, string? Digest, string OnChange);

/// <param name="ToTools">Replaces the edge's tools; empty closes it.</param>
internal sealed record AppliedEdge(At<string> FromServer, At<string> FromTool, At<string> ToServer, IReadOnlyList<At<string>> ToTools);
