using System.Globalization;
using System.Text;

namespace McpAuth.Cedar.Text;

/// <summary>How text is written between quotes in a policy, so that reading it gives the same text.</summary>
internal static class StringEscapes
{
    public static void Append(StringBuilder to, ReadOnlySpan<char> text)
    {
        foreach (Rune rune in text.EnumerateRunes())
            Append(to, rune);
    }

    public static void Append(StringBuilder to, Rune rune)
    {
        switch (rune.Value)
        {
            case '"': to.Append("\\\""); break;
            case '\\': to.Append(@"\\"); break;
            case '\n': to.Append("\\n"); break;
            case '\r': to.Append("\\r"); break;
            case '\t': to.Append("\\t"); break;
            case 0: to.Append("\\0"); break;
            default:
                if (Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or
                    UnicodeCategory.ParagraphSeparator or UnicodeCategory.OtherNotAssigned or UnicodeCategory.PrivateUse)
                    to.Append("\\u{").Append(rune.Value.ToString("x", CultureInfo.InvariantCulture)).Append('}');
                else
                    to.Append(rune);
                break;
        }
    }
}
