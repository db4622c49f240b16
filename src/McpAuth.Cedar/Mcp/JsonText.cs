using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>Text of a JSON token. A text that the policies hold is given as the policies' own object, without making another.</summary>
internal sealed class JsonText
{
    /// <summary>No position: the token is no text.</summary>
    public const int NotText = -2;

    private const int OnStack = 256;

    private readonly Dictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> known;

    public JsonText(IEnumerable<string> known) =>
        this.known = known.ToDictionary(n => n, StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>The text of a string or name token; false when an escape stands for half a character. The bytes are valid UTF-8: whoever reads the document checks.</summary>
    public bool TryRead(ref Utf8JsonReader reader, [NotNullWhen(true)] out string? text)
    {
        text = null;
        ReadOnlySpan<byte> bytes = reader.ValueSpan;
        char[]? rented = bytes.Length > OnStack ? ArrayPool<char>.Shared.Rent(bytes.Length) : null;
        Span<char> characters = rented ?? stackalloc char[OnStack];
        int length = Read(ref reader, characters);
        if (length >= 0)
        {
            ReadOnlySpan<char> read = characters[..length];
            text = known.TryGetValue(read, out string? found) ? found : new string(read);
        }
        if (rented is not null) ArrayPool<char>.Shared.Return(rented, clearArray: true);
        return text is not null;
    }

    /// <summary>The same, without making a text that the policies do not hold: it passes with the decision. The bytes are as many as its characters at least.</summary>
    public bool TryRead(ref Utf8JsonReader reader, PassingTexts passing, out Value text)
    {
        Span<char> characters = passing.Next.Room(reader.ValueSpan.Length);
        int length = Read(ref reader, characters);
        text = length < 0 ? default : known.TryGetValue(characters[..length], out string? found) ? Value.Of(found) : passing.Use(length);
        return length >= 0;
    }

    /// <summary>
    /// Which of these an escaped name token is: its position, -1 for none, <see cref="NotText"/> when an escape in it stands for half a character. It is
    /// unescaped once, however many there are.
    /// </summary>
    public static int IndexOf(scoped ref Utf8JsonReader reader, scoped ReadOnlySpan<string> names)
    {
        ReadOnlySpan<byte> bytes = reader.ValueSpan;
        char[]? rented = bytes.Length > OnStack ? ArrayPool<char>.Shared.Rent(bytes.Length) : null;
        Span<char> characters = rented ?? stackalloc char[OnStack];
        int length = Read(ref reader, characters);
        int found = length < 0 ? NotText : -1;
        for (int i = 0; i < names.Length && found == -1; i++)
            if (characters[..length].SequenceEqual(names[i])) found = i;
        if (rented is not null) ArrayPool<char>.Shared.Return(rented, clearArray: true);
        return found;
    }

    /// <summary>The number of characters; -1 when an escape stands for half a character.</summary>
    private static int Read(scoped ref Utf8JsonReader reader, scoped Span<char> to) =>
        reader.ValueIsEscaped ? Unescape(reader.ValueSpan, to) : Encoding.UTF8.GetChars(reader.ValueSpan, to);

    /// <summary>The number of characters; -1 for half of a surrogate pair. (The reader has checked the escapes' form.)</summary>
    private static int Unescape(scoped ReadOnlySpan<byte> bytes, scoped Span<char> to)
    {
        int length = 0;
        while (true)
        {
            int escape = bytes.IndexOf((byte)'\\');
            length += Encoding.UTF8.GetChars(escape < 0 ? bytes : bytes[..escape], to[length..]);
            if (escape < 0) break;
            byte kind = bytes[escape + 1];
            bytes = bytes[(escape + 2)..];
            if (kind == 'u')
            {
                to[length++] = (char)((Hex(bytes[0]) << 12) | (Hex(bytes[1]) << 8) | (Hex(bytes[2]) << 4) | Hex(bytes[3]));
                bytes = bytes[4..];
                continue;
            }
            to[length++] = kind switch
            {
                (byte)'b' => '\b',
                (byte)'f' => '\f',
                (byte)'n' => '\n',
                (byte)'r' => '\r',
                (byte)'t' => '\t',
                _ => (char)kind,
            };
        }
        for (int i = 0; i < length; i++)
        {
            if (!char.IsSurrogate(to[i])) continue;
            if (i + 1 >= length || !char.IsSurrogatePair(to[i], to[i + 1])) return -1;
            i++;
        }
        return length;
    }

    private static int Hex(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}
