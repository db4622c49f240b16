using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace McpAuthServer.Clients.Documents;

/// <summary>What the fetcher has of the outer world; tests put listeners of their own in the place of the internet.</summary>
internal sealed record FetchNetwork
{
    /// <summary>Every address of a name. It is asked once for each fetch, and what it said is what is connected to.</summary>
    public Func<string, Task<IPAddress[]>> ResolveAsync { get; init; } = host => Dns.GetHostAddressesAsync(host);

    public Func<IPEndPoint, CancellationToken, ValueTask<Stream>> ConnectAsync { get; init; } = TcpAsync;

    /// <summary>Trusted instead of the system's authorities.</summary>
    public X509Certificate2Collection? Roots { get; init; }

    private static async ValueTask<Stream> TcpAsync(IPEndPoint to, CancellationToken cancel)
    {
        var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(to, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
