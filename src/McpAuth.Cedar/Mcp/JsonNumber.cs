namespace McpAuth.Cedar.Mcp;

/// <summary>JSON numbers as whole numbers, exactly or not at all: <c>1e2</c> is 100, <c>0.5</c> is no whole number, <c>1e400</c> fits nowhere.</summary>
internal static class JsonNumber
{
    /// <summary>The number times ten to the power of <paramref name="digits"/>; false where that is not a whole number of 64 bits.</summary>
    /// <param name="number">A number as JSON's grammar has it; not checked again.</param>
    public static bool TryScale(ReadOnlySpan<byte> number, int digits, out long scaled)
    {
        scaled = 0;
        bool negative = number[0] == '-';
        if (negative) number = number[1..];
        int exponentAt = number.IndexOfAny((byte)'e', (byte)'E');
        int exponent = exponentAt < 0 ? 0 : Exponent(number[(exponentAt + 1)..]);
        if (exponentAt >= 0) number = number[..exponentAt];

        // The digits as they stand, without the point, are the number times ten to the power of the digits behind it.
        int point = number.IndexOf((byte)'.');
        int shift = exponent + digits - (point < 0 ? 0 : number.Length - point - 1);
        UInt128 value = 0;
        int zeros = 0; // held back: trailing ones may be cut, others count
        foreach (byte digit in number)
        {
            if (digit == '.') continue;
            if (digit == '0')
            {
                if (value != 0) zeros++;
                continue;
            }
            if (!TryShift(ref value, zeros + 1)) return false;
            zeros = 0;
            value += (uint)(digit - '0');
        }
        if (value == 0) return true; // also 0e999
        shift += zeros;
        if (shift < 0 || !TryShift(ref value, shift)) return false; // digits that are not zero would be cut

        if (value > (negative ? (UInt128)long.MaxValue + 1 : (UInt128)long.MaxValue)) return false;
        scaled = negative ? (long)-(Int128)value : (long)value;
        return true;
    }

    /// <summary>Cut where it is larger than any number has digits (<see cref="Limits.Text"/>): then the answer is the same.</summary>
    private static int Exponent(ReadOnlySpan<byte> text)
    {
        int exponent = 0;
        foreach (byte digit in text)
            if (digit is not ((byte)'-' or (byte)'+')) exponent = Math.Min((exponent * 10) + (digit - '0'), 100_000_000);
        return text[0] == '-' ? -exponent : exponent;
    }

    private static bool TryShift(ref UInt128 value, int by)
    {
        for (; by > 0 && value != 0; by--)
        {
            if (value > ulong.MaxValue) return false; // beyond 64 bits already, and it only grows
            value *= 10;
        }
        return true;
    }
}
