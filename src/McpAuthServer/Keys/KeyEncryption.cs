using System.Security.Cryptography;
using System.Text;

namespace McpAuthServer.Keys;

/// <summary>
/// Wraps the secrets that must be read again (signing keys, argument keys) under the key-encryption key, which never is in the
/// database: AES-256-GCM. Layout: key id (1 byte), nonce (12), tag (16), ciphertext. Key id and purpose are authenticated, so a
/// wrapped value cannot be moved to another use. Thread-safe, but for <see cref="Dispose"/>.
/// </summary>
internal sealed class KeyEncryption : IDisposable
{
    public const int KeySize = 32;

    private const byte KeyId = 1;
    private const int NonceSize = 12, TagSize = 16, HeaderSize = 1 + NonceSize + TagSize;

    private readonly byte[] key;
    private bool disposed;

    /// <exception cref="ArgumentException">The key does not have 32 bytes.</exception>
    public KeyEncryption(ReadOnlySpan<byte> key32)
    {
        if (key32.Length != KeySize)
            throw new ArgumentException($"A key-encryption key has {KeySize} bytes.", nameof(key32));
        key = key32.ToArray();
    }

    /// <param name="purpose">What the secret is for, e.g. <c>args_key:srv_1</c>; the same words are needed to unwrap it.</param>
    public byte[] Wrap(ReadOnlySpan<byte> secret, string purpose)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        var wrapped = new byte[HeaderSize + secret.Length];
        wrapped[0] = KeyId;
        // A random nonce is safe up to 2^32 values under one key (NIST SP 800-38D §8.3); a registry wraps a few thousand.
        RandomNumberGenerator.Fill(wrapped.AsSpan(1, NonceSize));
        using var aes = new AesGcm(key, TagSize);
        aes.Encrypt(wrapped.AsSpan(1, NonceSize), secret, wrapped.AsSpan(HeaderSize), wrapped.AsSpan(1 + NonceSize, TagSize), Associated(purpose));
        return wrapped;
    }

    /// <exception cref="CryptographicException">The value was altered, cut, or wrapped under another key or for another purpose.</exception>
    public byte[] Unwrap(ReadOnlySpan<byte> wrapped, string purpose)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (wrapped.Length < HeaderSize || wrapped[0] != KeyId)
            throw new CryptographicException("Not a value wrapped under this key.");
        var secret = new byte[wrapped.Length - HeaderSize];
        using var aes = new AesGcm(key, TagSize);
        aes.Decrypt(wrapped.Slice(1, NonceSize), wrapped[HeaderSize..], wrapped.Slice(1 + NonceSize, TagSize), secret, Associated(purpose));
        return secret;
    }

    public void Dispose()
    {
        // The flag first: nothing may ever be wrapped under a key of zeros.
        disposed = true;
        CryptographicOperations.ZeroMemory(key);
    }

    private static byte[] Associated(string purpose) => [KeyId, .. Encoding.UTF8.GetBytes(purpose)];
}
