using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace McpGuard.Sdk.Tokens;

/// <summary>The SHA-256 of a token, as a value: the key of what is remembered about it.</summary>
internal readonly struct TokenHash : IEquatable<TokenHash>
{
    private readonly ulong a, b, c, d;

    private TokenHash(ReadOnlySpan<byte> hash)
    {
        a = BinaryPrimitives.ReadUInt64LittleEndian(hash);
        b = BinaryPrimitives.ReadUInt64LittleEndian(hash[8..]);
        c = BinaryPrimitives.ReadUInt64LittleEndian(hash[16..]);
        d = BinaryPrimitives.ReadUInt64LittleEndian(hash[24..]);
    }

    public static TokenHash Of(ReadOnlySpan<char> ascii)
    {
        Span<byte> bytes = ascii.Length <= 4096 ? stackalloc byte[ascii.Length] : new byte[ascii.Length];
        Encoding.ASCII.GetBytes(ascii, bytes);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return new TokenHash(hash);
    }

    public UInt128 Half => new(a, b);

    public bool Equals(TokenHash other) => a == other.a && b == other.b && c == other.c && d == other.d;

    public override bool Equals(object? obj) => obj is TokenHash other && Equals(other);

    public override int GetHashCode() => (int)a;
}
