using McpAuth.Protocol;
using McpAuthServer.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace McpAuthServer.Tests.Http;

public sealed class ConnectionLimitsTests
{
    [Fact]
    [Trait("Attack", "165")]
    public void Kestrel_GetsEveryLimitExplicitly()
    {
        var kestrel = new KestrelServerOptions();
        new ConnectionLimits().Configure(kestrel);
        var limits = kestrel.Limits;
        Assert.Equal((10_000L, TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(2)), (limits.MaxConcurrentConnections, limits.RequestHeadersTimeout, limits.KeepAliveTimeout));
        Assert.Equal((32 * 1024, 32 * 1024, 100, (long?)Limits.GuardBody), (limits.MaxRequestLineSize, limits.MaxRequestHeadersTotalSize, limits.MaxRequestHeaderCount, limits.MaxRequestBodySize));
        Assert.Equal((1_000d, 10_000d, TimeSpan.FromSeconds(5)), (limits.MinRequestBodyDataRate!.BytesPerSecond, limits.MinResponseDataRate!.BytesPerSecond, limits.MinRequestBodyDataRate.GracePeriod));
        Assert.Equal(100, limits.Http2.MaxStreamsPerConnection);
        Assert.False(kestrel.AddServerHeader);
    }

    public static TheoryData<string, Action<ConnectionLimits>> Wrong => new()
    {
        { "Most", c => c.Most = 0 }, { "HeaderTimeout", c => c.HeaderTimeout = TimeSpan.Zero }, { "HeaderTimeout", c => c.HeaderTimeout = TimeSpan.FromMinutes(2) },
        { "LeastBodyRate", c => c.LeastBodyRate = 0 }, { "LeastAnswerRate", c => c.LeastAnswerRate = -1 }, { "Grace", c => c.Grace = TimeSpan.FromSeconds(1) },
        { "KeepAlive", c => c.KeepAlive = TimeSpan.Zero },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Option_OutOfBounds_IsNamed(string name, Action<ConnectionLimits> change)
    {
        var limits = new ConnectionLimits();
        Assert.Empty(limits.Faults());
        change(limits);
        Assert.Contains(name, Assert.Single(limits.Faults()), StringComparison.Ordinal);
    }
}
