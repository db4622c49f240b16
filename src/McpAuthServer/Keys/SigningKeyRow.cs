using System.Data.Common;
using System.Security.Cryptography;
using System.Text.Json;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Keys;

/// <summary>Words of <c>signing_keys.state</c>.</summary>
internal static class SigningKeyState
{
    /// <summary>Published, so that everybody has it by the time it signs.</summary>
    public const string Next = "next";

    /// <summary>Signs. There is exactly one.</summary>
    public const string Active = "active";

    /// <summary>Signs no more; what it signed still lives.</summary>
    public const string Retired = "retired";

    /// <summary>Nothing that it signed lives. The row stays.</summary>
    public const string Past = "past";

    /// <summary>Never again published or trusted.</summary>
    public const string Revoked = "revoked";
}

/// <summary>A signing key as it is stored: what matters of it is wrapped, so that nobody who can write to the database can add a key of theirs.</summary>
/// <param name="ActiveFrom">Epoch milliseconds.</param>
/// <param name="EndedAt">Epoch milliseconds.</param>
internal sealed record SigningKeyRow(string Kid, string Alg, string State, long ActiveFrom, long EndedAt, byte[]? Private, byte[]? Public)
{
    private const string PrivatePurpose = "signing-key", PublicPurpose = "signing-key-public";

    /// <summary>In the order of the columns that <see cref="SigningKeyReader"/> selects.</summary>
    public static SigningKeyRow Read(DbDataReader r, int at) => new(
        r.GetString(at), r.GetString(at + 1), r.GetString(at + 2), r.GetInt64(at + 3), r.IsDBNull(at + 4) ? 0 : r.GetInt64(at + 4),
        r.IsDBNull(at + 5) ? null : r.GetFieldValue<byte[]>(at + 5), r.IsDBNull(at + 6) ? null : r.GetFieldValue<byte[]>(at + 6));

    public static byte[] Wrap(SigningKey key, KeyEncryption encryption)
    {
        var pkcs8 = key.ExportPkcs8();
        try
        {
            return encryption.Wrap(pkcs8, PrivatePurpose);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }

    public static byte[] Wrap(VerificationKey key, KeyEncryption encryption) => encryption.Wrap(JsonSerializer.SerializeToUtf8Bytes(key.Jwk), PublicPurpose);

    /// <exception cref="SigningKeyException">It cannot be unwrapped, or is another key.</exception>
    public SigningKey Signing(KeyEncryption encryption)
    {
        var key = Unwrapped(Private, PrivatePurpose, encryption, pkcs8 => SigningKey.Import(pkcs8, Alg));
        return key.KeyId == Kid ? key : throw new SigningKeyException($"Signing key '{Kid}' holds another key's private part.");
    }

    /// <exception cref="SigningKeyException">It cannot be unwrapped, or is another key.</exception>
    public VerificationKey Verifying(KeyEncryption encryption)
    {
        var key = Unwrapped(Public, PublicPurpose, encryption, jwk => VerificationKey.FromJwk(JsonElement.Parse(jwk)).TryGet(out var read, out _) ? read : null);
        return key?.Thumbprint == Kid ? key : throw new SigningKeyException($"Signing key '{Kid}' holds another key's public part.");
    }

    private T Unwrapped<T>(byte[]? wrapped, string purpose, KeyEncryption encryption, Func<byte[], T> read)
    {
        byte[] plain = [];
        try
        {
            plain = encryption.Unwrap(wrapped, purpose);
            return read(plain);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or JsonException)
        {
            throw new SigningKeyException($"Signing key '{Kid}' cannot be unwrapped: the key-encryption key is another one, or the database is damaged.");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }
}
