using McpAuth.Protocol;

namespace McpGuard.Sdk.Tokens;

/// <summary>
/// The DPoP proofs this process has seen (RFC 9449 §11.1). A proof may be used from <c>iat</c> − 60 s to <c>iat</c> + 60 s, so what is
/// remembered for two such windows outlives every proof. Bounded: a full window refuses.
/// </summary>
internal sealed class ProofReplays(TimeProvider time, int perShard = 16_384)
{
    public static readonly TimeSpan Window = 2 * Limits.DpopAge + TimeSpan.FromSeconds(10);
    private const int Shards = 64;

    private readonly Shard[] shards = [.. Enumerable.Range(0, Shards).Select(_ => new Shard(time.GetTimestamp()))];

    public ReplayVerdict Remember(string thumbprint, string jti)
    {
        UInt128 key = TokenHash.Of(thumbprint + "." + jti.Length.ToString(System.Globalization.CultureInfo.InvariantCulture) + "." + Convert.ToHexString(System.Text.Encoding.UTF8.GetBytes(jti))).Half;
        Shard shard = shards[(int)(ulong)(key & (Shards - 1))];
        lock (shard)
        {
            TimeSpan age = time.GetElapsedTime(shard.Since);
            if (age >= Window)
            {
                // After two windows of silence the younger half is too old as well.
                shard.Old = age >= 2 * Window ? [] : shard.Young;
                shard.Young = [];
                shard.Since = time.GetTimestamp();
            }
            if (shard.Old.Contains(key) || shard.Young.Contains(key)) return ReplayVerdict.Seen;
            if (shard.Young.Count >= perShard) return ReplayVerdict.Full;
            shard.Young.Add(key);
            return ReplayVerdict.New;
        }
    }

    private sealed class Shard(long since)
    {
        public HashSet<UInt128> Young = [], Old = [];
        public long Since = since;
    }
}

internal enum ReplayVerdict
{
    New,
    Seen,
    Full,
}
