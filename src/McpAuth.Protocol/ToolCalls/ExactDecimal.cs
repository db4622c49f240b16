using System.Globalization;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>
/// The exact value of a JSON number's text (RFC 8259 §6): sign × 0.digits × 10^<see cref="exponent"/>. No rounding, no binary: 0.1 is a
/// tenth, and <c>1e2</c>, <c>100</c> and <c>100.0</c> are one value.
/// </summary>
internal readonly struct ExactDecimal : IComparable<ExactDecimal>, IEquatable<ExactDecimal>
{
    // Far beyond what any reader accepts; it only keeps the arithmetic on exponents from overflowing.
    private const int LongestExponent = 15;

    private readonly int sign;
    private readonly string? digits;
    private readonly long exponent;

    private ExactDecimal(int sign, string digits, long exponent) => (this.sign, this.digits, this.exponent) = (sign, digits, exponent);

    /// <summary>Null when the element is not a number, or its exponent has more than 15 digits.</summary>
    public static ExactDecimal? Of(JsonElement element) => element.ValueKind == JsonValueKind.Number ? Of(element.GetRawText()) : null;

    private static ExactDecimal? Of(string text)
    {
        var negative = text[0] == '-';
        var mantissa = text.AsSpan(negative ? 1 : 0);
        var power = ReadOnlySpan<char>.Empty;
        if (mantissa.IndexOfAny('e', 'E') is >= 0 and var e)
        {
            power = mantissa[(e + 1)..];
            mantissa = mantissa[..e];
        }
        var point = mantissa.IndexOf('.');
        var whole = point < 0 ? mantissa.Length : point;
        var all = point < 0 ? mantissa.ToString() : string.Concat(mantissa[..point], mantissa[(point + 1)..]);

        var significant = all.TrimStart('0');
        var leading = all.Length - significant.Length;
        significant = significant.TrimEnd('0');
        if (significant.Length == 0)
            return default(ExactDecimal); // 0, -0, 0e99: one value
        if (Power(power) is not { } shift)
            return null;
        return new(negative ? -1 : 1, significant, whole - leading + shift);
    }

    private static long? Power(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return 0;
        var negative = text[0] == '-';
        var magnitude = text[(text[0] is '-' or '+' ? 1 : 0)..].TrimStart('0');
        if (magnitude.Length > LongestExponent)
            return null;
        var value = magnitude.IsEmpty ? 0 : long.Parse(magnitude, NumberStyles.None, CultureInfo.InvariantCulture);
        return negative ? -value : value;
    }

    public int CompareTo(ExactDecimal other)
    {
        if (sign != other.sign)
            return sign.CompareTo(other.sign);
        if (sign == 0)
            return 0;
        // Digits start with a non-zero one, so the larger exponent is the larger magnitude; and an ordinal comparison of
        // fractions is a numeric one, because the shorter is only missing zeros.
        var magnitude = exponent != other.exponent ? exponent.CompareTo(other.exponent) : string.CompareOrdinal(digits, other.digits);
        return sign * Math.Sign(magnitude);
    }

    public bool Equals(ExactDecimal other) => CompareTo(other) == 0;

    public override bool Equals(object? obj) => obj is ExactDecimal other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(sign, digits, exponent);

    /// <summary>The same text for the same value, e.g. <c>-0.25e3</c>.</summary>
    public override string ToString() =>
        sign == 0 ? "0" : string.Create(CultureInfo.InvariantCulture, $"{(sign < 0 ? "-" : "")}0.{digits}e{exponent}");
}
