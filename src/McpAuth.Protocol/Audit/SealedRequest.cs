using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using Codec = System.Buffers.Text.Base64Url;

namespace McpAuth.Protocol.Audit;

/// <summary>
/// What a decision was made on, or is to be approved, encrypted by the guard before it reaches a disk: arguments are confidential. AES-256-GCM under a key derived from the
/// tool server's key of digests, one for each purpose, bound to the decision's id. Text form: <c>v{key version}.{base64url of nonce, tag, ciphertext}</c>. Thread-safe.
/// </summary>
public sealed class SealedRequest
{
    private const int NonceSize = 12, TagSize = 16, HeaderSize = NonceSize + TagSize;

    private readonly string prefix;
    private readonly byte[] key;

    /// <summary>The one that this thread used last, and whose: making one costs more than what it encrypts here.</summary>
    [ThreadStatic]
    private static (byte[] Key, AesGcm Cipher)? kept;

    /// <summary>What it is for: what was encrypted for one is not read for the other.</summary>
    public const string ForPolicy = "mcpauth policy request", ForApproval = "mcpauth approval request";

    public SealedRequest(ArgsKey of, string purpose = ForPolicy)
    {
        ArgumentNullException.ThrowIfNull(of);
        if (!Base64Url.TryDecode(of.Key, out var secret))
            throw new ArgumentException("The key is not base64url.", nameof(of));
        prefix = string.Create(CultureInfo.InvariantCulture, $"v{of.Version}.");
        key = HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes(purpose));
    }

    public string Seal(string decision, ReadOnlySpan<byte> request) => Encoding.ASCII.GetString(SealToUtf8(decision, request));

    /// <summary>The same text as bytes: all that is left of it in memory.</summary>
    public byte[] SealToUtf8(string decision, ReadOnlySpan<byte> request)
    {
        ArgumentNullException.ThrowIfNull(decision);
        var size = HeaderSize + request.Length;
        var rented = ArrayPool<byte>.Shared.Rent(size);
        var output = rented.AsSpan(0, size);
        Span<byte> bound = decision.Length <= 64 ? stackalloc byte[192] : new byte[Encoding.UTF8.GetMaxByteCount(decision.Length)];
        RandomBytes.Fill(output[..NonceSize]);
        Cipher().Encrypt(output[..NonceSize], request, output[HeaderSize..], output.Slice(NonceSize, TagSize), bound[..Encoding.UTF8.GetBytes(decision, bound)]);
        var text = new byte[prefix.Length + Codec.GetEncodedLength(size)];
        Encoding.ASCII.GetBytes(prefix, text);
        Codec.EncodeToUtf8(output, text.AsSpan(prefix.Length));
        ArrayPool<byte>.Shared.Return(rented);
        return text;
    }

    /// <returns>Null when it was not sealed under this key, or for another decision, or was altered.</returns>
    public byte[]? Open(string decision, string sealedText)
    {
        ArgumentNullException.ThrowIfNull(sealedText);
        if (!sealedText.StartsWith(prefix, StringComparison.Ordinal) || !Base64Url.TryDecode(sealedText.AsSpan(prefix.Length), out var bytes) || bytes.Length < HeaderSize)
            return null;
        var request = new byte[bytes.Length - HeaderSize];
        try
        {
            Cipher().Decrypt(bytes.AsSpan(0, NonceSize), bytes.AsSpan(HeaderSize), bytes.AsSpan(NonceSize, TagSize), request, Encoding.UTF8.GetBytes(decision));
            return request;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private AesGcm Cipher()
    {
        if (kept is { } own && ReferenceEquals(own.Key, key))
            return own.Cipher;
        kept?.Cipher.Dispose();
        AesGcm made = new(key, TagSize);
        kept = (key, made);
        return made;
    }
}
