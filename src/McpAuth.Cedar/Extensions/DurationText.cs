using System.Globalization;
using System.Text;

namespace McpAuth.Cedar.Extensions;

/// <summary>Durations as text: an optional minus, then numbers with the units d, h, m, s, ms, in this order, each at most once; one at least.</summary>
internal static class DurationText
{
    private static readonly (string Unit, long Milliseconds)[] Units =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

    public static bool TryRead(ReadOnlySpan<char> text, out long milliseconds)
    {
        milliseconds = 0;
        bool negative = text is ['-', ..];
        ReadOnlySpan<char> rest = negative ? text[1..] : text;
        if (rest.IsEmpty) return false;

        int next = 0; // the first unit that may still come
        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits < 1) return false;
            int letters = rest[digits..].IndexOfAnyInRange('0', '9');
            ReadOnlySpan<char> unit = letters < 0 ? rest[digits..] : rest.Slice(digits, letters);
            int at = next;
            while (at < Units.Length && !unit.SequenceEqual(Units[at].Unit)) at++;
            if (at == Units.Length) return false;

            // Counted downwards, as the least duration is further from zero than the greatest.
            long quantity = 0;
            foreach (char digit in rest[..digits])
                if (!Checked.Multiply(quantity, 10, out quantity) || !Checked.Subtract(quantity, digit - '0', out quantity)) return false;
            if (!Checked.Multiply(quantity, Units[at].Milliseconds, out quantity) || !Checked.Add(milliseconds, quantity, out milliseconds)) return false;
            next = at + 1;
            rest = rest[(digits + unit.Length)..];
        }
        return negative || Checked.Subtract(0, milliseconds, out milliseconds);
    }

    /// <summary>In the largest units that fit: <c>1d2h</c>; <c>0ms</c> for none.</summary>
    public static string Of(long milliseconds)
    {
        if (milliseconds == 0) return "0ms";
        var text = new StringBuilder();
        if (milliseconds < 0) text.Append('-');
        ulong rest = Checked.Magnitude(milliseconds);
        foreach ((string unit, long size) in Units)
        {
            ulong quantity = rest / (ulong)size;
            rest %= (ulong)size;
            if (quantity > 0) text.Append(CultureInfo.InvariantCulture, $"{quantity}{unit}");
        }
        return text.ToString();
    }
}
