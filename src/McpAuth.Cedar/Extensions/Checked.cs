namespace McpAuth.Cedar.Extensions;

/// <summary>Arithmetic of 64-bit integers that says whether the result fits. (Exceptions would cost a thousand times as much.)</summary>
internal static class Checked
{
    public static bool Add(long a, long b, out long sum)
    {
        sum = unchecked(a + b);
        return ((a ^ sum) & (b ^ sum)) >= 0; // an overflow has a sign that neither operand has
    }

    public static bool Subtract(long a, long b, out long difference)
    {
        difference = unchecked(a - b);
        return ((a ^ b) & (a ^ difference)) >= 0;
    }

    public static bool Multiply(long a, long b, out long product)
    {
        long high = Math.BigMul(a, b, out product);
        return high == product >> 63; // the upper half is only the sign
    }

    /// <summary>The distance from zero, also of the least integer.</summary>
    public static ulong Magnitude(long value) => value < 0 ? 0 - unchecked((ulong)value) : (ulong)value;
}
