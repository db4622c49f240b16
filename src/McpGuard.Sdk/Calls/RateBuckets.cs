using System.Collections.Concurrent;

namespace McpGuard.Sdk.Calls;

/// <summary>
/// One rate, kept for each of many callers. A bucket is one number: the time at which it would be full again (the generic cell rate algorithm), moved by a
/// compare-and-swap. Full buckets are as good as none and are forgotten when there is no room; a bucket that is not full never is, because forgetting it
/// would give its calls back. Where all are in use, who is new is refused.
/// </summary>
internal sealed class RateBuckets(CallRate rate, int capacity)
{
    private const long Forgotten = long.MinValue;
    private static readonly long Pause = TimeSpan.TicksPerSecond;

    /// <summary>Rounded up: rather a little less than the rate.</summary>
    private readonly long each = (TimeSpan.TicksPerMinute + rate.PerMinute - 1) / rate.PerMinute;

    private readonly ConcurrentDictionary<string, Bucket> buckets = new(StringComparer.Ordinal);
    private readonly Lock sweeping = new();
    private int count;
    private long nextSweep;

    public int Count => Volatile.Read(ref count);

    /// <summary>Takes one call out of a caller's bucket.</summary>
    /// <param name="now">Ticks of a monotonic clock.</param>
    /// <param name="wait">Ticks until there is one, where there is none.</param>
    public bool Take(string caller, long now, out long wait)
    {
        while (true)
        {
            if (Find(caller, now) is not { } bucket)
            {
                wait = each;
                return false;
            }
            long full = Volatile.Read(ref bucket.FullAt);
            if (full == Forgotten) continue;
            long next = Math.Max(full, now) + each;
            wait = next - now - each * rate.Burst;
            if (wait > 0) return false;
            if (Interlocked.CompareExchange(ref bucket.FullAt, next, full) == full) return true;
        }
    }

    /// <summary>Puts back what was taken for a call that another limit refused.</summary>
    public void Return(string caller)
    {
        if (!buckets.TryGetValue(caller, out Bucket? bucket)) return;
        long full;
        do full = Volatile.Read(ref bucket.FullAt);
        while (full != Forgotten && Interlocked.CompareExchange(ref bucket.FullAt, full - each, full) != full);
    }

    private Bucket? Find(string caller, long now)
    {
        while (true)
        {
            if (buckets.TryGetValue(caller, out Bucket? bucket)) return bucket;
            if (Interlocked.Increment(ref count) > capacity)
            {
                Interlocked.Decrement(ref count);
                if (!MakeRoom(now)) return null;
                continue;
            }
            bucket = new Bucket { FullAt = now };
            if (buckets.TryAdd(caller, bucket)) return bucket;
            Interlocked.Decrement(ref count);
        }
    }

    /// <summary>Looks at all of them, so no more than once a second: callers who are refused must not be able to make it work.</summary>
    private bool MakeRoom(long now)
    {
        lock (sweeping)
        {
            if (now < nextSweep) return Count < capacity;
            nextSweep = now + Pause;
            foreach ((string caller, Bucket bucket) in buckets)
            {
                long full = Volatile.Read(ref bucket.FullAt);
                // Who takes from it at this moment wins, or sees that it is gone and begins a new one.
                if (full > now || Interlocked.CompareExchange(ref bucket.FullAt, Forgotten, full) != full) continue;
                buckets.TryRemove(caller, out _);
                Interlocked.Decrement(ref count);
            }
            return Count < capacity;
        }
    }

    private sealed class Bucket
    {
        public long FullAt;
    }
}
