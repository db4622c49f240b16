using System.Collections.Concurrent;

namespace McpGuard.Sdk.Tokens;

/// <summary>
/// Tokens that were validated before, by their SHA-256. Bounded by two generations: when the young one is full it becomes the old one,
/// and what is still used moves over. Reads take no lock.
/// </summary>
internal sealed class ValidatedTokens(int generation = 8192)
{
    private ConcurrentDictionary<TokenHash, ValidatedToken> young = new(), old = new();
    private readonly Lock turning = new();
    private int count;

    public ValidatedToken? Find(TokenHash hash)
    {
        if (Volatile.Read(ref young).TryGetValue(hash, out ValidatedToken? token)) return token;
        if (!Volatile.Read(ref old).TryGetValue(hash, out token)) return null;
        Add(hash, token);
        return token;
    }

    public void Add(TokenHash hash, ValidatedToken token)
    {
        if (!Volatile.Read(ref young).TryAdd(hash, token) || Interlocked.Increment(ref count) < generation) return;
        lock (turning)
        {
            if (count < generation) return;
            Volatile.Write(ref old, young);
            Volatile.Write(ref young, new());
            count = 0;
        }
    }

    public void Clear()
    {
        lock (turning)
        {
            Volatile.Write(ref old, new());
            Volatile.Write(ref young, new());
            count = 0;
        }
    }
}
