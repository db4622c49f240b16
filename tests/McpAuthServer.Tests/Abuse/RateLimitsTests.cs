using System.Net;
using McpAuth.Testing;
using McpAuthServer.Abuse;

namespace McpAuthServer.Tests.Abuse;

/// <summary>The counting itself, on a clock that stands still.</summary>
public sealed class RateLimitsTests
{
    private readonly ManualTime time = new();

    [Fact]
    public void Take_BurstAtOnce_ThenAsMuchAsTheMinuteBringsBack()
    {
        var permits = Limits(o => (o.Token.Address.PerMinute, o.Token.Address.Burst) = (60, 10)).OfAddress(IPAddress.Loopback, Limit.Token);

        Assert.Equal(10, Taken(permits, 50));
        // One a second, however often it is asked for.
        for (var second = 0; second < 5; second++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal(1, Taken(permits, 50));
        }
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(10, Taken(permits, 50));
    }

    [Fact]
    public void Take_Refused_SaysWhenThereWillBeOne()
    {
        var permits = Limits(o => (o.Token.Address.PerMinute, o.Token.Address.Burst) = (6, 3)).OfAddress(IPAddress.Loopback, Limit.Token);
        Assert.Equal(3, Taken(permits, 3));
        time.Advance(TimeSpan.FromSeconds(4));

        var shortage = permits.Take(Limit.Token)!.Value;

        Assert.Equal((permits, Limit.Token, TimeSpan.FromSeconds(6)), (shortage.Permits, shortage.Kind, shortage.Wait));
        Assert.Equal(shortage, permits.Lacks(Limit.Token));
        time.Advance(shortage.Wait - TimeSpan.FromMilliseconds(1));
        Assert.NotNull(permits.Take(Limit.Token));
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null(permits.Lacks(Limit.Token));
        Assert.Null(permits.Take(Limit.Token));
    }

    [Fact]
    public void Return_GivesBackOne_AlsoToTheNetwork()
    {
        var limits = Limits(o => (o.Token.Address.PerMinute, o.Token.Address.Burst) = (1, 2));
        var permits = limits.OfAddress(IPAddress.Parse("2001:db8:1:1::1"), Limit.Token);
        for (var i = 0; i < 1000; i++)
        {
            Assert.Null(permits.Take(Limit.Token));
            permits.Return(Limit.Token);
        }
        Assert.Equal(2, Taken(permits, 10));
        Assert.Equal(2, Taken(limits.OfAddress(IPAddress.Parse("2001:db8:1:2::1"), Limit.Token), 10));
    }

    [Fact]
    public void Kinds_AndWhoAsks_AreCountedApart()
    {
        var limits = Limits(o =>
        {
            foreach (var limit in new[] { o.Token.Address, o.Token.Client, o.Revocation.Address, o.Revocation.Client, o.SignIn.Address, o.SignIn.Account })
                (limit.PerMinute, limit.Burst) = (1, 2);
        });
        var address = limits.OfAddress(IPAddress.Parse("192.0.2.1"), Limit.Token);
        Assert.Equal((2, 0, 2), (Taken(address, 9), Taken(address, 9), Taken(address, 9, Limit.Revocation)));
        Assert.Equal(2, Taken(limits.OfAddress(IPAddress.Parse("192.0.2.2"), Limit.Token), 9));
        Assert.Equal((2, 2), (Taken(limits.OfClient("a"), 9), Taken(limits.OfClient("b"), 9)));
        Assert.Equal(0, Taken(limits.OfClient("a"), 9));
        Assert.Equal((2, 2), (Taken(limits.OfAccount("A"), 9, Limit.SignIn), Taken(limits.OfAccount("B"), 9, Limit.SignIn)));
        Assert.Equal(0, Taken(limits.OfAccount("A"), 9, Limit.SignIn));
        // What a kind does not count by, it does not count by.
        Assert.Equal(9, Taken(limits.OfClient("a"), 9, Limit.SignIn));
    }

    [Fact]
    [Trait("Attack", "15")]
    public void Address_OfIPv6_IsItsNetworkOf64BitsAndPartOfOneOf48()
    {
        var limits = Limits(o => (o.Registration.Address.PerMinute, o.Registration.Address.Burst) = (1, 5));
        int At(string address) => Taken(limits.OfAddress(IPAddress.Parse(address), Limit.Registration), 100, Limit.Registration);

        Assert.Equal(5, At("2001:db8:1:1::1"));
        Assert.Equal(0, At("2001:db8:1:1::1"));
        Assert.Equal(0, At("2001:0DB8:1:1:ffff:ffff:ffff:ffff"));
        // The /48 has eight times as much, and a /64 that finds nothing there takes nothing.
        for (var i = 2; i <= RateLimits.NetworkFactor; i++)
            Assert.Equal(5, At($"2001:db8:1:{i}::1"));
        for (var i = 9; i < 100; i++)
            Assert.Equal(0, At($"2001:db8:1:{i}::1"));
        Assert.Equal(5, At("2001:db8:2:1::1"));
        // The same bits as an IPv4 address are another one.
        Assert.Equal(5, At("1.2.3.4"));
        Assert.Equal(5, At("::1.2.3.4"));
    }

