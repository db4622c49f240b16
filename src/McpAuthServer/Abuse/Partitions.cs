using System.Collections.Concurrent;

namespace McpAuthServer.Abuse;

/// <summary>
/// The permits of many callers, of whom no more than <paramref name="most"/> are told apart. Who is idle is forgotten, which changes nothing; when
/// all are busy, newcomers share a few, so that no number of addresses makes room for itself or gives anybody a fresh bucket.
/// </summary>
internal sealed class Partitions<TKey>(TimeProvider time, int most, Func<Permits> make) where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Permits> known = new();
    private readonly Permits[] shared = [.. Enumerable.Range(0, 256).Select(_ => make())];
    private int count;
    private long nextSweep;

    public int Count => Volatile.Read(ref count);

    public Permits? Find(TKey key) => known.GetValueOrDefault(key);

    public Permits Of(TKey key) => Of(key, make);

    /// <param name="first">Makes them for who is new.</param>
    public Permits Of(TKey key, Func<Permits> first)
    {
        if (known.TryGetValue(key, out var permits))
            return permits;
        if (Volatile.Read(ref count) >= most)
            Sweep();
        if (Interlocked.Increment(ref count) > most)
        {
            Interlocked.Decrement(ref count);
            return shared[(uint)key.GetHashCode() % shared.Length];
        }
        permits = first();
        if (known.TryAdd(key, permits))
            return permits;
        Interlocked.Decrement(ref count);
        return Of(key, first);
    }

    // At most once a second: that much of a flood is the sweep.
    private void Sweep()
    {
        var (due, now) = (Volatile.Read(ref nextSweep), time.GetTimestamp());
        if (now < due || Interlocked.CompareExchange(ref nextSweep, now + time.TimestampFrequency, due) != due)
            return;
        foreach (var (key, permits) in known)
            if (permits.IsIdle() && known.TryRemove(key, out _))
                Interlocked.Decrement(ref count);
    }
}
