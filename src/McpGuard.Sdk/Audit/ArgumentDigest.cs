using System.Globalization;
using System.Security.Cryptography;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpGuard.Sdk.Audit;

/// <summary>Keyed digests of arguments: what was called with can be recognised later, but not guessed from the record.</summary>
internal sealed class ArgumentDigest
{
    private readonly byte[] key;
    private readonly string prefix;

    public ArgumentDigest(ArgsKey key)
    {
        this.key = Base64Url.TryDecode(key.Key, out byte[]? bytes) && bytes.Length >= 16
            ? bytes : throw new InvalidDataException("The server's key for argument digests is not base64url of at least 16 bytes.");
        prefix = "v" + key.Version.ToString(CultureInfo.InvariantCulture) + ":";
    }

    /// <param name="canonical">The RFC 8785 form.</param>
    public string Of(ReadOnlySpan<byte> canonical)
    {
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(key, canonical, mac);
        return prefix + Base64Url.Encode(mac);
    }
}
