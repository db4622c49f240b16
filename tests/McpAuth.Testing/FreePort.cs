using System.Net;
using System.Net.Sockets;

namespace McpAuth.Testing;

/// <summary>
/// Ports on 127.0.0.1 for child processes that must be told one. They lie below the range the kernel gives to outgoing connections, so
/// that a client socket cannot take the port between the choice and the child's bind. A host in this process binds port 0 instead.
/// </summary>
public static class FreePort
{
    private const int First = 20_000, Count = 12_000;

    // Test processes that run side by side start far from each other.
    private static int next = Environment.ProcessId * 193 % Count;

    /// <returns>A port nobody listens on now, and which this process is given only once.</returns>
    /// <exception cref="InvalidOperationException">Every port of the range is taken.</exception>
    public static int Next()
    {
        for (var tries = 0; tries < Count; tries++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref next) % Count);
            if (CanBind(port))
                return port;
        }
        throw new InvalidOperationException($"No free port between {First} and {First + Count}.");
    }

    private static bool CanBind(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            socket.Listen(1);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
