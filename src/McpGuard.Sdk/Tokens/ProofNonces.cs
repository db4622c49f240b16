using System.Buffers.Binary;
using System.Security.Cryptography;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpGuard.Sdk.Tokens;

/// <summary>
/// This process's DPoP nonces (RFC 9449 §9): a time window and its MAC under a key that never leaves memory, so a proof carrying one
/// was made for this process, after it started.
/// </summary>
internal sealed class ProofNonces(TimeProvider time)
{
    private static readonly long Step = (long)Limits.DpopAge.TotalSeconds;
    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);

    public DateTimeOffset Started { get; } = time.GetUtcNow();

    public string Current => Make(Window);

    public bool Accepts(string nonce)
    {
        long window = Window;
        return Same(nonce, Make(window)) || Same(nonce, Make(window - 1));
    }

    private long Window => time.GetUtcNow().ToUnixTimeSeconds() / Step;

    private string Make(long window)
    {
        Span<byte> message = stackalloc byte[8], mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        BinaryPrimitives.WriteInt64BigEndian(message, window);
        HMACSHA256.HashData(key, message, mac);
        return Base64Url.Encode(mac[..16]);
    }

    private static bool Same(string a, string b) =>
        CryptographicOperations.FixedTimeEquals(System.Text.Encoding.UTF8.GetBytes(a), System.Text.Encoding.UTF8.GetBytes(b));
}
