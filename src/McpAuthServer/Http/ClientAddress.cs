using System.Net;
using System.Net.Sockets;

namespace McpAuthServer.Http;

/// <summary>
/// Where a request comes from. Behind proxies that the operator named, the last of them tells; nothing else of forwarded headers is ever
/// read: issuer, scheme and host come from the configuration.
/// </summary>
internal sealed class ClientAddress(ServerOptions options)
{
    private const string ForwardedFor = "X-Forwarded-For";

    private readonly IPNetwork[] proxies = [.. options.Proxies.Select(p => TryParse(p, out var network, out _) ? network : throw new ArgumentException(p, nameof(options)))];

    /// <summary>Whether the TCP peer is a trusted proxy: only then may a header say what the connection does not show.</summary>
    public bool FromProxy(HttpContext context) => proxies.Length > 0 && context.Connection.RemoteIpAddress is { } peer && IsProxy(Unmapped(peer));

    /// <summary>
    /// The TCP peer, or what the trusted proxies say of it: the rightmost address of <c>X-Forwarded-For</c> that is none of theirs. Whatever
    /// stands left of it came from outside. IPv4 as IPv4; <c>0.0.0.0</c> for a connection without an address (a Unix socket).
    /// </summary>
    public IPAddress Of(HttpContext context)
    {
        var address = Unmapped(context.Connection.RemoteIpAddress ?? IPAddress.Any);
        if (proxies.Length == 0 || !IsProxy(address))
            return address;
        // Several header fields are one list (RFC 9110 §5.3).
        var fields = context.Request.Headers[ForwardedFor];
        for (var i = fields.Count - 1; i >= 0; i--)
        {
            var left = fields[i].AsSpan();
            while (!left.IsEmpty)
            {
                var comma = left.LastIndexOf(',');
                // A proxy that does not know, or hides it ("unknown"), is as far as anybody can see.
                if (!TryRead(left[(comma + 1)..].Trim(), out var hop))
                    return address;
                address = hop;
                if (!IsProxy(address))
                    return address;
                left = left[..Math.Max(comma, 0)];
            }
        }
        return address;
    }

    /// <summary>An address or a prefix in CIDR form; <paramref name="why"/> not.</summary>
    public static bool TryParse(string text, out IPNetwork network, out string why)
    {
        (network, why) = (default, "is neither an IP address nor a prefix such as 10.1.0.0/16 or 2001:db8::/32");
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!TryRead(slash < 0 ? text : text.AsSpan(0, slash), out var address) || text.Contains('[', StringComparison.Ordinal))
            return false;
        if (address.AddressFamily == AddressFamily.InterNetwork && text.Contains(':', StringComparison.Ordinal))
        {
            if (text.StartsWith("::", StringComparison.Ordinal))
                why = "is IPv4 written as IPv6; write it as IPv4";
            return false;
        }
        var bits = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        var prefix = bits;
        if (slash >= 0 && !(int.TryParse(text.AsSpan(slash + 1), System.Globalization.NumberStyles.None, null, out prefix) && prefix <= bits))
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

    // One loop over a handful of prefixes; an IPNetwork contains no address of the other family.
    private bool IsProxy(IPAddress address)
    {
        foreach (var proxy in proxies)
            if (proxy.Contains(address))
                return true;
        return false;
    }

    private static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    // Some proxies write the port too. The parser also takes "10.1", "0x0a000001" and scope ids, which are not how an address is told.
    private static bool TryRead(ReadOnlySpan<char> text, out IPAddress address)
    {
        address = IPAddress.None;
        if (text.Contains('%') || !IPEndPoint.TryParse(text, out var end))
            return false;
        address = Unmapped(end.Address);
        return end.Address.AddressFamily == AddressFamily.InterNetworkV6 || text.StartsWith(address.ToString(), StringComparison.Ordinal);
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
