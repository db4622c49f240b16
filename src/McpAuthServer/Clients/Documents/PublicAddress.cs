using System.Net;
using System.Net.Sockets;

namespace McpAuthServer.Clients.Documents;

/// <summary>Which addresses are a place on the public internet. What is not, the server never contacts for anybody. Pure.</summary>
internal static class PublicAddress
{
    /// <summary>IANA's special-purpose registry for IPv4 (RFC 6890), multicast, and one address that is public in form only.</summary>
    private static readonly IPNetwork[] SpecialV4 = Networks(
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
        "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        // A cloud's host agent, which answers every machine in it.
        "168.63.129.16/32");

    /// <summary>
    /// Of global unicast, what is not global: protocol assignments with Teredo and ORCHID, documentation, and 6to4, which wraps any IPv4 address.
    /// </summary>
    private static readonly IPNetwork[] SpecialV6 = Networks("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20");

    /// <summary>All that IANA has given out for the public (RFC 4291 §2.4); loopback, local, site-local, multicast and the rest lie outside.</summary>
    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3");

    /// <summary>
    /// RFC 6052 §2.1: how a network without IPv4 of its own reaches it. The other prefix, 64:ff9b:1::/48, is for local use, and where in it an
    /// IPv4 address stands is local as well: it lies outside of what is public.
    /// </summary>
    private static readonly IPNetwork Nat64 = IPNetwork.Parse("64:ff9b::/96");

    public static bool Is(IPAddress address)
    {
        if (address.AddressFamily == AddressFamily.InterNetwork)
            return !Array.Exists(SpecialV4, n => n.Contains(address));
        if (address.AddressFamily != AddressFamily.InterNetworkV6 || address.ScopeId != 0)
            return false;
        if (address.IsIPv4MappedToIPv6)
            return Is(address.MapToIPv4());
        if (Nat64.Contains(address))
            return Is(new IPAddress(address.GetAddressBytes().AsSpan(12)));
        return GlobalUnicast.Contains(address) && !Array.Exists(SpecialV6, n => n.Contains(address));
    }

    private static IPNetwork[] Networks(params string[] texts) => Array.ConvertAll(texts, IPNetwork.Parse);
}
