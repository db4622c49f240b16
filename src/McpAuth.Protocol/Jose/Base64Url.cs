using System.Diagnostics.CodeAnalysis;

namespace McpAuth.Protocol.Jose;

/// <summary>base64url without padding (RFC 7515 §2); decoding refuses padding, whitespace, the wrong alphabet and non-zero trailing bits.</summary>
public static class Base64Url
{
    public static string Encode(ReadOnlySpan<byte> bytes) => throw new NotImplementedException();

    public static bool TryDecode(ReadOnlySpan<char> text, [NotNullWhen(true)] out byte[]? bytes) => throw new NotImplementedException();

    /// <summary>base64url of the SHA-256 of the text's UTF-8 bytes: how tokens and secrets are stored and how <c>ath</c> is made.</summary>
    public static string Sha256(string text) => throw new NotImplementedException();
}
