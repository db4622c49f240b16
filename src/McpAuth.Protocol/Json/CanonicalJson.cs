using System.Buffers;
using System.Text.Json;

namespace McpAuth.Protocol.Json;

/// <summary>The JSON Canonicalization Scheme (RFC 8785): members ordered by UTF-16 code units, ECMAScript numbers, minimal escapes.</summary>
public static class CanonicalJson
{
    public static void Write(JsonElement value, IBufferWriter<byte> output) => throw new NotImplementedException();

    public static byte[] ToBytes(JsonElement value) => throw new NotImplementedException();

    /// <summary><c>sha-256:</c> and the base64url SHA-256 of the canonical form, as used for tool definitions.</summary>
    public static string Digest(JsonElement value) => throw new NotImplementedException();
}
