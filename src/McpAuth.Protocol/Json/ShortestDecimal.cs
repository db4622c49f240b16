using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace McpAuth.Protocol.Json;

/// <summary>
/// A decimal value as at most 17 significant digits and an exponent, without leading or trailing zeros, so that two spellings of
/// one value are equal: 0.d₁d₂…dₖ × 10^<see cref="Point"/>. Seventeen digits name every binary64 value.
/// </summary>
internal struct ShortestDecimal : IEquatable<ShortestDecimal>
{
    public const int MaxDigits = 17;

    private Digits17 digits;

    /// <summary>How many significant digits; 0 for zero.</summary>
    public int Count { get; private set; }

    /// <summary>Where the decimal point stands, counted from before the first digit (ECMAScript's <c>n</c>).</summary>
    public long Point { get; private set; }

    public bool Negative { get; private set; }

    [UnscopedRef]
    public readonly ReadOnlySpan<byte> Digits => ((ReadOnlySpan<byte>)digits)[..Count];

    /// <summary>The shortest digits that read back as <paramref name="value"/>, which must be finite.</summary>
    public static ShortestDecimal Of(double value)
    {
        Span<byte> text = stackalloc byte[32];
        if (!double.IsFinite(value) || !value.TryFormat(text, out var written, "R", CultureInfo.InvariantCulture)
            || !TryRead(text[..written], out var result))
            throw new ArgumentException("Not a finite number.", nameof(value));
        return result;
    }

    /// <summary>Reads a JSON number (or .NET's spelling of one). False when it needs more than <see cref="MaxDigits"/> digits.</summary>
    public static bool TryRead(ReadOnlySpan<byte> number, out ShortestDecimal result)
    {
        result = default;
        var i = 0;
        if (number[0] == '-')
        {
            result.Negative = true;
            i = 1;
        }
        long point = 0, pendingZeros = 0;
        var afterPoint = false;
        for (; i < number.Length && number[i] is not ((byte)'e' or (byte)'E'); i++)
        {
            if (number[i] == '.')
            {
                afterPoint = true;
                continue;
            }
            var digit = number[i] - '0';
            if (digit == 0 && result.Count == 0)
            {
                if (afterPoint)
                    point--;
                continue;
            }
            if (!afterPoint)
                point++;
            if (digit == 0)
            {
                pendingZeros++;
                continue;
            }
            if (result.Count + pendingZeros + 1 > MaxDigits)
                return false;
            while (pendingZeros > 0)
            {
                result.digits[result.Count++] = (byte)'0';
                pendingZeros--;
            }
            result.digits[result.Count++] = number[i];
        }
        if (result.Count == 0)
            return true;
        if (i < number.Length)
            point += Exponent(number[(i + 1)..]);
        result.Point = point;
        return true;
    }

    public readonly bool Equals(ShortestDecimal other) =>
        Negative == other.Negative && Point == other.Point && Digits.SequenceEqual(other.Digits);

    public override readonly bool Equals(object? obj) => obj is ShortestDecimal other && Equals(other);

    public override readonly int GetHashCode() => HashCode.Combine(Negative, Point, Count);

    // Saturates: no exponent beyond this names a finite, non-zero binary64 value for any input that fits in memory.
    private static long Exponent(ReadOnlySpan<byte> text)
    {
        var negative = text[0] == '-';
        var magnitude = text[0] is (byte)'-' or (byte)'+' ? text[1..] : text;
        const long far = 1L << 40;
        if (!Utf8Parser.TryParse(magnitude, out long value, out var used) || used != magnitude.Length || value > far)
            value = far;
        return negative ? -value : value;
    }

    [InlineArray(MaxDigits)]
    private struct Digits17
    {
        private byte first;
    }
}
