using System.Buffers;

namespace McpAuth.Cedar.Text;

/// <summary>The names that the language allows.</summary>
internal static class Identifiers
{
    private static readonly SearchValues<char> Rest =
        SearchValues.Create("_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    /// <summary>A letter or underscore of ASCII.</summary>
    public static bool IsStart(char c) => char.IsAsciiLetter(c) || c == '_';

    /// <summary>How many characters from the start belong to an identifier, when its first one does.</summary>
    public static int Length(ReadOnlySpan<char> text)
    {
        int end = text.IndexOfAnyExcept(Rest);
        return end < 0 ? text.Length : end;
    }

    /// <summary>Letters, digits and underscores of ASCII, the first no digit. Reserved words are identifiers, too.</summary>
    public static bool IsIdentifier(ReadOnlySpan<char> text) => text.Length > 0 && IsStart(text[0]) && Length(text) == text.Length;

    /// <summary>Whether the word has another meaning wherever a name could stand, or is kept for Cedar itself.</summary>
    public static bool IsReserved(ReadOnlySpan<char> word) => word is "true" or "false" or "if" or "then" or "else" or "in" or "is" or "like" or "has"
        or "__cedar";

    /// <summary>An identifier that is not reserved: what may follow a point, and stand as a key of a record without quotes.</summary>
    public static bool IsName(ReadOnlySpan<char> text) => IsIdentifier(text) && !IsReserved(text);

    /// <summary>Names joined by <c>::</c>, with nothing between.</summary>
    public static bool IsTypeName(ReadOnlySpan<char> text)
    {
        while (true)
        {
            int colons = text.IndexOf("::", StringComparison.Ordinal);
            if (colons < 0) return IsName(text);
            if (!IsName(text[..colons])) return false;
            text = text[(colons + 2)..];
        }
    }
}
