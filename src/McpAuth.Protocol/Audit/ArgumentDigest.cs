using System.Globalization;
using System.Security.Cryptography;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuth.Protocol.Audit;

/// <summary>Keyed digests of arguments: what was called with can be recognised later, but not guessed from the record. Thread-safe.</summary>
public sealed class ArgumentDigest
{
    private readonly byte[] key;
    private readonly string prefix;

    /// <summary>The one that this thread used last, and whose: making one costs more than what it hashes here.</summary>
    [ThreadStatic]
    private static (byte[] Key, IncrementalHash Hash)? kept;

    public ArgumentDigest(ArgsKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        this.key = Base64Url.TryDecode(key.Key, out var bytes) && bytes.Length >= 16
            ? bytes : throw new InvalidDataException("The server's key for argument digests is not base64url of at least 16 bytes.");
        prefix = "v" + key.Version.ToString(CultureInfo.InvariantCulture) + ":";
    }

    /// <param name="canonical">The RFC 8785 form.</param>
    public string Of(ReadOnlySpan<byte> canonical)
    {
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        var hash = Hash();
        hash.AppendData(canonical);
        hash.TryGetHashAndReset(mac, out _);
        return string.Concat(prefix, Base64Url.Encode(mac));
    }

    private IncrementalHash Hash()
    {
        if (kept is { } own && ReferenceEquals(own.Key, key))
            return own.Hash;
        kept?.Hash.Dispose();
        var made = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        kept = (key, made);
        return made;
    }
}
