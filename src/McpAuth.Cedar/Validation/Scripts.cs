using System.Text;

namespace McpAuth.Cedar.Validation;

/// <summary>The scripts of the Unicode Standard that texts are written in today, and some whose letters look like theirs.</summary>
internal enum Script
{
    Latin,
    Bopomofo,
    Greek,
    Coptic,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Syriac,
    Thaana,
    Devanagari,
    Bengali,
    Gurmukhi,
    Gujarati,
    Oriya,
    Tamil,
    Telugu,
    Kannada,
    Malayalam,
    Sinhala,
    Thai,
    Lao,
    Tibetan,
    Myanmar,
    Georgian,
    Hangul,
    Ethiopic,
    Cherokee,
    CanadianAboriginal,
    Khmer,
    Mongolian,
    Han,
    Hiragana,
    Katakana,
    Yi,
    Lisu,
    Gothic,
    Deseret,
}

/// <summary>
/// Which script a letter belongs to (Unicode Standard Annex #24, property Script). Where a script's ranges are parted by characters that no script or every script has,
/// they are one range here; only letters are looked up.
/// </summary>
internal static class Scripts
{
    private const char ProlongedSound = '\u30FC';

    private static readonly (int First, int Last, Script Script)[] Ranges =
    [.. ((IEnumerable<(int First, int Last, Script Script)>)
    [
        .. In(Script.Latin, (0x41, 0x2E4), (0x1D00, 0x1D25), (0x1D2C, 0x1D5C), (0x1D62, 0x1D65), (0x1D6B, 0x1D77), (0x1D79, 0x1DBE), (0x1E00, 0x1EFF), (0x2071, 0x209C), (0x212A, 0x2188), (0x2C60, 0x2C7F), (0xA722, 0xA7FF), (0xAB30, 0xAB64), (0xAB66, 0xAB69), (0xFB00, 0xFB06), (0xFF21, 0xFF5A), (0x10780, 0x107BA), (0x1DF00, 0x1DF1E)),
        .. In(Script.Bopomofo, (0x2EA, 0x2EB), (0x3105, 0x312F), (0x31A0, 0x31BF)),
        .. In(Script.Greek, (0x370, 0x3E1), (0x3F0, 0x3FF), (0x1D26, 0x1D2A), (0x1D5D, 0x1D61), (0x1D66, 0x1D6A), (0x1DBF, 0x1DBF), (0x1F00, 0x1FFE), (0x2126, 0x2126), (0xAB65, 0xAB65), (0x10140, 0x101A0), (0x1D200, 0x1D245)),
        .. In(Script.Coptic, (0x3E2, 0x3EF), (0x2C80, 0x2CFF)),
        .. In(Script.Cyrillic, (0x400, 0x52F), (0x1C80, 0x1C88), (0x1D2B, 0x1D2B), (0x1D78, 0x1D78), (0x2DE0, 0x2DFF), (0xA640, 0xA69F), (0xFE2E, 0xFE2F)),
        .. In(Script.Armenian, (0x531, 0x58F), (0xFB13, 0xFB17)),
        .. In(Script.Hebrew, (0x591, 0x5F4), (0xFB1D, 0xFB4F)),
        .. In(Script.Arabic, (0x600, 0x6FF), (0x750, 0x77F), (0x870, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC), (0x10E60, 0x10E7E), (0x1EE00, 0x1EEF1)),
        .. In(Script.Syriac, (0x700, 0x74F), (0x860, 0x86A)),
        .. In(Script.Thaana, (0x780, 0x7B1)),
        .. In(Script.Devanagari, (0x900, 0x97F), (0xA8E0, 0xA8FF)),
        .. In(Script.Bengali, (0x980, 0x9FE)),
        .. In(Script.Gurmukhi, (0xA01, 0xA76)),
        .. In(Script.Gujarati, (0xA81, 0xAFF)),
        .. In(Script.Oriya, (0xB01, 0xB77)),
        .. In(Script.Tamil, (0xB82, 0xBFA), (0x11FC0, 0x11FFF)),
        .. In(Script.Telugu, (0xC00, 0xC7F)),
        .. In(Script.Kannada, (0xC80, 0xCF2)),
        .. In(Script.Malayalam, (0xD00, 0xD7F)),
        .. In(Script.Sinhala, (0xD81, 0xDF4), (0x111E1, 0x111F4)),
        .. In(Script.Thai, (0xE01, 0xE5B)),
        .. In(Script.Lao, (0xE81, 0xEDF)),
        .. In(Script.Tibetan, (0xF00, 0xFDA)),
        .. In(Script.Myanmar, (0x1000, 0x109F), (0xA9E0, 0xA9FE), (0xAA60, 0xAA7F)),
        .. In(Script.Georgian, (0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2D)),
        .. In(Script.Hangul, (0x1100, 0x11FF), (0x302E, 0x302F), (0x3131, 0x318E), (0x3200, 0x327E), (0xA960, 0xA97C), (0xAC00, 0xD7FB), (0xFFA0, 0xFFDC)),
        .. In(Script.Ethiopic, (0x1200, 0x1399), (0x2D80, 0x2DDE), (0xAB01, 0xAB2E), (0x1E7E0, 0x1E7FE)),
        .. In(Script.Cherokee, (0x13A0, 0x13FD), (0xAB70, 0xABBF)),
        .. In(Script.CanadianAboriginal, (0x1400, 0x167F), (0x18B0, 0x18F5), (0x11AB0, 0x11ABF)),
        .. In(Script.Khmer, (0x1780, 0x17F9), (0x19E0, 0x19FF)),
        .. In(Script.Mongolian, (0x1800, 0x18AA), (0x11660, 0x1166C)),
        .. In(Script.Han, (0x2E80, 0x3029), (0x3038, 0x303B), (0x3400, 0x9FFF), (0xF900, 0xFAD9), (0x16FE2, 0x16FE3), (0x16FF0, 0x16FF1), (0x20000, 0x3134A)),
        .. In(Script.Hiragana, (0x3041, 0x309F), (0x1B001, 0x1B11F), (0x1B150, 0x1B152), (0x1F200, 0x1F200)),
        .. In(Script.Katakana, (0x30A1, 0x30FF), (0x31F0, 0x31FF), (0x32D0, 0x3357), (0xFF66, 0xFF9D), (0x1AFF0, 0x1B000), (0x1B120, 0x1B122), (0x1B164, 0x1B167)),
        .. In(Script.Yi, (0xA000, 0xA4C6)),
        .. In(Script.Lisu, (0xA4D0, 0xA4FF), (0x11FB0, 0x11FB0)),
        .. In(Script.Gothic, (0x10330, 0x1034A)),
        .. In(Script.Deseret, (0x10400, 0x1044F)),
    ]).OrderBy(r => r.First)];

