using System.Globalization;
using System.Text;

namespace McpAuthServer.Pages.Wording;

/// <summary>
/// Text that programs and registrations brought, as a person gets to see it: one line, and every character visible. Unicode's format characters
/// turn sentences around (U+202E), hide text or stand for nothing; so each becomes a mark that can be seen. Encoding for HTML is the page's part.
/// </summary>
internal static class ShownText
{
    /// <summary>Longer names than this are cut.</summary>
    public const int NameLength = 100;

    /// <summary>More marks than this on one letter are drawn over the lines around it.</summary>
    public const int MostMarks = 4;

    private static readonly Rune Mark = Rune.ReplacementChar;

    /// <summary>Not format characters by category, but drawn as nothing: fillers, the blank Braille pattern, the grapheme joiner.</summary>
    private static readonly HashSet<int> Blank = [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0];

    public static string Name(string text) => Of(text, NameLength);

    /// <param name="most">In characters as a reader counts them (runes); what is cut off is told by an ellipsis.</param>
    public static string Of(string text, int most = int.MaxValue)
    {
        var shown = new StringBuilder(Math.Min(text.Length, 4096));
        var (count, marks, blank, symbol) = (0, 0, true, false);
        foreach (var rune in text.EnumerateRunes())
        {
            var category = Rune.GetUnicodeCategory(rune);
            // Line breaks and wide spaces push what follows out of sight.
            if (Rune.IsWhiteSpace(rune))
            {
                symbol = false;
                if (!blank)
                    Add(new Rune(' '));
                blank = true;
                continue;
            }
            blank = false;
            // One that chooses how a symbol is drawn, as text or as a picture, is seen by what it does.
            var visible = IsVisible(rune, category) || (symbol && rune.Value is 0xFE0E or 0xFE0F);
            symbol = visible && category is UnicodeCategory.OtherSymbol or UnicodeCategory.MathSymbol;
            marks = visible && category is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark ? marks + 1 : 0;
            if (marks > MostMarks)
                continue;
            if (count >= most)
                return shown.ToString().TrimEnd() + '…';
            Add(visible ? rune : Mark);
        }
        return shown.ToString().TrimEnd();

        void Add(Rune rune)
        {
            shown.Append(rune.ToString());
            count++;
        }
    }

    /// <summary>A value between quotes; quotes of the same kind inside cannot end it.</summary>
    public static string Quoted(string value, int most = int.MaxValue) => $"“{Of(value, most).Replace('“', '"').Replace('”', '"')}”";

    public static bool IsVisible(Rune rune, UnicodeCategory category) =>
        category is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
            or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned)
        && !Blank.Contains(rune.Value) && !IsVariationSelector(rune.Value);

    /// <summary>Drawn as nothing after most characters; a row of them can spell any text, which a model reads.</summary>
    private static bool IsVariationSelector(int rune) => rune is (>= 0xFE00 and <= 0xFE0F) or (>= 0xE0100 and <= 0xE01EF) or (>= 0x180B and <= 0x180D) or 0x180F;
}
