using McpAuth.Protocol;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace McpAuthServer.Http;

/// <summary>What one connection may cost the server: slow senders and readers are cut off, and there is room for only so many.</summary>
public sealed class ConnectionLimits
{
    private const int RequestLine = 32 * 1024, Headers = 32 * 1024, HeaderCount = 100, StreamsPerConnection = 100, MostRate = 10_000_000, SendBuffer = 32 * 1024;

    /// <summary>Connections at once; more are closed as they come. Every guard keeps one.</summary>
    public int Most { get; set; } = 10_000;

    /// <summary>All headers must be there within this time of a request's first byte.</summary>
    public TimeSpan HeaderTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Bodies must come at this rate at least, in bytes a second.</summary>
    public int LeastBodyRate { get; set; } = 1_000;

    /// <summary>Answers must be read at this rate at least. What fits into the buffers of either side counts as read in no time, and then has its time still.</summary>
    public int LeastAnswerRate { get; set; } = 10_000;

    /// <summary>How long a rate may be less, from the beginning.</summary>
    public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a connection may wait for its next request.</summary>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromMinutes(2);

    internal IEnumerable<string> Faults()
    {
        if (Most is < 1 or > 1_000_000)
            yield return "McpAuth:Connections:Most must be between 1 and 1000000";
        if (HeaderTimeout < TimeSpan.FromSeconds(1) || HeaderTimeout > TimeSpan.FromMinutes(1))
            yield return "McpAuth:Connections:HeaderTimeout must be between 1 second and 1 minute";
        if (LeastBodyRate is < 1 or > MostRate || LeastAnswerRate is < 1 or > MostRate)
            yield return $"McpAuth:Connections:LeastBodyRate and LeastAnswerRate must be between 1 and {MostRate}";
        // The host looks once a second.
        if (Grace <= TimeSpan.FromSeconds(1) || Grace > TimeSpan.FromMinutes(1))
            yield return "McpAuth:Connections:Grace must be more than 1 second and at most 1 minute";
        if (KeepAlive < TimeSpan.FromSeconds(1) || KeepAlive > TimeSpan.FromHours(1))
            yield return "McpAuth:Connections:KeepAlive must be between 1 second and 1 hour";
    }

    /// <summary>
    /// Left to itself the kernel takes megabytes of answers for a client that asks and does not read, which at the least rate would have
    /// minutes, each connection.
    /// </summary>
    internal static void Configure(SocketTransportOptions transport) => transport.CreateBoundListenSocket = endpoint =>
    {
        var listener = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        // Those it accepts have it too.
        listener.SendBufferSize = SendBuffer;
        return listener;
    };

    internal void Configure(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        var limits = kestrel.Limits;
        limits.MaxConcurrentConnections = limits.MaxConcurrentUpgradedConnections = Most;
        limits.KeepAliveTimeout = KeepAlive;
        limits.RequestHeadersTimeout = HeaderTimeout;
        // An authorization request travels in the query, and once more sealed.
        limits.MaxRequestLineSize = RequestLine;
        limits.MaxRequestHeadersTotalSize = Headers;
        limits.MaxRequestHeaderCount = HeaderCount;
        // The most that any endpoint takes; each has its own bound below it.
        limits.MaxRequestBodySize = Limits.GuardBody;
        limits.MinRequestBodyDataRate = new MinDataRate(LeastBodyRate, Grace);
        limits.MinResponseDataRate = new MinDataRate(LeastAnswerRate, Grace);
        limits.Http2.MaxStreamsPerConnection = StreamsPerConnection;
        limits.Http2.MaxRequestHeaderFieldSize = RequestLine;
        limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
    }
}
