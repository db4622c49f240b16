namespace McpAuth.Cedar.Extensions;

/// <summary>An IPv4 or IPv6 address or range: the extension type <c>ipaddr</c>. An address alone is a range of one.</summary>
public sealed class CedarIpAddress : IEquatable<CedarIpAddress>
{
    // Worked out once: guards are made of many policies that ask for the same ranges.
    private readonly UInt128 first, last;

    /// <param name="address">The address; of IPv4 the lower 32 bits. Bits beyond the prefix are kept: two ranges that differ there are unequal.</param>
    /// <param name="prefix">0 to 32, or 0 to 128.</param>
    internal CedarIpAddress(UInt128 address, bool isIpv6, int prefix)
    {
        (Address, IsIpv6, Prefix) = (address, isIpv6, prefix);
        int width = isIpv6 ? 128 : 32;
        // Shifting by the full width would shift by nothing.
        UInt128 hostBits = prefix == 0 ? UInt128.MaxValue >> (128 - width) : (UInt128.One << (width - prefix)) - UInt128.One;
        (first, last) = (address & ~hostBits, address | hostBits);
    }

    public UInt128 Address { get; }

    public bool IsIpv6 { get; }

    /// <summary>The number of leading bits that all of the range share.</summary>
    public int Prefix { get; }

    /// <summary>Whether all of this lies within <paramref name="range"/>; never across the two families.</summary>
    public bool IsInRange(CedarIpAddress range) => IsIpv6 == range.IsIpv6 && first >= range.first && last <= range.last;

    public bool IsLoopback => IsInRange(IsIpv6 ? Loopback6 : Loopback4);

    public bool IsMulticast => IsInRange(IsIpv6 ? Multicast6 : Multicast4);

    private static readonly CedarIpAddress Loopback4 = new(0x7F000000, false, 8);
    private static readonly CedarIpAddress Loopback6 = new(UInt128.One, true, 128);
    private static readonly CedarIpAddress Multicast4 = new(0xE0000000, false, 4);
    private static readonly CedarIpAddress Multicast6 = new((UInt128)0xFF << 120, true, 8);

    public bool Equals(CedarIpAddress? other) =>
        other is not null && Address == other.Address && IsIpv6 == other.IsIpv6 && Prefix == other.Prefix;

    public override bool Equals(object? obj) => obj is CedarIpAddress other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Address, IsIpv6, Prefix);

    public override string ToString() => ExtensionText.Of(this);
}
