using System.Globalization;
using System.Text;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

/// <summary>Text between quotes: <c>\n \r \t \0 \\ \" \'</c>, <c>\x41</c> and <c>\u{1F600}</c> are its escapes.</summary>
internal static class TextLiteral
{
    /// <param name="span">With the quotes.</param>
    /// <param name="wrong">The escape that is none, when this gives null.</param>
    public static string? Read(string source, SourceSpan span, out SourceSpan wrong)
    {
        wrong = default;
        int end = span.End - 1;
        ReadOnlySpan<char> plain = source.AsSpan(span.Start + 1, span.Length - 2);
        if (!plain.Contains('\\')) return plain.ToString();
        var text = new StringBuilder(plain.Length);
        for (int at = span.Start + 1; at < end;)
        {
            if (source[at] != '\\')
            {
                text.Append(source[at++]);
                continue;
            }
            int start = at;
            if (!TryEscape(source.AsSpan(0, end), ref at, out Rune rune))
            {
                wrong = new(start, Math.Max(at - start, 2));
                return null;
            }
            text.Append(rune);
        }
        return text.ToString();
    }

    private static bool TryEscape(ReadOnlySpan<char> source, ref int at, out Rune rune)
    {
        rune = default;
        char kind = source[at + 1]; // a closing quote follows at least, so there is one
        at += 2;
        switch (kind)
        {
            case 'n': rune = new('\n'); return true;
            case 'r': rune = new('\r'); return true;
            case 't': rune = new('\t'); return true;
            case '0': rune = new('\0'); return true;
            case '\\' or '"' or '\'': rune = new(kind); return true;
            case 'x': // two digits, ASCII only
                return at + 2 <= source.Length && TryHex(source.Slice(at, 2), 0x7F, out rune) && (at += 2) > 0;
            case 'u' when at < source.Length && source[at] == '{':
                int close = source[at..].IndexOf('}');
                if (close is < 2 or > 8) return false;
                string digits = source.Slice(at + 1, close - 1).ToString().Replace("_", "", StringComparison.Ordinal);
                at += close + 1;
                return digits.Length is > 0 and <= 6 && TryHex(digits, 0x10FFFF, out rune);
            default: return false;
        }
    }

    private static bool TryHex(ReadOnlySpan<char> digits, int most, out Rune rune)
    {
        rune = default;
        return int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) && value <= most && Rune.TryCreate(value, out rune);
    }
}
