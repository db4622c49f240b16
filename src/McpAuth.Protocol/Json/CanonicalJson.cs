using System.Buffers;
using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace McpAuth.Protocol.Json;

/// <summary>The JSON Canonicalization Scheme (RFC 8785): members ordered by UTF-16 code units, ECMAScript numbers, minimal escapes.</summary>
/// <remarks>
/// The value must come from <see cref="StrictJson"/> or be made here. For others, what RFC 8785 §3.1 requires of its input is not
/// guaranteed: a lone surrogate is an <see cref="InvalidOperationException"/>, a number past binary64 an <see cref="ArgumentException"/>.
/// </remarks>
public static class CanonicalJson
{
    public static void Write(JsonElement value, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        switch (value.ValueKind)
        {
            case JsonValueKind.Object: WriteObject(value, output); break;
            case JsonValueKind.Array: WriteArray(value, output); break;
            case JsonValueKind.String: WriteString(value, output); break;
            case JsonValueKind.Number: WriteNumber(value, output); break;
            case JsonValueKind.True: output.Write("true"u8); break;
            case JsonValueKind.False: output.Write("false"u8); break;
            case JsonValueKind.Null: output.Write("null"u8); break;
            default: throw new ArgumentException("There is no JSON value.", nameof(value));
        }
    }

    /// <summary>The same of a value that is not text yet; null = <c>null</c>. In one that was made here a lone surrogate becomes U+FFFD.</summary>
    public static void Write(JsonNode? value, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        switch (value)
        {
            case null: output.Write("null"u8); break;
            case JsonObject members: WriteObject(members, output); break;
            case JsonArray items: WriteArray(items, output); break;
            case JsonValue one when one.TryGetValue(out JsonElement element): Write(element, output); break;
            case JsonValue one when one.TryGetValue(out string? text): WriteString(text, output); break;
            default: Write(JsonElement.Parse(value.ToJsonString()), output); break;
        }
    }

    public static byte[] ToBytes(JsonElement value)
    {
        var output = new ArrayBufferWriter<byte>();
        Write(value, output);
        return output.WrittenSpan.ToArray();
    }

    /// <summary><c>sha-256:</c> and the base64url SHA-256 of the canonical form, as used for tool definitions.</summary>
    public static string Digest(JsonElement value)
    {
        var output = new ArrayBufferWriter<byte>();
        Write(value, output);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(output.WrittenSpan, hash);
        return "sha-256:" + Jose.Base64Url.Encode(hash);
    }

    private static void WriteObject(JsonElement value, IBufferWriter<byte> output)
    {
        if (InOrder(value))
        {
            var first = true;
            foreach (var member in value.EnumerateObject())
            {
                output.Write(first ? "{\""u8 : ",\""u8);
                first = false;
                output.Write(JsonMarshal.GetRawUtf8PropertyName(member));
                output.Write("\":"u8);
                Write(member.Value, output);
            }
            output.Write(first ? "{}"u8 : "}"u8);
            return;
        }
        var members = new KeyValuePair<string, JsonElement>[value.GetPropertyCount()];
        var i = 0;
        foreach (var member in value.EnumerateObject())
            members[i++] = new(member.Name, member.Value);
        WriteSorted(members, Write, output);
    }

    private static void WriteObject(JsonObject value, IBufferWriter<byte> output)
    {
        var members = new KeyValuePair<string, JsonNode?>[value.Count];
        ((ICollection<KeyValuePair<string, JsonNode?>>)value).CopyTo(members, 0);
        WriteSorted(members, Write, output);
    }

