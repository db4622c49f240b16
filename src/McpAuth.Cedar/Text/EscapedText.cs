using System.Globalization;
using System.Text;

namespace McpAuth.Cedar.Text;

/// <summary>Reads what stands between the quotes of a text or a pattern.</summary>
internal static class EscapedText
{
    /// <summary>What is wrong, and where within the quotes.</summary>
    public readonly record struct Fault(int Start, int Length, string Message);

    /// <summary>The text that is meant; null and a fault when an escape is none.</summary>
    public static string? Read(ReadOnlySpan<char> written, out Fault fault)
    {
        fault = default;
        if (!written.ContainsAny('\\', '\r') && !HasLoneSurrogate(written)) return written.ToString();
        List<string>? pieces = Split(written, pattern: false, out fault);
        return pieces?[0];
    }

    /// <summary>The pieces of a pattern between its wildcards (<c>*</c>); <c>\*</c> is a star. A star written as <c>\u{2a}</c> is a wildcard, as in Cedar.</summary>
    public static string[]? ReadPattern(ReadOnlySpan<char> written, out Fault fault) => Split(written, pattern: true, out fault)?.ToArray();

    private static bool HasLoneSurrogate(ReadOnlySpan<char> text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            int at = text[i..].IndexOfAnyInRange('\uD800', '\uDFFF');
            if (at < 0) return false;
            i += at;
            if (!char.IsHighSurrogate(text[i]) || i + 1 == text.Length || !char.IsLowSurrogate(text[i + 1])) return true;
            i++;
        }
        return false;
    }

    private static List<string>? Split(ReadOnlySpan<char> written, bool pattern, out Fault fault)
    {
        var pieces = new List<string>();
        var text = new StringBuilder(written.Length);
        for (int i = 0; i < written.Length;)
        {
            char c = written[i];
            int length = 1;
            if (c == '\r')
            {
                fault = new(i, 1, "A carriage return in a text must be written as \\r.");
                return null;
            }
            if (c == '\\')
            {
                if (pattern && written[i..] is ['\\', '*', ..])
                {
                    text.Append('*');
                    i += 2;
                    continue;
                }
                Rune? escape = Escape(written[i..], out length, out string? message);
                if (escape is null)
                {
                    fault = new(i, length, message!);
                    return null;
                }
                if (pattern && escape.Value.Value == '*') Cut();
                else text.Append(escape.Value);
            }
            else if (pattern && c == '*') Cut();
            else if (char.IsSurrogate(c))
            {
                if (!char.IsHighSurrogate(c) || i + 1 == written.Length || !char.IsLowSurrogate(written[i + 1]))
                {
                    fault = new(i, 1, "A text cannot hold half of a surrogate pair.");
                    return null;
                }
                text.Append(written.Slice(i, 2));
                length = 2;
            }
            else text.Append(c);
            i += length;
        }
        Cut();
        fault = default;
        return pieces;

        void Cut()
        {
            pieces.Add(text.ToString());
            text.Clear();
        }
    }

    /// <summary>The character that an escape stands for.</summary>
    private static Rune? Escape(ReadOnlySpan<char> at, out int length, out string? message)
    {
        message = null;
        length = Math.Min(2, at.Length);
        switch (at.Length > 1 ? at[1] : '\0')
        {
            case 'n': return new('\n');
            case 'r': return new('\r');
            case 't': return new('\t');
            case '0': return new(0);
            case '\\': return new('\\');
            case '\'': return new('\'');
            case '"': return new('"');
            case 'x':
                length = Math.Min(4, at.Length);
                if (length == 4 && char.IsAsciiHexDigit(at[2]) && char.IsAsciiHexDigit(at[3]) &&
                    int.Parse(at[2..4], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) is < 0x80 and var ascii) return new(ascii);
                message = "'\\x' takes two hexadecimal digits, 7f at the most.";
                return null;
            case 'u':
                return Unicode(at, out length, out message);
            default:
                message = "This is no escape.";
                return null;
        }
    }

    /// <summary><c>\u{…}</c>: one to six hexadecimal digits; underscores may stand after the first.</summary>
    private static Rune? Unicode(ReadOnlySpan<char> at, out int length, out string? message)
    {
        message = "'\\u' takes one to six hexadecimal digits in braces.";
        length = 2;
        if (at.Length < 3 || at[2] != '{') return null;
        int close = at.IndexOf('}');
        length = close < 0 ? at.Length : close + 1;
        if (close < 0) return null;
        int digits = 0, value = 0;
        foreach (char c in at[3..close])
        {
            if (c == '_' && digits > 0) continue;
            if (!char.IsAsciiHexDigit(c) || ++digits > 6) return null;
            value = (value << 4) | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        if (digits == 0) return null;
        if (Rune.IsValid(value))
        {
            message = null;
            return new(value);
        }
        message = "There is no such character in Unicode.";
        return null;
    }
}
