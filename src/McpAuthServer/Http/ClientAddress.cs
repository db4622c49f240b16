using System.Net;
using McpAuth.Protocol.Network;

namespace McpAuthServer.Http;

/// <summary>
/// Where a request comes from. Behind proxies that the operator named, the last of them tells; nothing else of forwarded headers is ever
/// read: issuer, scheme and host come from the configuration.
/// </summary>
internal sealed class ClientAddress(ServerOptions options)
{
    private const string ForwardedFor = "X-Forwarded-For";

    private readonly TrustedProxies proxies = new(options.Proxies);

    /// <summary>Whether the TCP peer is a trusted proxy: only then may a header say what the connection does not show.</summary>
    public bool FromProxy(HttpContext context) => proxies.Include(context.Connection.RemoteIpAddress);

    /// <summary>
    /// The TCP peer, or what the trusted proxies say of it: the rightmost address of <c>X-Forwarded-For</c> that is none of theirs. Whatever
    /// stands left of it came from outside. IPv4 as IPv4; <c>0.0.0.0</c> for a connection without an address (a Unix socket).
    /// </summary>
    public IPAddress Of(HttpContext context)
    {
        var address = TrustedProxies.Unmapped(context.Connection.RemoteIpAddress ?? IPAddress.Any);
        if (!proxies.Include(address))
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
                if (!TrustedProxies.TryReadAddress(left[(comma + 1)..].Trim(), out var hop))
                    return address;
                address = hop;
                if (!proxies.Include(address))
                    return address;
                left = left[..Math.Max(comma, 0)];
            }
        }
        return address;
    }
}
