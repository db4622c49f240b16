using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;

namespace McpAuthServer.Clients.Documents;

/// <summary>Keys that clients publish at an address of theirs (RFC 7591 §2, <c>jwks_uri</c>); asked for only where one has to be verified by.</summary>
internal sealed class KeySets
{
    private const int MaxBytes = 32 * 1024;

    private readonly FetchOnce<IReadOnlyList<VerificationKey>> sets;
    private readonly FetchPolicy policy;
    private readonly TimeProvider time;

    public KeySets(DocumentFetcher fetcher, FetchPolicy policy, TimeProvider time)
    {
        (this.policy, this.time) = (policy, time);
        sets = new(LoadAsync, time);

        async Task<Result<(IReadOnlyList<VerificationKey>, TimeSpan)>> LoadAsync(Uri url, bool isKnown) =>
            (await fetcher.FetchAsync(url, MaxBytes, isKnown)).TryGet(out var document, out var fault) && Read(document.Body).TryGet(out var keys, out fault)
                ? (keys, document.FreshFor) : fault;
    }

    /// <summary>The keys at the address, asked for again when <paramref name="keyId"/> is none of them: it may be new.</summary>
    /// <param name="isKnown">Whether somebody has allowed their owner something.</param>
    public async Task<Result<IReadOnlyList<VerificationKey>>> FindAsync(string address, string? keyId, bool isKnown, CancellationToken cancel)
    {
        // The operator may have shut the place meanwhile.
        if (!policy.Read(address).TryGet(out var url, out var fault))
            return fault;
        if (!(await sets.GetAsync(url, isKnown).WaitAsync(cancel)).TryGet(out var set, out fault))
            return fault;
        if (keyId is not null && set.Value.All(key => key.KeyId is { } id && id != keyId)
            && !(await sets.GetAsync(url, isKnown, notBefore: time.GetUtcNow()).WaitAsync(cancel)).TryGet(out set, out fault))
            return fault;
        return Result<IReadOnlyList<VerificationKey>>.Of(set.Value);
    }

    /// <summary>By the algorithms that client assertions may have.</summary>
    public static bool IsUsable(VerificationKey key) =>
        Text(key.Jwk, "alg") is null or "ES256" or "RS256" && (Text(key.Jwk, "kty") == "RSA" || Text(key.Jwk, "crv") == "P-256");

    private static Result<IReadOnlyList<VerificationKey>> Read(ReadOnlyMemory<byte> body)
    {
        if (!StrictJson.Parse(body, new JsonLimits(MaxBytes)).TryGet(out var json, out var fault) || !VerificationKey.FromJwks(json).TryGet(out var keys, out fault))
            return new Fault(FetchFaults.Malformed, fault.Message);
        return Result<IReadOnlyList<VerificationKey>>.Of([.. keys.Where(IsUsable).Take(ClientMetadataReader.MostKeys)]);
    }

    private static string? Text(JsonElement jwk, string member) => jwk.TryGetProperty(member, out var value) ? value.GetString() : null;
}
