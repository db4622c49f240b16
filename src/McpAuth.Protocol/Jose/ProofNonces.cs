using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace McpAuth.Protocol.Jose;

/// <summary>
/// Nonces for DPoP proofs (RFC 9449 §8, §9): a window of time and its MAC, so nothing is kept of those that were given out. Who shares the
/// key takes each other's. A nonce lives for one to two minutes. Thread-safe.
/// </summary>
/// <param name="key">At least 32 random bytes.</param>
public sealed class ProofNonces(byte[] key, TimeProvider time)
{
    private static readonly long Step = (long)Limits.DpopAge.TotalSeconds;

    private readonly byte[] key = key.Length >= 32 ? key : throw new ArgumentException("A key of nonces has at least 32 bytes.", nameof(key));

    // The newest window that was asked for; one of two threads that make it at once is as good as the other.
    private Made? newest;

    /// <summary>What the next proof may carry.</summary>
    public string Current
    {
        get
        {
            var window = Window;
            if (newest is not { } made || made.Window != window)
                newest = made = new Made(window, Make(window));
            return made.Nonce;
        }
    }

    /// <summary>Made in this window or the one before; or in the next, by somebody whose clock is ahead.</summary>
    public bool Accepts(string nonce)
    {
        var window = Window;
        return Same(nonce, Current) || Same(nonce, Make(window - 1)) || Same(nonce, Make(window + 1));
    }

    private long Window => time.GetUtcNow().ToUnixTimeSeconds() / Step;

    private string Make(long window)
    {
        Span<byte> message = stackalloc byte[8], mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        BinaryPrimitives.WriteInt64BigEndian(message, window);
        HMACSHA256.HashData(key, message, mac);
        return Base64Url.Encode(mac[..16]);
    }

    private static bool Same(string a, string b) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(a), Encoding.UTF8.GetBytes(b));

    private sealed record Made(long Window, string Nonce);
}
