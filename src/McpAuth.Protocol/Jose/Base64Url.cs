using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Codec = System.Buffers.Text.Base64Url;

namespace McpAuth.Protocol.Jose;

/// <summary>base64url without padding (RFC 7515 §2); decoding refuses padding, whitespace, the wrong alphabet and non-zero trailing bits.</summary>
public static class Base64Url
{
    private const string Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    private static readonly SearchValues<char> Alphabet = SearchValues.Create(Digits);

    public static string Encode(ReadOnlySpan<byte> bytes) => Codec.EncodeToString(bytes);

    public static bool TryDecode(ReadOnlySpan<char> text, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = null;
        if (!IsWellFormed(text))
            return false;
        bytes = new byte[DecodedLength(text.Length)];
        return Codec.TryDecodeFromChars(text, bytes, out var written) && written == bytes.Length;
    }

    /// <summary>base64url of the SHA-256 of the text's UTF-8 bytes: how tokens and secrets are stored and how <c>ath</c> is made.</summary>
    public static string Sha256(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var length = Encoding.UTF8.GetMaxByteCount(text.Length);
        byte[]? rented = null;
        var utf8 = length <= 1024 ? stackalloc byte[1024] : rented = ArrayPool<byte>.Shared.Rent(length);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(text, utf8)], hash);
        if (rented is not null)
            ArrayPool<byte>.Shared.Return(rented, clearArray: true);
        return Encode(hash);
    }

    internal static int DecodedLength(int characters) => (int)((long)characters * 3 / 4);

    /// <summary>As the public overload, into memory of the caller; at least <see cref="DecodedLength"/> bytes.</summary>
    internal static bool TryDecode(ReadOnlySpan<char> text, Span<byte> bytes, out int written)
    {
        written = 0;
        return IsWellFormed(text) && Codec.TryDecodeFromChars(text, bytes, out written);
    }

    // One value has one spelling: bits that carry nothing must be zero, or a signature would have several texts (RFC 4648 §3.5).
    internal static bool IsWellFormed(ReadOnlySpan<char> text)
    {
        if (text.ContainsAnyExcept(Alphabet))
            return false;
        return (text.Length % 4) switch
        {
            0 => true,
            2 => (Digits.IndexOf(text[^1], StringComparison.Ordinal) & 0b1111) == 0,
            3 => (Digits.IndexOf(text[^1], StringComparison.Ordinal) & 0b0011) == 0,
            _ => false,
        };
    }
}
