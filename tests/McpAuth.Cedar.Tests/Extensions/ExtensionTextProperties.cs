using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Extensions;

[Trait("Spec", "Cedar-extensions")]
public sealed class ExtensionTextProperties
{
    private static readonly Config Many = Config.QuickThrowOnFailure.WithMaxTest(5000);

    private static readonly Gen<long> Longs = Gen.Elements(0, 8, 16, 24, 32, 40, 48, 56).SelectMany(shift => ArbMap.Default.GeneratorFor<long>().Select(n => n >> shift));

    [Fact]
    public void AnyDecimalAndDuration_IsReadAsItWasWritten() => Prop.ForAll(Longs.ToArbitrary(), n =>
        ExtensionText.Read(ValueKind.Decimal, DecimalText.Of(n)) == Value.OfDecimal(n) &&
        ExtensionText.Read(ValueKind.Duration, DurationText.Of(n)) == Value.OfDuration(n)).Check(Many);

    /// <summary>Against the calendar of .NET, which has the years 1 to 9999; from others the arithmetic must not go astray.</summary>
    [Fact]
    public void AnyDatetime_IsWrittenAsTheCalendarSays_AndReadAgain() => Prop.ForAll(Longs.ToArbitrary(), n =>
    {
        string? text = DatetimeText.Of(n);
        if (text is null) return n is < -62_167_219_200_000 or > 253_402_300_799_999;
        if (ExtensionText.Read(ValueKind.Datetime, text) != Value.OfDatetime(n)) return false;
        return n < -62_135_596_800_000 || text[..10] == DateTime.UnixEpoch.AddMilliseconds(n).ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);
    }).Check(Many);

    [Fact]
    public void AnyAddress_IsReadAsItWasWritten()
    {
        Gen<CedarIpAddress> addresses =
            from high in Longs
            from low in Longs
            from isIpv6 in Gen.Elements(true, false)
            from prefix in Gen.Choose(0, isIpv6 ? 128 : 32)
            select new CedarIpAddress(isIpv6 ? new UInt128((ulong)high, (ulong)low) : (uint)low, isIpv6, prefix);
        Prop.ForAll(addresses.ToArbitrary(), a => a.Equals(ExtensionText.Read(ValueKind.IpAddress, a.ToString()).AsIpAddress)).Check(Many);
    }
}
