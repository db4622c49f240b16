using System.Net;
using McpAuthServer.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace McpAuthServer.Tests.Http;

public sealed class ClientAddressTests
{
    [Theory]
    [InlineData("203.0.113.9", "203.0.113.9")]
    [InlineData("::ffff:203.0.113.9", "203.0.113.9")]
    [InlineData("2001:db8::9", "2001:db8::9")]
    [InlineData(null, "0.0.0.0")]
    [Trait("Attack", "2")]
    public void Of_NoProxies_IsThePeerWhateverTheHeaderSays(string? peer, string address)
    {
        var (of, fromProxy) = Ask([], peer, "198.51.100.7");

        Assert.Equal((IPAddress.Parse(address), false), (of, fromProxy));
    }

    [Theory]
    [InlineData("10.0.0.1", "198.51.100.7", "198.51.100.7")]
    [InlineData("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7")]
    [InlineData("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7")]
    [InlineData("10.0.0.1", "2001:db8:1::7", "2001:db8:1::7")]
    [InlineData("10.0.0.1", "198.51.100.7:4711", "198.51.100.7")]
    [InlineData("10.0.0.1", "[2001:db8:1::7]:4711", "2001:db8:1::7")]
    // Several proxies: the rightmost that is none of them.
    [InlineData("10.0.0.1", "198.51.100.7, 10.0.0.2,10.0.0.3", "198.51.100.7")]
    [InlineData("2001:db8:ff::1", "198.51.100.7, 10.0.0.2", "198.51.100.7")]
    // What the client sent itself stands on the left.
    [InlineData("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7")]
    [InlineData("10.0.0.1", "6.6.6.6, 10.0.0.2, 198.51.100.7, 10.0.0.2", "198.51.100.7")]
    // Nothing, or nothing that is an address: as far as the proxies can see.
    [InlineData("10.0.0.1", null, "10.0.0.1")]
    [InlineData("10.0.0.1", "", "10.0.0.1")]
    [InlineData("10.0.0.1", "unknown", "10.0.0.1")]
    [InlineData("10.0.0.1", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2")]
    [InlineData("10.0.0.1", "6.6.6.6,", "10.0.0.1")]
    [InlineData("10.0.0.1", "6.6.6.6, 0xC6336407", "10.0.0.1")]
    [InlineData("10.0.0.1", "6.6.6.6, 198.51.7", "10.0.0.1")]
    [InlineData("10.0.0.1", "6.6.6.6, fe80::1%eth0", "10.0.0.1")]
    [InlineData("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2")]
    public void Of_BehindProxies_IsTheRightmostUntrustedHop(string peer, string? header, string address)
    {
        var (of, fromProxy) = Ask(["10.0.0.0/8", "2001:db8:ff::1"], peer, header);

        Assert.Equal((IPAddress.Parse(address), true), (of, fromProxy));
    }

    [Fact]
    public void Of_SeveralHeaderFields_AreOneList()
    {
        Assert.Equal(IPAddress.Parse("198.51.100.7"), Ask(["10.0.0.0/8"], "10.0.0.1", "6.6.6.6", "198.51.100.7", "10.0.0.2").Of);
        Assert.Equal(IPAddress.Parse("198.51.100.7"), Ask(["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 198.51.100.7", "").Of);
    }

    [Theory]
    [InlineData("11.0.0.1")]
    [InlineData("2001:db8:ff::2")]
    [InlineData("::a00:1")]
    [Trait("Attack", "2")]
    public void Of_PeerThatIsNoProxy_IsThePeer(string peer)
    {
        var (of, fromProxy) = Ask(["10.0.0.0/8", "2001:db8:ff::1"], peer, "198.51.100.7");

        Assert.Equal((IPAddress.Parse(peer), false), (of, fromProxy));
    }

    [Theory]
    [InlineData("10.0.0.1")]
    [InlineData("10.0.0.0/8")]
    [InlineData("10.0.0.1/32")]
    [InlineData("::1")]
    [InlineData("2001:db8::/32")]
    public void Proxies_AddressOrPrefix_IsTaken(string proxy) => Assert.Empty(Faults(proxy));

    [Theory]
    [InlineData("", "neither an IP address nor a prefix")]
    [InlineData("proxy.example", "neither an IP address nor a prefix")]
    [InlineData("10.0.0.1:80", "neither an IP address nor a prefix")]
    [InlineData("[::1]", "neither an IP address nor a prefix")]
    [InlineData("10.0.0.0/33", "neither an IP address nor a prefix")]
    [InlineData("10.0.0.0/-1", "neither an IP address nor a prefix")]
    [InlineData("10.0.0.0/", "neither an IP address nor a prefix")]
    [InlineData("10", "neither an IP address nor a prefix")]
    [InlineData("10.0/8", "neither an IP address nor a prefix")]
    [InlineData("fe80::1%eth0", "neither an IP address nor a prefix")]
    [InlineData("10.0.0.1/8", "beyond its prefix of 8")]
    [InlineData("2001:db8::1/64", "beyond its prefix of 64")]
    [InlineData("0.0.0.0/0", "every client")]
    [InlineData("::/0", "every client")]
    [InlineData("::ffff:10.0.0.1", "write it as IPv4")]
    [InlineData("::ffff:10.0.0.0/104", "write it as IPv4")]
    public void Proxies_AnythingElse_IsRefusedWithTheReason(string proxy, string why) =>
        Assert.Contains(why, Assert.Single(Faults("127.0.0.1", proxy)), StringComparison.Ordinal);

    [Fact]
    public void Proxies_InTheConfiguration_AreRead()
    {
        Assert.Equal(["10.0.0.1", "::1"], Configured(("McpAuth:Proxies:0", "10.0.0.1"), ("McpAuth:Proxies:1", "::1")).Proxies);
        // One text where a list belongs would be as good as no proxy.
        Assert.Throws<StartupException>(() => Configured(("McpAuth:Proxies", "10.0.0.1")));
        Assert.Throws<StartupException>(() => Configured(("McpAuth:Proxies:0", "10.0.0.1/8")));
    }

    private static (IPAddress Of, bool FromProxy) Ask(string[] proxies, string? peer, params string?[] header)
    {
        var address = new ClientAddress(new ServerOptions { Proxies = proxies });
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = peer is null ? null : IPAddress.Parse(peer);
        context.Request.Headers["X-Forwarded-For"] = header;
        return (address.Of(context), address.FromProxy(context));
    }

    private static List<string> Faults(params string[] proxies) =>
        [.. new ServerOptions { Issuer = "http://127.0.0.1:5080", Proxies = proxies }.Faults()];

    private static ServerOptions Configured(params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection(
            [KeyValuePair.Create<string, string?>("McpAuth:Issuer", "http://127.0.0.1:5080"), .. settings.Select(s => KeyValuePair.Create<string, string?>(s.Key, s.Value))]);
        return Startup.Options(builder);
    }
}
