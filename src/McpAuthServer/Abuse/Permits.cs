namespace McpAuthServer.Abuse;

/// <summary>Whose they are.</summary>
internal enum PermitsOf { Address, Network, Client, Account, Node }

/// <summary>There is no permit; the next comes after <paramref name="Wait"/>.</summary>
internal readonly record struct Shortage(Permits Permits, Limit Kind, TimeSpan Wait);

/// <summary>
/// The buckets of one caller, one per kind. A bucket is the moment at which it will be full: taking moves it on by what one permit needs
/// to come back, and may not move it further ahead than what all of them need. Thread-safe without locks.
/// </summary>
internal sealed class Permits(PermitsOf of, Rates rates, Permits? network = null)
{
    private readonly long[] full = new long[Rates.Kinds];
    private long[]? reports;

    public PermitsOf Of => of;

    /// <summary>Null: taken, also of the network. Else who lacks it; nothing was taken.</summary>
    public Shortage? Take(Limit kind)
    {
        if (network?.Take(kind) is { } shortage)
            return shortage;
        var (one, all) = rates[kind];
        if (one == 0)
            return null;
        ref var bucket = ref full[(int)kind];
        while (true)
        {
            var (was, now) = (Volatile.Read(ref bucket), rates.Now);
            var will = Math.Max(was, now) + one;
            if (will - now > all)
            {
                network?.Return(kind);
                return new(this, kind, rates.Span(will - now - all));
            }
            if (Interlocked.CompareExchange(ref bucket, will, was) == was)
                return null;
        }
    }

    /// <summary>Whether a permit is missing, without taking one.</summary>
    public Shortage? Lacks(Limit kind)
    {
        if (network?.Lacks(kind) is { } shortage)
            return shortage;
        var (one, all) = rates[kind];
        var beyond = Volatile.Read(ref full[(int)kind]) - rates.Now + one - all;
        return one > 0 && beyond > 0 ? new(this, kind, rates.Span(beyond)) : null;
    }

    /// <summary>Gives back what was taken.</summary>
    public void Return(Limit kind)
    {
        network?.Return(kind);
        Interlocked.Add(ref full[(int)kind], -rates[kind].One);
    }

    /// <summary>True once a minute: a flood is told of, not of each of its drops.</summary>
    public bool ReportDue(Limit kind)
    {
        var next = LazyInitializer.EnsureInitialized(ref reports, () => new long[Rates.Kinds]);
        var (due, now) = (Volatile.Read(ref next[(int)kind]), rates.Now);
        return now >= due && Interlocked.CompareExchange(ref next[(int)kind], now + rates.Minute, due) == due;
    }

    /// <summary>Whether forgetting changes nothing: all is full, and for a network so long that nobody in it can have used anything.</summary>
    public bool IsIdle()
    {
        var since = rates.Now - (of == PermitsOf.Network ? rates.Longest : 0);
        foreach (var moment in full)
            if (moment > since)
                return false;
        return reports is null || Array.TrueForAll(reports, due => due <= since);
    }
}

/// <summary>What one permit, and all that a bucket holds, need to come back, for every kind; in ticks of the clock.</summary>
internal sealed class Rates
{
    public static readonly int Kinds = Enum.GetValues<Limit>().Length;

    private readonly (long One, long All)[] byKind = new (long, long)[Kinds];
    private readonly TimeProvider time;

    /// <param name="rate">Null: not counted.</param>
    public Rates(RateLimitOptions options, Func<AddressLimits, RateLimit?> rate, int factor, TimeProvider time)
    {
        (this.time, Minute) = (time, 60 * time.TimestampFrequency);
        foreach (var kind in Enum.GetValues<Limit>())
            if (rate(options.Of(kind)) is { } limit)
            {
                var one = Math.Max(1, Minute / ((long)limit.PerMinute * factor));
                byKind[(int)kind] = (one, one * limit.Burst * factor);
            }
        Longest = byKind.Max(r => r.All);
    }

    public long Minute { get; }

    /// <summary>The longest that any bucket needs to be full again.</summary>
    public long Longest { get; }

    public long Now => time.GetTimestamp();

    public (long One, long All) this[Limit kind] => byKind[(int)kind];

    public TimeSpan Span(long ticks) => time.GetElapsedTime(0, ticks);
}
