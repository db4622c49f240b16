using System.Security.Cryptography;

namespace McpAuth.Client;

/// <summary>Pauses between attempts: each up to twice as long as the one before, and a random part of that, so that many who failed together do not come back together.</summary>
internal sealed class Backoff(TimeSpan first, TimeSpan longest)
{
    private TimeSpan bound = first;

    /// <summary>The next one: from half of its bound up to it.</summary>
    public TimeSpan Next()
    {
        TimeSpan pause = bound * (RandomNumberGenerator.GetInt32(500, 1001) / 1000.0);
        bound = bound * 2 < longest ? bound * 2 : longest;
        return pause;
    }
}
