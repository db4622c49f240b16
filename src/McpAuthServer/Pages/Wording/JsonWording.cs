using System.Globalization;
using System.Text;
using System.Text.Json;

namespace McpAuthServer.Pages.Wording;

/// <summary>
/// A JSON value, exactly: what a person approves is what they see. Whatever cannot be seen, or is not told from something else, stands as its escape, so that two values that
/// differ look different. Encoding for HTML is the page's part.
/// </summary>
internal static class JsonWording
{
    /// <summary>Longer values are folded.</summary>
    public const int Fold = 300;

    public static Worded Of(JsonElement value)
    {
        var full = Text(value.GetRawText());
        if (full.Length <= Fold)
            return new(full);
        // A cut must not fall into a character.
        var cut = char.IsHighSurrogate(full[Fold - 1]) ? Fold - 1 : Fold;
        return new(full[..cut] + '…', full);
    }

    /// <param name="json">With line breaks and control characters escaped already, as RFC 8785 has them.</param>
    /// <param name="escaped">Gets the code points that stand as escapes.</param>
    public static string Text(string json, ISet<int>? escaped = null)
    {
        var shown = new StringBuilder(json.Length);
        var marks = 0;
        foreach (var rune in json.EnumerateRunes())
        {
            var category = Rune.GetUnicodeCategory(rune);
            marks = category is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark ? marks + 1 : 0;
            if (rune.Value == ' ' || (!Rune.IsWhiteSpace(rune) && ShownText.IsVisible(rune, category) && marks <= ShownText.MostMarks))
            {
                shown.Append(rune.ToString());
                continue;
            }
            escaped?.Add(rune.Value);
            foreach (var unit in rune.ToString())
                shown.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
        }
        return shown.ToString();
    }
}
