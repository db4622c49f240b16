using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace McpAuthServer.Clients.Documents;

/// <summary>
/// The names of hosts that may be looked up. An address in any notation is none of them, and neither is a name that only this machine or its
/// network knows: readers of addresses differ on what <c>127.1</c>, <c>0x7f000001</c> or <c>localhost.</c> are, so none of it gets as far. Pure.
/// </summary>
internal static class HostName
{
    private const int MaxLength = 253, MaxLabel = 63;

    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");

    /// <summary>Two labels at least, of lower-case letters, digits and inner hyphens (RFC 1123 §2.1); the last starts with a letter, as no notation of an address does.</summary>
    public static bool IsPublic(ReadOnlySpan<char> host)
    {
        if (host.Length > MaxLength)
            return false;
        var labels = 0;
        var last = ReadOnlySpan<char>.Empty;
        foreach (var range in host.Split('.'))
        {
            last = host[range];
            labels++;
            if (last.Length is 0 or > MaxLabel || last[0] == '-' || last[^1] == '-' || last.IndexOfAnyExcept(Letters) >= 0)
                return false;
        }
        return labels >= 2 && char.IsAsciiLetterLower(last[0]) && last is not "localhost";
    }

    /// <summary>As it is written for this machine itself: <c>localhost</c> or a loopback address in its normal form, brackets included.</summary>
    public static bool IsLoopback(string host) =>
        host == "localhost" || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address)
            && host == (address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString()));
}
