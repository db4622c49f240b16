using System.Globalization;
using System.Numerics;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Mcp;

namespace McpAuth.Cedar.Tests.Mcp;

public class JsonNumberTests
{
    [Theory, Trait("Spec", "RFC8259-6")]
    [InlineData("0", 0, 0L)]
    [InlineData("-0", 0, 0L)]
    [InlineData("-0.0e5", 0, 0L)]
    [InlineData("0e999999999999", 0, 0L)]
    [InlineData("7", 0, 7L)]
    [InlineData("1e2", 0, 100L)]
    [InlineData("1E+2", 0, 100L)]
    [InlineData("100.0", 0, 100L)]
    [InlineData("100.000000000000000000000000000000000000000000", 0, 100L)]
    [InlineData("12.5e1", 0, 125L)]
    [InlineData("5000e-3", 0, 5L)]
    [InlineData("9007199254740993", 0, 9007199254740993L)]
    [InlineData("9223372036854775807", 0, long.MaxValue)]
    [InlineData("-9223372036854775808", 0, long.MinValue)]
    [InlineData("92233720368547758070e-1", 0, long.MaxValue)]
    [InlineData("0.5", 4, 5000L)]
    [InlineData("0.1234", 4, 1234L)]
    [InlineData("0.12340", 4, 1234L)]
    [InlineData("-1e-4", 4, -1L)]
    [InlineData("922337203685477.5807", 4, long.MaxValue)]
    [InlineData("1", 4, 10000L)]
    public void Number_ThatIsWhole_IsThat(string number, int digits, long expected)
    {
        Assert.True(JsonNumber.TryScale(Encoding.UTF8.GetBytes(number), digits, out long scaled));
        Assert.Equal(expected, scaled);
    }

    [Theory, Trait("Spec", "RFC8259-6")]
    [InlineData("0.5", 0)]
    [InlineData("1e-1", 0)]
    [InlineData("1e400", 0)]
    [InlineData("1e99999999999999999999", 0)]
    [InlineData("1e-99999999999999999999", 0)]
    [InlineData("9223372036854775808", 0)]
    [InlineData("-9223372036854775809", 0)]
    [InlineData("18446744073709551616", 0)]
    [InlineData("340282366920938463463374607431768211456", 0)]
    [InlineData("340282366920938463463374607431768211457", 0)]
    [InlineData("0.12345", 4)]
    [InlineData("922337203685477.5808", 4)]
    [InlineData("1e15", 4)]
    public void Number_ThatIsNotWholeOrTooLarge_IsNone(string number, int digits) => Assert.False(JsonNumber.TryScale(Encoding.UTF8.GetBytes(number), digits, out _));

    [Fact]
    public void Number_OfAnyForm_IsWhatArithmeticSays()
    {
        Gen<string> digits = Gen.Elements("0", "1", "9", "00", "10", "92233720368547758", "5").ArrayOf().Resize(4).Select(string.Concat);
        Gen<string> number =
            from sign in Gen.Elements("", "-")
            from whole in digits
            from fraction in digits
            from exponent in Gen.Choose(-25, 25)
            select $"{sign}{(whole.TrimStart('0') is { Length: > 0 } w ? w : "0")}{(fraction.Length > 0 ? $".{fraction}" : "")}{(exponent == 0 ? "" : $"e{exponent}")}";
        int taken = 0, refused = 0;
        Prop.ForAll(number.ToArbitrary(), text =>
        {
            BigInteger? exact = Exact(text, 4);
            bool fits = exact is { } e && e >= long.MinValue && e <= long.MaxValue;
            bool read = JsonNumber.TryScale(Encoding.UTF8.GetBytes(text), 4, out long scaled);
            _ = read ? taken++ : refused++;
            return read == fits && (!read || scaled == (long)exact!.Value);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
        Assert.True(taken > 300 && refused > 300, $"{taken} taken, {refused} refused: the generator proves little");
    }

    [Fact]
    public void Number_OfAMillionDigits_IsReadAtOnce()
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Assert.False(JsonNumber.TryScale(Encoding.UTF8.GetBytes(new string('9', 1_000_000)), 0, out _));
        Assert.True(JsonNumber.TryScale(Encoding.UTF8.GetBytes($"1{new string('0', 1_000_000)}e-1000000"), 0, out long one));
        Assert.Equal(1, one);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
    }

    /// <summary>The number times 10^digits; null when that is not whole.</summary>
    private static BigInteger? Exact(string text, int digits)
    {
        string[] parts = text.Split('e');
        int exponent = digits + (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
        int point = parts[0].IndexOf('.', StringComparison.Ordinal);
        if (point >= 0) exponent -= parts[0].Length - point - 1;
        BigInteger mantissa = BigInteger.Parse(parts[0].Replace(".", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        if (exponent >= 0) return mantissa * BigInteger.Pow(10, exponent);
        BigInteger divisor = BigInteger.Pow(10, -exponent);
        return mantissa % divisor == 0 ? mantissa / divisor : null;
    }
}
