using McpAuth.Testing;
using McpGuard.Sdk.Calls;

namespace McpGuard.Sdk.Tests;

/// <summary>The buckets behind the rates: never more than the rate, whoever asks and however many.</summary>
public sealed class RateBucketTests
{
    private readonly ManualTime time = new();

    private long Now => time.GetElapsedTime(0).Ticks;

    [Fact]
    public void Caller_GetsTheBurstAndThenTheRate()
    {
        var buckets = new RateBuckets(new CallRate(60, 3), 10);
        Assert.Equal(3, Taken(buckets, "a", 10));
        Assert.False(buckets.Take("a", Now, out long wait));
        Assert.Equal(TimeSpan.FromSeconds(1).Ticks, wait);
        Assert.Equal(3, Taken(buckets, "b", 10));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, Taken(buckets, "a", 10));
        time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(3, Taken(buckets, "a", 10));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 2)]
    [InlineData(60, 10)]
    [InlineData(1000, 1)]
    [InlineData(CallRate.Most, 5)]
    public void AnyWindow_HasNoMoreThanTheRateAndTheBurst(int perMinute, int burst)
    {
        var random = new Random(perMinute);
        var buckets = new RateBuckets(new CallRate(perMinute, burst), 10);
        var taken = new List<long>();
        for (int i = 0; i < 3000; i++)
        {
            if (buckets.Take("a", Now, out _)) taken.Add(Now);
            if (random.Next(3) == 0) time.Advance(TimeSpan.FromTicks(random.NextInt64(TimeSpan.TicksPerMinute / perMinute * 2 + 1)));
        }
        Assert.True(taken.Count > burst);
        for (int from = 0; from < taken.Count; from++)
            for (int to = from; to < taken.Count; to++)
                Assert.True(to - from + 1 <= burst + (double)(taken[to] - taken[from]) * perMinute / TimeSpan.TicksPerMinute, $"{to - from + 1} calls within {taken[to] - taken[from]} ticks");
    }

    [Fact]
    public async Task Callers_OfManyThreads_GetTogetherWhatOneWould()
    {
        var buckets = new RateBuckets(new CallRate(60, 1000), 10);
        int[] got = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Taken(buckets, "a", 500))));
        Assert.Equal(1000, got.Sum());
    }

    [Fact]
    public void WhatIsPutBack_CanBeTakenAgainAndNoMore()
    {
        var buckets = new RateBuckets(new CallRate(1, 2), 10);
        Assert.Equal(2, Taken(buckets, "a", 5));
        buckets.Return("a");
        buckets.Return("nobody");
        Assert.Equal(1, Taken(buckets, "a", 5));
    }

    [Fact]
    public async Task Buckets_OfAnAttack_StayFew_AndNobodyGetsMoreByIt()
    {
        const int Capacity = 50;
        var buckets = new RateBuckets(new CallRate(1, 1), Capacity);
        Assert.True(buckets.Take("victim", Now, out _));
        int[] let = await Task.WhenAll(Enumerable.Range(0, 4).Select(t => Task.Run(() => Enumerable.Range(0, 1000).Count(i => buckets.Take($"{t}-{i}", Now, out _)))));
        Assert.InRange(buckets.Count, 1, Capacity);
        Assert.Equal(Capacity - 1, let.Sum());
        // Whose bucket is in use keeps it: being forgotten would give the call back.
        Assert.False(buckets.Take("victim", Now, out _));
        // Those that are full again are as good as none.
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(buckets.Take("new", Now, out _));
        Assert.InRange(buckets.Count, 1, Capacity);
        Assert.True(buckets.Take("victim", Now, out _));
    }

    [Fact]
    public async Task Buckets_ThatAreForgottenWhileTheyAreTaken_CountEveryCall()
    {
        // Always full of others, and always in time to be forgotten: the clock stands where every bucket is full again.
        var buckets = new RateBuckets(new CallRate(60, 1), 2);
        for (int round = 0; round < 200; round++)
        {
            time.Advance(TimeSpan.FromSeconds(2));
            long now = Now;
            bool[] got = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => buckets.Take(i < 4 ? "a" : $"other-{round}-{i}", now, out _))));
            Assert.True(got.Take(4).Count(g => g) <= 1, "a got more than one");
            Assert.InRange(buckets.Count, 0, 2);
        }
    }

    private int Taken(RateBuckets buckets, string caller, int attempts) => Enumerable.Range(0, attempts).Count(attempt => buckets.Take(caller, Now, out _));
}
