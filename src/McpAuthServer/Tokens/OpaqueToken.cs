using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Tokens;

/// <summary>A code, a refresh token, a secret of this server's making: 256 random bits behind a prefix that tells its kind. Only its hash is stored (invariant 8).</summary>
internal readonly record struct OpaqueToken(string Value)
{
    public const string Code = "ac_", Refresh = "rt_", ClientSecret = "cs_", Registration = "reg_";

    private const int NonceSize = 12, TagSize = 16;

    public string Hash => HashOf(Value);

    public static OpaqueToken New(string prefix) => new(prefix + Base64Url.Encode(RandomNumberGenerator.GetBytes(32)));

    public static string HashOf(string presented) => Base64Url.Sha256(presented);

    /// <summary>Its successor, readable only by who presents this one again: the key comes from the value, which is nowhere stored.</summary>
    public byte[] Seal(OpaqueToken successor)
    {
        var plain = Encoding.ASCII.GetBytes(successor.Value);
        var box = new byte[NonceSize + TagSize + plain.Length];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceSize));
        using var aes = new AesGcm(Key(), TagSize);
        aes.Encrypt(box.AsSpan(0, NonceSize), plain, box.AsSpan(NonceSize + TagSize), box.AsSpan(NonceSize, TagSize));
        return box;
    }

    /// <exception cref="CryptographicException">It was sealed by another token.</exception>
    public OpaqueToken Open(byte[] sealedSuccessor)
    {
        var plain = new byte[sealedSuccessor.Length - NonceSize - TagSize];
        using var aes = new AesGcm(Key(), TagSize);
        aes.Decrypt(sealedSuccessor.AsSpan(0, NonceSize), sealedSuccessor.AsSpan(NonceSize + TagSize), sealedSuccessor.AsSpan(NonceSize, TagSize), plain);
        return new(Encoding.ASCII.GetString(plain));
    }

    public override string ToString() => "a token";

    private byte[] Key() => HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.ASCII.GetBytes(Value), 32, info: "refresh token successor"u8.ToArray());
}
