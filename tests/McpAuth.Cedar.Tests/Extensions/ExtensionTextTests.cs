using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Extensions;

[Trait("Spec", "Cedar-extensions")]
public sealed class ExtensionTextTests
{
    [Theory]
    [InlineData("0.0", 0)]
    [InlineData("-0.0", 0)]
    [InlineData("1.5", 15_000)]
    [InlineData("-0.5", -5_000)]
    [InlineData("007.0100", 70_100)]
    [InlineData("922337203685477.5807", long.MaxValue)]
    [InlineData("-922337203685477.5808", long.MinValue)]
    public void Decimal_WellFormed_IsItsTenThousandths(string text, long expected)
    {
        Assert.True(ExtensionText.Read(ValueKind.Decimal, text).TryGetDecimal(out long value));
        Assert.Equal(expected, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("1.")]
    [InlineData(".5")]
    [InlineData("-.5")]
    [InlineData("+1.5")]
    [InlineData("--1.5")]
    [InlineData("1.00000")]
    [InlineData("1.5.5")]
    [InlineData(" 1.5")]
    [InlineData("1.5\n")]
    [InlineData("1e5.0")]
    [InlineData("1.-5")]
    [InlineData("\u0661.5")] // an Arabic digit
    [InlineData("922337203685477.5808")]
    [InlineData("-922337203685477.5809")]
    [InlineData("99999999999999999999999999.0")]
    public void Decimal_Malformed_IsNoValue(string text) => Assert.True(ExtensionText.Read(ValueKind.Decimal, text).IsNone);

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("10.0.0.0/8", "10.0.0.0/8")]
    [InlineData("10.0.0.0/32", "10.0.0.0")]
    [InlineData("0.0.0.0/0", "0.0.0.0/0")]
    [InlineData("::", "::")]
    [InlineData("::1", "::1")]
    [InlineData("1::", "1::")]
    [InlineData("::/0", "::/0")]
    [InlineData("2001:0DB8:0:0:0:0:0:1/128", "2001:db8::1")]
    [InlineData("1:0:0:2:0:0:0:3", "1:0:0:2::3")]
    [InlineData("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0")]
    [InlineData("::ffff:102:304", "::ffff:102:304")]
    [InlineData("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127")]
    public void Address_WellFormed_IsWrittenInItsShortestForm(string text, string expected)
    {
        CedarIpAddress? address = ExtensionText.Read(ValueKind.IpAddress, text).AsIpAddress;
        Assert.NotNull(address);
        Assert.Equal(expected, address.ToString());
        Assert.Equal(address, ExtensionText.Read(ValueKind.IpAddress, expected).AsIpAddress);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/8")]
    [InlineData("127.0.0")]
    [InlineData("127.0.0.1.")]
    [InlineData("127.0.0.1.1")]
    [InlineData("127.0.0.01")]
    [InlineData("127.0.0.256")]
    [InlineData("127.0.0.1/")]
    [InlineData("127.0.0.1/33")]
    [InlineData("127.0.0.1/08")]
    [InlineData("127.0.0.1/+8")]
    [InlineData("127.0.0.1/8/8")]
    [InlineData("127.0.0.1 ")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("2130706433")]
    [InlineData(":")]
    [InlineData(":::")]
    [InlineData("1:2:3:4:5:6:7")]
    [InlineData("1:2:3:4:5:6:7:8:9")]
    [InlineData("1:2:3:4:5:6:7:8::")]
    [InlineData("1:2:3:4::5:6:7:8")]
    [InlineData("1::2::3")]
    [InlineData(":1:2:3:4:5:6:7")]
    [InlineData("1:2:3:4:5:6:7:")]
    [InlineData("00001::")]
    [InlineData("g::")]
    [InlineData("::1%eth0")]
    [InlineData("[::1]")]
    [InlineData("::/129")]
    [InlineData("::/0128")]
    [InlineData("::ffff:127.0.0.1")]
    public void Address_Malformed_IsNoValue(string text) => Assert.True(ExtensionText.Read(ValueKind.IpAddress, text).IsNone);

    [Theory]
    [InlineData("1970-01-01", 0, "1970-01-01")]
    [InlineData("2024-10-15", 1_728_950_400_000, "2024-10-15")]
    [InlineData("2024-10-15T11:35:00Z", 1_728_992_100_000, "2024-10-15T11:35:00Z")]
    [InlineData("2024-10-15T11:35:00.123Z", 1_728_992_100_123, "2024-10-15T11:35:00.123Z")]
    [InlineData("2024-10-15T11:35:00+0100", 1_728_988_500_000, "2024-10-15T10:35:00Z")]
    [InlineData("2024-10-15T11:35:00.001-2359", 1_729_078_440_001, "2024-10-16T11:34:00.001Z")]
    [InlineData("1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z")]
    [InlineData("0000-01-01", -62_167_219_200_000, "0000-01-01")]
    [InlineData("0000-02-29", -62_162_121_600_000, "0000-02-29")]
    [InlineData("2000-02-29", 951_782_400_000, "2000-02-29")]
    [InlineData("9999-12-31T23:59:59.999Z", 253_402_300_799_999, "9999-12-31T23:59:59.999Z")]
    public void Datetime_WellFormed_IsItsMilliseconds(string text, long expected, string written)
    {
        Assert.True(ExtensionText.Read(ValueKind.Datetime, text).TryGetDatetime(out long value));
        Assert.Equal(expected, value);
        Assert.Equal(written, DatetimeText.Of(value));
    }

    [Theory]
    [InlineData("")]
    [InlineData("1970-1-1")]
    [InlineData("1970-01-01 ")]
    [InlineData("1970-00-01")]
    [InlineData("1970-13-01")]
    [InlineData("1970-01-00")]
    [InlineData("1970-01-32")]
    [InlineData("1970-04-31")]
    [InlineData("1900-02-29")]
    [InlineData("2023-02-29")]
    [InlineData("10000-01-01")]
    [InlineData("-001-01-01")]
    [InlineData("1970-01-01T00:00:00")]
    [InlineData("1970-01-01T00:00Z")]
    [InlineData("1970-01-01t00:00:00Z")]
    [InlineData("1970-01-01 00:00:00Z")]
    [InlineData("1970-01-01T24:00:00Z")]
    [InlineData("1970-01-01T00:60:00Z")]
    [InlineData("1970-01-01T23:59:60Z")]
    [InlineData("1970-01-01T00:00:00z")]
    [InlineData("1970-01-01T00:00:00.1Z")]
    [InlineData("1970-01-01T00:00:00.1234Z")]
    [InlineData("1970-01-01T00:00:00.Z")]
    [InlineData("1970-01-01T00:00:00.123")]
    [InlineData("1970-01-01T00:00:00+2400")]
    [InlineData("1970-01-01T00:00:00+0060")]
    [InlineData("1970-01-01T00:00:00+01:00")]
    [InlineData("1970-01-01T00:00:00+01")]
    [InlineData("1970-01-01T00:00:00ZZ")]
    [InlineData("1970-01-01Z")]
    [InlineData("\u0661970-01-01")]
    public void Datetime_Malformed_IsNoValue(string text) => Assert.True(ExtensionText.Read(ValueKind.Datetime, text).IsNone);

    [Theory]
    [InlineData(253_402_300_800_000)]
    [InlineData(-62_167_219_200_001)]
    [InlineData(long.MaxValue)]
    [InlineData(long.MinValue)]
    public void Datetime_BeyondFourDigitYears_HasNoText(long milliseconds) => Assert.Null(DatetimeText.Of(milliseconds));

    [Theory]
    [InlineData("0ms", 0, "0ms")]
    [InlineData("-0ms", 0, "0ms")]
    [InlineData("1d2h3m4s5ms", 93_784_005, "1d2h3m4s5ms")]
    [InlineData("-1d2h3m4s5ms", -93_784_005, "-1d2h3m4s5ms")]
    [InlineData("1h90m", 9_000_000, "2h30m")]
    [InlineData("5m", 300_000, "5m")]
    [InlineData("5ms", 5, "5ms")]
    [InlineData("000000000000000000000000001s", 1_000, "1s")]
    [InlineData("9223372036854775807ms", long.MaxValue, "106751991167d7h12m55s807ms")]
    [InlineData("-9223372036854775808ms", long.MinValue, "-106751991167d7h12m55s808ms")]
    public void Duration_WellFormed_IsItsMilliseconds(string text, long expected, string written)
    {
        Assert.True(ExtensionText.Read(ValueKind.Duration, text).TryGetDuration(out long value));
        Assert.Equal(expected, value);
        Assert.Equal(written, DurationText.Of(value));
        Assert.Equal(Value.OfDuration(expected), ExtensionText.Read(ValueKind.Duration, written));
    }

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("1")]
    [InlineData("d")]
    [InlineData("1d ")]
    [InlineData("+1d")]
    [InlineData("--1d")]
    [InlineData("1d-2h")]
    [InlineData("1h1d")]
    [InlineData("1d1d")]
    [InlineData("1ms1s")]
    [InlineData("1.5d")]
    [InlineData("1D")]
    [InlineData("1w")]
    [InlineData("1dd")]
    [InlineData("9223372036854775808ms")]
    [InlineData("-9223372036854775809ms")]
    [InlineData("106751991168d")]
    [InlineData("106751991167d8h")]
    [InlineData("99999999999999999999d")]
    public void Duration_Malformed_IsNoValue(string text) => Assert.True(ExtensionText.Read(ValueKind.Duration, text).IsNone);
}
