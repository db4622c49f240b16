using McpAuth.Protocol.Jose;

namespace McpAuthServer.Registry;

/// <summary>Somebody who says of running programs which they are, and whom this server believes.</summary>
/// <param name="Kind">The name of a <see cref="Attestation.WorkloadKind"/>.</param>
/// <param name="Issuer">The <c>iss</c> of its tokens, exactly; of a SPIFFE trust domain its id, <c>spiffe://example.org</c>.</param>
/// <param name="Audience">What its tokens must be for, alone; null = this server's issuer.</param>
/// <param name="Keys">Null when they are published.</param>
/// <param name="KeySet">Where they are published; null with <paramref name="Keys"/>, and where the issuer's own metadata says it.</param>
/// <param name="Longest">How far ahead its tokens may expire.</param>
internal sealed record WorkloadIssuerRecord(
    string Id, string Name, string Kind, string Issuer, string? Audience, IReadOnlyList<VerificationKey>? Keys, string? KeySet, TimeSpan Longest, bool Active)
{
    public KeySource Source => new(Id, Issuer, Keys, KeySet, Kind == Attestation.SpiffeWorkload.KindName);
}

/// <summary>Where the keys of somebody come from whose word is believed.</summary>
/// <param name="Id">Of their record: what came is kept under it.</param>
/// <param name="Keys">As registered; null when they are published.</param>
/// <param name="Address">Where they are published; null where the issuer's own metadata says it.</param>
/// <param name="OfTrustDomain">A SPIFFE bundle, which has keys for several uses.</param>
internal sealed record KeySource(string Id, string Issuer, IReadOnlyList<VerificationKey>? Keys, string? Address, bool OfTrustDomain = false);

/// <summary>What evidence makes a program a running copy of an agent.</summary>
/// <param name="Selectors">What the evidence must say, by name and exactly; all of it.</param>
/// <param name="Client">The software that its instances are known as.</param>
internal sealed record TrustBinding(string Agent, string Issuer, IReadOnlyDictionary<string, string> Selectors, string Client)
{
    public bool Admits(string issuer, IReadOnlyDictionary<string, string> facts) =>
        issuer == Issuer && Selectors.All(s => facts.TryGetValue(s.Key, out string? said) && said == s.Value);
}