    private static void WriteSorted<T>(KeyValuePair<string, T>[] members, Action<T, IBufferWriter<byte>> write, IBufferWriter<byte> output)
    {
        // RFC 8785 §3.2.3: by UTF-16 code units, which is what ordinal comparison of .NET strings does.
        Array.Sort(members, static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        output.Write("{"u8);
        for (var i = 0; i < members.Length; i++)
        {
            if (i > 0)
                output.Write(","u8);
            WriteString(members[i].Key, output);
            output.Write(":"u8);
            write(members[i].Value, output);
        }
        output.Write("}"u8);
    }

    /// <summary>The names stand as they are to be written, in the order in which they are: mostly what is canonical already is read again.</summary>
    private static bool InOrder(JsonElement value)
    {
        ReadOnlySpan<byte> before = default;
        foreach (var member in value.EnumerateObject())
        {
            var name = JsonMarshal.GetRawUtf8PropertyName(member);
            // Of names in ASCII the order of the bytes is that of the code units.
            if (!AsItIs(name) || !Ascii.IsValid(name) || (!before.IsEmpty && before.SequenceCompareTo(name) >= 0))
                return false;
            before = name;
        }
        return true;
    }

    /// <summary>A string of JSON that has no escapes needs none.</summary>
    private static bool AsItIs(ReadOnlySpan<byte> raw) => !raw.Contains((byte)'\\') && Utf8.IsValid(raw);

    private static void WriteArray(JsonElement value, IBufferWriter<byte> output)
    {
        output.Write("["u8);
        var first = true;
        foreach (var item in value.EnumerateArray())
        {
            if (!first)
                output.Write(","u8);
            first = false;
            Write(item, output);
        }
        output.Write("]"u8);
    }

    private static void WriteArray(JsonArray value, IBufferWriter<byte> output)
    {
        output.Write("["u8);
        for (var i = 0; i < value.Count; i++)
        {
            if (i > 0)
                output.Write(","u8);
            Write(value[i], output);
        }
        output.Write("]"u8);
    }

    // RFC 8785 §3.2.2.2: only what must be escaped is, the short form where there is one, lower-case hexadecimal.
    private static void WriteString(JsonElement value, IBufferWriter<byte> output)
    {
        var raw = JsonMarshal.GetRawUtf8Value(value);
        if (AsItIs(raw))
            output.Write(raw);
        else
            WriteString(value.GetString(), output);
    }

    private static void WriteString(ReadOnlySpan<char> text, IBufferWriter<byte> output)
    {
        output.Write("\""u8);
        while (text.IndexOfAny(Escaped) is >= 0 and var plain)
        {
            Encoding.UTF8.GetBytes(text[..plain], output);
            WriteEscape(text[plain], output);
            text = text[(plain + 1)..];
        }
        Encoding.UTF8.GetBytes(text, output);
        output.Write("\""u8);
    }

    private static void WriteEscape(char c, IBufferWriter<byte> output)
    {
        switch (c)
        {
            case '"': output.Write("\\\""u8); break;
            case '\\': output.Write("\\\\"u8); break;
            case '\b': output.Write("\\b"u8); break;
            case '\t': output.Write("\\t"u8); break;
            case '\n': output.Write("\\n"u8); break;
            case '\f': output.Write("\\f"u8); break;
            case '\r': output.Write("\\r"u8); break;
            default:
                output.Write("\\u00"u8);
                output.Write([Hex(c >> 4), Hex(c & 15)]);
                break;
        }
    }

    private static byte Hex(int digit) => "0123456789abcdef"u8[digit];

    // RFC 8785 §3.2.2.3 = ECMAScript Number::toString, radix 10, with its k (digits) and n (where the point stands).
    private static void WriteNumber(JsonElement value, IBufferWriter<byte> output)
    {
        var raw = JsonMarshal.GetRawUtf8Value(value);
        // An integer of up to 15 digits is written as it is; there is no sign before a zero.
        if (raw.Length <= 15 && raw[0] != '-' && raw.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0)
            output.Write(raw);
        else
            WriteNumber(value.GetDouble(), output);
    }

    private static void WriteNumber(double value, IBufferWriter<byte> output)
    {
        var shortest = ShortestDecimal.Of(value);
        var (k, n) = (shortest.Count, (int)shortest.Point);
        if (k == 0)
        {
            // Negative zero too is written "0".
            output.Write("0"u8);
            return;
        }
        if (shortest.Negative)
            output.Write("-"u8);
        var digits = shortest.Digits;
        switch (n)
        {
            case > 0 and <= 21 when k <= n:
                output.Write(digits);
                Zeros(n - k, output);
                break;
            case > 0 and <= 21:
                output.Write(digits[..n]);
                output.Write("."u8);
                output.Write(digits[n..]);
                break;
            case > -6 and <= 0:
                output.Write("0."u8);
                Zeros(-n, output);
                output.Write(digits);
                break;
            default:
                output.Write(digits[..1]);
                if (k > 1)
                {
                    output.Write("."u8);
                    output.Write(digits[1..]);
                }
                output.Write(n > 0 ? "e+"u8 : "e-"u8);
                Span<byte> exponent = stackalloc byte[4];
                Utf8Formatter.TryFormat(Math.Abs(n - 1), exponent, out var written);
                output.Write(exponent[..written]);
                break;
        }
    }

    private static void Zeros(int count, IBufferWriter<byte> output) => output.Write("000000000000000000000"u8[..count]);

    private static readonly SearchValues<char> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(i => (char)i), '"', '\\']);
}
