using System.Runtime.CompilerServices;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Hosting;

/// <summary>
/// Servers between two requests, each for the token it works for. A token has room for a few; where more come, one that waits is forgotten, and with nothing running in it the
/// collector takes it.
/// </summary>
internal sealed class IdleServers
{
    private const int Tokens = 64, Each = 16;

    private readonly RequestServer?[] places = new RequestServer?[Tokens * Each];
    private uint replaced;

    /// <summary>Nobody else has it; null when there is none.</summary>
    public RequestServer? Take(ValidatedToken token)
    {
        foreach (ref RequestServer? place in Places(token))
        {
            if (Volatile.Read(ref place) is { } server && ReferenceEquals(server.Token, token) && Interlocked.CompareExchange(ref place, null, server) == server) return server;
        }
        return null;
    }

    public void Put(RequestServer server)
    {
        Span<RequestServer?> all = Places(server.Token);
        foreach (ref RequestServer? place in all)
        {
            if (Volatile.Read(ref place) is null && Interlocked.CompareExchange(ref place, server, null) is null) return;
        }
        Volatile.Write(ref all[(int)(Interlocked.Increment(ref replaced) % Each)], server);
    }

    private Span<RequestServer?> Places(ValidatedToken token) => places.AsSpan((int)((uint)RuntimeHelpers.GetHashCode(token) % Tokens) * Each, Each);
}
