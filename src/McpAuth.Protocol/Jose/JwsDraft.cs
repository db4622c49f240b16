using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Codec = System.Buffers.Text.Base64Url;

namespace McpAuth.Protocol.Jose;

/// <summary>
/// A compact JWS being written. Its buffers belong to the thread and are used again by the next one; a draft started while
/// another is open on the thread gets its own.
/// </summary>
internal sealed class JwsDraft : IDisposable
{
    private const int KeptBytes = 64 * 1024, LongestSignature = 1024;
    [ThreadStatic]
    private static JwsDraft? idle;

    private readonly ArrayBufferWriter<byte> payload = new(1024);
    private byte[] compact = new byte[2048];
    private byte[] header = [];

    private JwsDraft() => Payload = new(payload, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    public Utf8JsonWriter Payload { get; }

    /// <param name="header">The header, already base64url.</param>
    public static JwsDraft Start(byte[] header)
    {
        var draft = idle ?? new();
        idle = null;
        draft.header = header;
        return draft;
    }

    // RFC 7515 §5.1: sign ASCII(BASE64URL(header) '.' BASE64URL(payload)).
    public string Finish(AsymmetricAlgorithm key)
    {
        Payload.Flush();
        var needed = header.Length + Codec.GetEncodedLength(payload.WrittenCount) + 2 + Codec.GetEncodedLength(LongestSignature);
        if (compact.Length < needed)
            compact = new byte[needed];
        header.CopyTo(compact, 0);
        var length = header.Length;
        compact[length++] = (byte)'.';
        length += Codec.EncodeToUtf8(payload.WrittenSpan, compact.AsSpan(length));

        Span<byte> signature = stackalloc byte[LongestSignature];
        var input = compact.AsSpan(0, length);
        var written = key is ECDsa ecdsa
            ? ecdsa.SignData(input, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)
            : ((RSA)key).SignData(input, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        compact[length++] = (byte)'.';
        length += Codec.EncodeToUtf8(signature[..written], compact.AsSpan(length));
        return Encoding.ASCII.GetString(compact, 0, length);
    }

    public void Dispose()
    {
        payload.ResetWrittenCount();
        Payload.Reset();
        if (payload.Capacity <= KeptBytes && compact.Length <= KeptBytes)
            idle = this;
        else
            Payload.Dispose();
    }
}
