using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Extensions;

[Trait("Spec", "Cedar-extensions")]
public sealed class ExtensionOperationsTests
{
    private const long Day = 86_400_000;

    [Theory]
    [InlineData("1.5", "1.50", false, true)]
    [InlineData("-1.5", "1.5", true, true)]
    [InlineData("2.0", "1.9999", false, false)]
    public void Decimals_AreCompared(string a, string b, bool less, bool lessOrEqual)
    {
        Value left = Apply("decimal", Value.Of(a)), right = Apply("decimal", Value.Of(b));
        Assert.Equal(Value.Of(less), Apply("lessThan", left, right));
        Assert.Equal(Value.Of(lessOrEqual), Apply("lessThanOrEqual", left, right));
        Assert.Equal(Value.Of(!lessOrEqual), Apply("greaterThan", left, right));
        Assert.Equal(Value.Of(!less), Apply("greaterThanOrEqual", left, right));
    }

    [Theory]
    [InlineData("isIpv4", "1.2.3.4", true)]
    [InlineData("isIpv4", "::1", false)]
    [InlineData("isIpv6", "::1", true)]
    [InlineData("isIpv6", "1.2.3.4", false)]
    [InlineData("isLoopback", "127.9.9.9", true)]
    [InlineData("isLoopback", "127.0.0.0/8", true)]
    [InlineData("isLoopback", "127.0.0.0/7", false)]
    [InlineData("isLoopback", "::1", true)]
    [InlineData("isLoopback", "::1/127", false)]
    [InlineData("isLoopback", "::ffff:7f00:1", false)]
    [InlineData("isMulticast", "224.0.0.0/4", true)]
    [InlineData("isMulticast", "224.0.0.0/3", false)]
    [InlineData("isMulticast", "ff00::/8", true)]
    [InlineData("isMulticast", "ff00::/7", false)]
    public void Addresses_AreAskedAbout(string method, string address, bool expected) =>
        Assert.Equal(Value.Of(expected), Apply(method, Apply("ip", Value.Of(address))));

    [Theory]
    [InlineData("10.1.2.3", "10.0.0.0/8", true)]
    [InlineData("10.1.2.3", "10.255.255.255/8", true)]
    [InlineData("11.0.0.0", "10.0.0.0/8", false)]
    [InlineData("10.0.0.0/8", "10.0.0.0/9", false)]
    [InlineData("10.0.0.0/9", "10.0.0.0/8", true)]
    [InlineData("255.255.255.255", "0.0.0.0/0", true)]
    [InlineData("0.0.0.0/0", "0.0.0.0/1", false)]
    [InlineData("ffff::", "::/0", true)]
    [InlineData("::/0", "::/1", false)]
    [InlineData("::/0", "::/0", true)]
    [InlineData("1::1", "1::/128", false)]
    [InlineData("::a00:0", "10.0.0.0/8", false)]
    public void Range_ContainsWhatLiesWithin(string address, string range, bool expected) =>
        Assert.Equal(Value.Of(expected), Apply("isInRange", Apply("ip", Value.Of(address)), Apply("ip", Value.Of(range))));

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(Day + 1, Day, 1)]
    [InlineData(-1, -Day, Day - 1)]
    [InlineData(-Day, -Day, 0)]
    [InlineData(-Day - 1, -2 * Day, Day - 1)]
    public void DateAndTime_OfATimeBefore1970_AreCountedFromTheMidnightBefore(long time, long date, long ofDay)
    {
        Assert.Equal(Value.OfDatetime(date), Apply("toDate", Value.OfDatetime(time)));
        Assert.Equal(Value.OfDuration(ofDay), Apply("toTime", Value.OfDatetime(time)));
    }

    [Fact]
    public void Date_OfTheLeastTime_Overflows()
    {
        Assert.True(Apply("toDate", Value.OfDatetime(long.MinValue)).IsNone);
        Assert.False(Apply("toTime", Value.OfDatetime(long.MinValue)).IsNone);
    }

    [Fact]
    public void Offset_IsCheckedForOverflow()
    {
        Assert.Equal(Value.OfDatetime(5), Apply("offset", Value.OfDatetime(7), Value.OfDuration(-2)));
        Assert.True(Apply("offset", Value.OfDatetime(long.MaxValue), Value.OfDuration(1)).IsNone);
        Assert.True(Apply("offset", Value.OfDatetime(long.MinValue), Value.OfDuration(-1)).IsNone);
        Assert.Equal(Value.OfDuration(9), Apply("durationSince", Value.OfDatetime(7), Value.OfDatetime(-2)));
        Assert.True(Apply("durationSince", Value.OfDatetime(0), Value.OfDatetime(long.MinValue)).IsNone);
    }

    [Theory]
    [InlineData("toMilliseconds", -90_061_999)]
    [InlineData("toSeconds", -90_061)]
    [InlineData("toMinutes", -1_501)]
    [InlineData("toHours", -25)]
    [InlineData("toDays", -1)]
    public void Duration_InAUnit_IsCutTowardsZero(string method, long expected) =>
        Assert.Equal(Value.Of(expected), Apply(method, Value.OfDuration(-90_061_999)));

    /// <summary>Every function with arguments of every kind: a value exactly where the types are those of the table.</summary>
    [Fact]
    public void EveryFunction_WithOtherTypes_IsNoValue()
    {
        Value[] samples =
        [
            default, Value.True, Value.Of(1), Value.Of("1.5"), Value.Of(new EntityUid("T", "a")), Value.Of(new CedarSet()), Value.Of(CedarRecord.Empty),
            Value.OfDecimal(1), Value.OfDatetime(1), Value.OfDuration(1), Apply("ip", Value.Of("1.1.1.1")),
        ];
        foreach (string name in ExtensionFunction.Names)
        {
            ExtensionFunction f = ExtensionFunction.Find(name)!;
            Assert.True(Apply(name).IsNone);
            Assert.True(Apply(name, samples[0], samples[0], samples[0]).IsNone);
            foreach (Value a in samples)
            {
                if (f.Parameters.Count == 1)
                {
                    if (f.IsMethod) Assert.Equal(a.Kind == f.Parameters[0] ? f.Result : ValueKind.None, Apply(name, a).Kind);
                    else if (a.Kind != ValueKind.String) Assert.True(Apply(name, a).IsNone);
                    continue;
                }
                foreach (Value b in samples)
                    Assert.Equal(a.Kind == f.Parameters[0] && b.Kind == f.Parameters[1] ? f.Result : ValueKind.None, Apply(name, a, b).Kind);
            }
        }
    }

    [Fact]
    public void Methods_AllocateNothing()
    {
        ExtensionFunction offset = ExtensionFunction.Find("offset")!, inRange = ExtensionFunction.Find("isInRange")!;
        Value[] times = [Value.OfDatetime(1), Value.OfDuration(2)];
        Value[] addresses = [Apply("ip", Value.Of("1.1.1.1")), Apply("ip", Value.Of("1.0.0.0/8"))];
        ExtensionOperations.Apply(offset, times);
        ExtensionOperations.Apply(inRange, addresses);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            ExtensionOperations.Apply(offset, times);
            ExtensionOperations.Apply(inRange, addresses);
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static Value Apply(string name, params Value[] args) => ExtensionOperations.Apply(ExtensionFunction.Find(name)!, args);
}