    [Fact]
    [Trait("Attack", "15")]
    public void Registration_FloodFromRotatingNetworks_IsLimitedAndNothingIsKeptOfTheRefused()
    {
        var limits = Limits(_ => { });
        var (allowed, random) = (0, new byte[16]);
        for (var i = 0; i < 60_000; i++)
        {
            // Anywhere in one /48.
            new byte[] { 0x20, 0x01, 0x0d, 0xb8, 0, 1, (byte)(i >> 8), (byte)i }.CopyTo(random, 0);
            if (limits.OfAddress(new IPAddress(random), Limit.Registration).Take(Limit.Registration) is null)
                allowed++;
            time.Advance(TimeSpan.FromMilliseconds(1));
        }
        // A minute's worth and a burst.
        Assert.InRange(allowed, 1, RateLimits.NetworkFactor * (40 + 20));
        Assert.InRange(limits.Known, 1, allowed + 1);
    }

    [Fact]
    public void Flood_OfMoreAddressesThanAreToldApart_IsBoundedInMemoryAndInPermits()
    {
        var limits = Limits(o => (o.Token.Address.PerMinute, o.Token.Address.Burst) = (1, 2), most: 1000);
        var spent = limits.OfAddress(IPAddress.Parse("192.0.2.1"), Limit.Token);
        Assert.Equal(2, Taken(spent, 2));

        var allowed = Enumerable.Range(0, 50_000).Sum(i => Taken(limits.OfAddress(new IPAddress(0x0a000000L + i), Limit.Token), 3));

        Assert.Equal(1000, limits.Known);
        // Those that are told apart, and what the others share.
        Assert.InRange(allowed, 2 * 999, 2 * (999 + 256));
        // Nobody is let in anew because others came.
        Assert.Equal(0, Taken(limits.OfAddress(IPAddress.Parse("192.0.2.1"), Limit.Token), 2));

        // A bucket that is full says nothing: it is forgotten when there is need.
        time.Advance(TimeSpan.FromMinutes(3));
        Assert.Equal(2, Taken(limits.OfAddress(IPAddress.Parse("198.51.100.1"), Limit.Token), 9));
        Assert.Equal(1, limits.Known);
    }

    [Fact]
    public void Network_IsRememberedLongerThanAnyAddressInIt()
    {
        var limits = Limits(o => (o.Token.Address.PerMinute, o.Token.Address.Burst) = (1, 2));
        for (var i = 0; i < RateLimits.NetworkFactor; i++)
            Assert.Equal(2, Taken(limits.OfAddress(IPAddress.Parse($"2001:db8:1:{i}::1"), Limit.Token), 9));
        var address = limits.OfAddress(IPAddress.Parse("2001:db8:1:1::1"), Limit.Token);
        // Of an address that is new there is nothing but its network.
        var network = limits.OfAddress(IPAddress.Parse("2001:db8:1:ff::1"), Limit.Token);
        Assert.Equal((PermitsOf.Address, PermitsOf.Network), (address.Of, network.Of));

        time.Advance(TimeSpan.FromMinutes(2));
        Assert.Null(network.Lacks(Limit.Token));
        Assert.Equal((true, false), (address.IsIdle(), network.IsIdle()));
        time.Advance(TimeSpan.FromMinutes(10));
        Assert.True(network.IsIdle());
    }

    [Fact]
    public async Task Take_ByManyThreadsAtOnce_GivesNoMoreThanThereIs()
    {
        var limits = Limits(o => (o.Token.Address.PerMinute, o.Token.Address.Burst) = (1, 10_000));
        var taken = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Taken(limits.OfAddress(IPAddress.Parse("2001:db8::1"), Limit.Token), 5_000))));
        Assert.Equal(10_000, taken.Sum());
    }

    [Fact]
    public void ReportDue_OnceAMinutePerKind()
    {
        var permits = Limits(_ => { }).OfClient("a");
        Assert.Equal((true, false, true), (permits.ReportDue(Limit.Token), permits.ReportDue(Limit.Token), permits.ReportDue(Limit.Revocation)));
        time.Advance(TimeSpan.FromSeconds(59));
        Assert.False(permits.ReportDue(Limit.Token));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((true, false), (permits.ReportDue(Limit.Token), permits.ReportDue(Limit.Token)));
    }

    [Fact]
    public void AllowedRequest_AllocatesNothing()
    {
        var limits = Limits(_ => { });
        var (four, six) = (IPAddress.Parse("192.0.2.1"), IPAddress.Parse("2001:db8::1"));
        for (var i = 0; i < 100; i++)
            Request();
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 100; i++)
            Request();

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Request()
        {
            foreach (var address in (ReadOnlySpan<IPAddress>)[four, six])
            {
                var permits = limits.OfAddress(address, Limit.Token);
                if (permits.Lacks(Limit.FailedAuthentication) is not null || permits.Take(Limit.Token) is not null)
                    throw new InvalidOperationException();
                permits.Return(Limit.Token);
                if (limits.OfClient("client").Take(Limit.Token) is not null)
                    throw new InvalidOperationException();
            }
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    [InlineData(-1, 1)]
    [InlineData(10_000_001, 1)]
    [InlineData(1, 61)]
    public void Option_OutOfBounds_IsNamed(int perMinute, int burst)
    {
        var options = new RateLimitOptions();
        Assert.Empty(options.Faults());
        (options.SignIn.Account.PerMinute, options.SignIn.Account.Burst) = (perMinute, burst);
        Assert.Contains("McpAuth:RateLimits:SignIn:Account", Assert.Single(options.Faults()), StringComparison.Ordinal);
    }

    private RateLimits Limits(Action<RateLimitOptions> change, int most = 65_536)
    {
        var options = new RateLimitOptions();
        change(options);
        return new RateLimits(options, time, most);
    }

    private static int Taken(Permits permits, int tries, Limit kind = Limit.Token) => Enumerable.Range(0, tries).Count(_ => permits.Take(kind) is null);
}
