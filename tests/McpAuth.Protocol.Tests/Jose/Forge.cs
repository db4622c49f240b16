using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol.Jose;

namespace McpAuth.Protocol.Tests.Jose;

/// <summary>Tokens that an honest signer does not make.</summary>
internal static class Forge
{
    public static string Part(string json) => Base64Url.Encode(Encoding.UTF8.GetBytes(json));

    /// <summary>Any header and payload, with a right ES256 signature by <paramref name="key"/>.</summary>
    public static string Es256(SigningKey key, string header, string payload)
    {
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
        return Signed(header, payload, input => ecdsa.SignData(input, HashAlgorithmName.SHA256));
    }

    public static string Signed(string header, string payload, Func<byte[], byte[]> sign)
    {
        var input = $"{Part(header)}.{Part(payload)}";
        return $"{input}.{Base64Url.Encode(sign(Encoding.ASCII.GetBytes(input)))}";
    }

    /// <summary>The same token with its signature, or another part, replaced.</summary>
    public static string WithPart(string token, int part, Func<byte[], byte[]> change)
    {
        var parts = token.Split('.');
        Assert.True(Base64Url.TryDecode(parts[part], out var bytes));
        parts[part] = Base64Url.Encode(change(bytes));
        return string.Join('.', parts);
    }
}
