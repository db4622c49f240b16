using System.Collections.Concurrent;
using System.Text.Json;

namespace McpAuth.Protocol.Jose;

/// <summary>
/// Keys whose proofs verified lately. A client proves possession of the same key with every request, and importing a point costs
/// more than verifying with it. Holds public keys only, found by what they are, so an entry cannot go stale; bounded, in two
/// generations, and only a right signature gets a key in.
/// </summary>
internal static class ProofKeys
{
    private const int Generation = 1024;
    private static volatile ConcurrentDictionary<(string Thumbprint, string? Algorithm), VerificationKey> recent = new(), older = new();

    /// <summary>The key, and whether it was known already: a new one is to be <see cref="Keep"/>t or released.</summary>
    public static Result<(VerificationKey Key, bool Known)> Find(JsonElement jwk)
    {
        if (!PublicJwk.Read(jwk).TryGet(out var read, out var fault))
            return fault;
        var id = (read.Thumbprint(), read.Algorithm);
        if (recent.TryGetValue(id, out var known))
            return (known, true);
        if (older.TryGetValue(id, out known))
        {
            Keep(known);
            return (known, true);
        }
        return VerificationKey.Import(read).TryGet(out var key, out fault) ? (key, false) : fault;
    }

    public static void Keep(VerificationKey key)
    {
        var current = recent;
        current[(key.Thumbprint, key.NamedAlgorithm)] = key;
        // Two threads may both turn the page; the worst that comes of it is a key imported again.
        if (current.Count >= Generation)
            (older, recent) = (current, new());
    }
}
