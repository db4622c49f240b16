using System.Net;
using FsCheck;
using FsCheck.Fluent;
using McpAuthServer.Clients.Documents;

namespace McpAuthServer.Tests.Clients.Documents;

[Trait("Attack", "18")]
public sealed class PublicAddressTests
{
    /// <summary>IANA's registries of special-purpose addresses, first and last of each, and what else is no place on the public internet.</summary>
    private static readonly (string First, string Last)[] SpecialV4 =
    [
        ("0.0.0.0", "0.255.255.255"), ("10.0.0.0", "10.255.255.255"), ("100.64.0.0", "100.127.255.255"), ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"), ("172.16.0.0", "172.31.255.255"), ("192.0.0.0", "192.0.0.255"), ("192.0.2.0", "192.0.2.255"),
        ("192.31.196.0", "192.31.196.255"), ("192.52.193.0", "192.52.193.255"), ("192.88.99.0", "192.88.99.255"), ("192.168.0.0", "192.168.255.255"),
        ("192.175.48.0", "192.175.48.255"), ("198.18.0.0", "198.19.255.255"), ("198.51.100.0", "198.51.100.255"), ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "239.255.255.255"), ("240.0.0.0", "255.255.255.255"), ("168.63.129.16", "168.63.129.16"),
    ];

    private static readonly (string First, string Last)[] SpecialV6 =
    [
        ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"), ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"), ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ];

    /// <summary>IPv6 forms that stand for, or carry, an IPv4 address.</summary>
    private static readonly Func<string, string>[] Wrappings =
    [
        v4 => $"::ffff:{v4}", v4 => $"64:ff9b::{v4}", v4 => $"::{v4}", v4 => $"2002:{Hex(v4)}::1", v4 => $"2001:0:{Hex(v4)}::1", v4 => $"64:ff9b:1::{v4}", v4 => $"::ffff:0:{v4}",
    ];

    public static TheoryData<string> Named =>
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "0.0.0.0", "255.255.255.255", "192.0.0.192",
        "168.63.129.16", "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "100::1", "5f00::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:20::1", "2001:db8::1", "3fff::1",
    ];

    [Theory, MemberData(nameof(Named))]
    public void Address_OfSpecialPurpose_IsNotPublic(string address) => Assert.False(PublicAddress.Is(IPAddress.Parse(address)));

    [Theory]
    [InlineData("93.184.215.14")]
    [InlineData("1.1.1.1")]
    [InlineData("9.255.255.255")]
    [InlineData("11.0.0.0")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.0")]
    [InlineData("172.15.255.255")]
    [InlineData("172.32.0.0")]
    [InlineData("223.255.255.255")]
    [InlineData("2606:4700::1111")]
    [InlineData("2a00:1450:4001::1")]
    [InlineData("::ffff:93.184.215.14")]
    [InlineData("64:ff9b::5db8:d70e")]
    public void Address_OnTheInternet_IsPublic(string address) => Assert.True(PublicAddress.Is(IPAddress.Parse(address)));

    [Fact]
    public void Address_OfEverySpecialRange_FirstLastAndBetween_IsNotPublic_AndNextToItIsJudgedByItsOwn()
    {
        foreach (var (first, last) in SpecialV4.Concat(SpecialV6))
            foreach (var address in new[] { Number(first), Number(last), (Number(first) + Number(last)) / 2 })
                Assert.False(PublicAddress.Is(Address(address, IPAddress.Parse(first).GetAddressBytes().Length)), first);
    }

    [Fact]
    public void Address_AnyV4_IsPublicExactlyOutsideOfTheRegistry() => Prop.ForAll<uint>(number =>
    {
        var address = Address(number, 4);
        Assert.Equal(!IsSpecial(SpecialV4, number), PublicAddress.Is(address));
        // As IPv6 carries it, it is no better than it is: mapped and by NAT64 the same, by anything else never.
        for (var i = 0; i < Wrappings.Length; i++)
            Assert.Equal(i < 2 && PublicAddress.Is(address), PublicAddress.Is(IPAddress.Parse(Wrappings[i](address.ToString()))));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    [Fact]
    public void Address_AnySpecialV4_IsNotPublicInAnyWrapping() => Prop.ForAll(
        (from range in Gen.Elements(SpecialV4) from offset in Gen.Choose(0, int.MaxValue) select (ulong)(Number(range.First) + (Number(range.Last) - Number(range.First)) * offset / int.MaxValue)).ToArbitrary(),
        number => Assert.All(Wrappings.Append(v4 => v4), wrap => Assert.False(PublicAddress.Is(IPAddress.Parse(wrap(Address(number, 4).ToString())))))).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void Address_AnyV6_IsPublicOnlyOutsideOfTheRegistry() => Prop.ForAll<byte[]>(bytes =>
    {
        var all = new byte[16];
        bytes.AsSpan(0, Math.Min(16, bytes.Length)).CopyTo(all);
        var address = new IPAddress(all);
        if (address.IsIPv4MappedToIPv6 || address.ToString().StartsWith("64:ff9b::", StringComparison.Ordinal))
            return;
        Assert.Equal(!IsSpecial(SpecialV6, Number(address.ToString())), PublicAddress.Is(address));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    private static bool IsSpecial((string First, string Last)[] ranges, System.Numerics.BigInteger number) =>
        Array.Exists(ranges, r => number >= Number(r.First) && number <= Number(r.Last));

    private static System.Numerics.BigInteger Number(string address) => new(IPAddress.Parse(address).GetAddressBytes(), isUnsigned: true, isBigEndian: true);

    private static IPAddress Address(System.Numerics.BigInteger number, int length)
    {
        var bytes = number.ToByteArray(isUnsigned: true, isBigEndian: true);
        return new IPAddress([.. new byte[length - bytes.Length], .. bytes]);
    }

    private static string Hex(string v4) => string.Join(':', IPAddress.Parse(v4).GetAddressBytes().Chunk(2).Select(Convert.ToHexStringLower));
}