    /// <summary>Whether all letters can be of one script. Japanese, Korean and Bopomofo are written with Chinese characters among their own.</summary>
    public static bool IsSingle(string text)
    {
        Script? only = null;
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (Of(rune) is not { } script) continue;
            if (only is null || only == Script.Han) only = only is null || GoesWithHan(script) ? script : null;
            else if (only != script && !(script == Script.Han && GoesWithHan(only.Value)) && !(IsKana(script) && IsKana(only.Value))) return false;
            if (only is null) return false;
        }
        return true;
    }

    private static bool GoesWithHan(Script script) => script is Script.Han or Script.Hangul or Script.Bopomofo || IsKana(script);

    private static bool IsKana(Script script) => script is Script.Hiragana or Script.Katakana;

    /// <summary>Null for what is no letter, and for letters of no script that is known here.</summary>
    private static Script? Of(Rune rune)
    {
        if (!Rune.IsLetter(rune) || rune.Value == ProlongedSound) return null;
        int low = 0, high = Ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            if (rune.Value < Ranges[middle].First) high = middle - 1;
            else if (rune.Value > Ranges[middle].Last) low = middle + 1;
            else return Ranges[middle].Script;
        }
        return null;
    }

    private static IEnumerable<(int First, int Last, Script Script)> In(Script script, params (int First, int Last)[] ranges) => ranges.Select(r => (r.First, r.Last, script));
}
