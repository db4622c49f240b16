using McpAuth.Protocol.Jose;

namespace McpAuthServer.Registry;

/// <summary>Somebody who signs people in elsewhere, and whom this server believes when they speak for one of them. They are no issuers of workloads, and the reverse.</summary>
/// <param name="Issuer">The <c>iss</c> of its assertions, exactly.</param>
/// <param name="Keys">Null when they are published.</param>
/// <param name="KeySet">Where they are published; null with <paramref name="Keys"/>, and where the issuer's own metadata says it.</param>
/// <param name="Clients">Ids of those it may speak for people to.</param>
/// <param name="LinkDomains">Whoever has a verified address there is the user who has the same one; empty = nobody is told by an address.</param>
/// <param name="Provision">By which an unknown subject becomes a new user; null = never.</param>
internal sealed record IdentityProviderRecord(
    string Id, string Name, string Issuer, IReadOnlyList<VerificationKey>? Keys, string? KeySet, IReadOnlySet<string> Clients, IReadOnlySet<string> LinkDomains,
    ProvisionRule? Provision, bool Active)
{
    public KeySource Source => new(Id, Issuer, Keys, KeySet);
}

/// <summary>All of it must hold.</summary>
/// <param name="Domains">A verified address in one of them; empty = any, or none.</param>
/// <param name="Groups">By the provider's name: a group of this server. A member of at least one; empty = no matter.</param>
internal sealed record ProvisionRule(IReadOnlySet<string> Domains, IReadOnlyDictionary<string, string> Groups);
