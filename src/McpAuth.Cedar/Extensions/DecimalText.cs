using System.Globalization;

namespace McpAuth.Cedar.Extensions;

/// <summary>Decimals as text: an optional minus, digits, a point, one to four digits; ten-thousandths of them fit in 64 bits.</summary>
internal static class DecimalText
{
    private const int Digits = 4;
    private const long One = 10_000;

    public static bool TryRead(ReadOnlySpan<char> text, out long tenThousandths)
    {
        tenThousandths = 0;
        bool negative = text is ['-', ..];
        ReadOnlySpan<char> digits = negative ? text[1..] : text;
        int point = digits.IndexOf('.');
        if (point < 1 || digits.Length - point - 1 is < 1 or > Digits) return false;
        ReadOnlySpan<char> whole = digits[..point], fraction = digits[(point + 1)..];
        if (whole.ContainsAnyExceptInRange('0', '9') || fraction.ContainsAnyExceptInRange('0', '9')) return false;

        // Counted downwards: below zero there is one more than above.
        long value = 0;
        foreach (char digit in whole)
            if (!Checked.Multiply(value, 10, out value) || !Checked.Subtract(value, digit - '0', out value)) return false;
        for (int i = 0; i < Digits; i++)
        {
            int digit = i < fraction.Length ? fraction[i] - '0' : 0;
            if (!Checked.Multiply(value, 10, out value) || !Checked.Subtract(value, digit, out value)) return false;
        }
        tenThousandths = value;
        return negative || Checked.Subtract(0, value, out tenThousandths);
    }

    /// <summary>With as few digits after the point as hold the value, at least one.</summary>
    public static string Of(long tenThousandths)
    {
        ulong magnitude = Checked.Magnitude(tenThousandths);
        string fraction = (magnitude % One).ToString("0000", CultureInfo.InvariantCulture).TrimEnd('0');
        string sign = tenThousandths < 0 ? "-" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{sign}{magnitude / One}.{(fraction.Length == 0 ? "0" : fraction)}");
    }
}
