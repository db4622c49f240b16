using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace McpAuth.Protocol.Network;

/// <summary>The reverse proxies that an operator named, by address or prefix: what the connection does not show, only their headers may say.</summary>
public sealed class TrustedProxies
{
    private readonly IPNetwork[] networks;

    /// <exception cref="ArgumentException">One of them does not read; see <see cref="TryParse"/>.</exception>
    public TrustedProxies(IEnumerable<string> proxies)
    {
        ArgumentNullException.ThrowIfNull(proxies);
        networks = [.. proxies.Select(p => TryParse(p, out var network, out var why) ? network : throw new ArgumentException($"'{p}' {why}", nameof(proxies)))];
    }

    /// <summary>False when none was named.</summary>
    public bool Any => networks.Length > 0;

    /// <summary>Whether a connection from there is one of a trusted proxy. IPv4 written as IPv6 is IPv4.</summary>
    public bool Include(IPAddress? address)
    {
        if (address is null)
            return false;
        // One loop over a handful of prefixes; an IPNetwork contains no address of the other family.
        address = Unmapped(address);
        foreach (var network in networks)
            if (network.Contains(address))
                return true;
        return false;
    }

    /// <summary>An address or a prefix in CIDR form; <paramref name="why"/> not.</summary>
    public static bool TryParse(string text, out IPNetwork network, out string why)
    {
        ArgumentNullException.ThrowIfNull(text);
        (network, why) = (default, "is neither an IP address nor a prefix such as 10.1.0.0/16 or 2001:db8::/32");
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!TryReadAddress(slash < 0 ? text : text.AsSpan(0, slash), out var address) || text.Contains('[', StringComparison.Ordinal))
            return false;
        if (address.AddressFamily == AddressFamily.InterNetwork && text.Contains(':', StringComparison.Ordinal))
        {
            if (text.StartsWith("::", StringComparison.Ordinal))
                why = "is IPv4 written as IPv6; write it as IPv4";
            return false;
        }
        var bits = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        var prefix = bits;
        if (slash >= 0 && !(int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, null, out prefix) && prefix <= bits))
            return false;
        if (prefix == 0)
        {
            why = "would let every client say what its address is";
            return false;
        }
        if (HasBitsBeyond(address, prefix))
        {
            why = $"has bits set beyond its prefix of {prefix}";
            return false;
        }
        network = new IPNetwork(address, prefix);
        return true;
    }

    /// <summary>
    /// An address, also with a port behind it, as some proxies write. The platform's parser also takes <c>10.1</c>, <c>0x0a000001</c> and scope
    /// ids, which are not how an address is told.
    /// </summary>
    public static bool TryReadAddress(ReadOnlySpan<char> text, out IPAddress address)
    {
        address = IPAddress.None;
        if (text.Contains('%') || !IPEndPoint.TryParse(text, out var end))
            return false;
        address = Unmapped(end.Address);
        return end.Address.AddressFamily == AddressFamily.InterNetworkV6 || text.StartsWith(address.ToString(), StringComparison.Ordinal);
    }

    /// <summary>IPv4 as IPv4, whichever family the socket had.</summary>
    public static IPAddress Unmapped(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    private static bool HasBitsBeyond(IPAddress address, int prefix)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var length);
        for (var bit = prefix; bit < length * 8; bit++)
            if ((bytes[bit / 8] & (0x80 >> (bit % 8))) != 0)
                return true;
        return false;
    }
}
