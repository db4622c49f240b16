using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol.Json;

namespace McpAuth.Protocol.Tests.Json;

public class StrictJsonProperties
{
    private static readonly Config Many = Config.QuickThrowOnFailure.WithMaxTest(2000);
    private static readonly JsonLimits Body = new(Limits.GuardBody);

    [Fact, Trait("Spec", "RFC7493-2.2")]
    public void StrictJson_EveryDouble_IsReadBackToTheBit() =>
        Prop.ForAll(ArbMap.Default.GeneratorFor<long>().Select(BitConverter.Int64BitsToDouble).Where(d => double.IsFinite(d) && d != 0).ToArbitrary(), value =>
        {
            var text = value.ToString("R", CultureInfo.InvariantCulture);
            var parsed = StrictJson.Parse(text, Body);
            return parsed.Ok && BitConverter.DoubleToInt64Bits(parsed.Value.GetDouble()) == BitConverter.DoubleToInt64Bits(value);
        }).Check(Many);

    [Fact, Trait("Attack", "135")]
    public void StrictJson_AnyDecimal_PassesExactlyWhenItsShortestFormIsTheSameValue()
    {
        var digits = Gen.Elements("0123456789".ToCharArray());
        var generator =
            from whole in digits.ArrayOf().Resize(20)
            from fraction in digits.ArrayOf().Resize(20)
            from exponent in Gen.Choose(-340, 320)
            from small in Gen.Choose(-5, 5)
            from form in Gen.Choose(0, 3)
            select (new string(whole).TrimStart('0') is { Length: > 0 } w ? w : "0") + (fraction.Length > 0 && form != 1 ? "." + new string(fraction) : "")
                + (form switch { 2 => $"e{small}", 3 => $"E{exponent}", _ => "" });
        int accepted = 0, refused = 0;
        Prop.ForAll(generator.ToArbitrary(), text =>
        {
            var ok = StrictJson.Parse(text, Body).Ok;
            _ = ok ? accepted++ : refused++;
            return ok == SurvivesBinary64(text);
        }).Check(Many);
        Assert.True(accepted > 200 && refused > 200, $"{accepted} accepted, {refused} refused: the generator proves little");
    }

    [Fact, Trait("Attack", "133")]
    public void StrictJson_AnyNames_AreRefusedExactlyWhenTwoAreEqualButForCase()
    {
        var name = Gen.Elements("a", "A", "b", "é", "É", "\\u0061", "\\u00c9", "\\n", "z", "\\/", "/", "\uD83D\uDE00", "\\ud83d\\ude00").ArrayOf().Resize(3).Select(string.Concat);
        int accepted = 0, refused = 0;
        Prop.ForAll(name.ArrayOf().Resize(12).ToArbitrary(), names =>
        {
            var text = "{" + string.Join(",", names.Select(n => $"\"{n}\":{{\"{n}\":0}}")) + "}";
            var plain = names.Select(n => JsonElement.Parse($"\"{n}\"").GetString()!);
            var unique = new HashSet<string>(plain, StringComparer.OrdinalIgnoreCase).Count == names.Length;
            var parsed = StrictJson.Parse(text, Body);
            _ = parsed.Ok ? accepted++ : refused++;
            return parsed.Ok == unique && (parsed.Ok || parsed.Fault.Code == "duplicate_member");
        }).Check(Many);
        Assert.True(accepted > 200 && refused > 200, $"{accepted} accepted, {refused} refused: the generator proves little");
    }

    [Fact, Trait("Attack", "137")]
    public void StrictJson_MutilatedText_NeverThrowsAndNeverDisagreesWithThePlatform()
    {
        var seed = Encoding.UTF8.GetBytes("{\"jsonrpc\":\"2.0\",\"id\":1.5e3,\"params\":{\"name\":\"r\\u00e9\\ud83d\\ude00\",\"a\":[true,null,-12]}}");
        var edits = (from at in Gen.Choose(0, seed.Length - 1) from value in Gen.Choose(0, 255) select (at, value)).NonEmptyListOf();
        Prop.ForAll(edits.ToArbitrary(), list =>
        {
            var bytes = (byte[])seed.Clone();
            foreach (var (at, value) in list)
                bytes[at] = (byte)value;
            var parsed = StrictJson.Parse(bytes, Body);
            if (!parsed.Ok)
                return true;
            using var platform = JsonDocument.Parse(bytes, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return JsonElement.DeepEquals(platform.RootElement, parsed.Value) && CanonicalJson.ToBytes(parsed.Value).Length > 0;
        }).Check(Many);
    }

    // The oracle: exact rational arithmetic on the two spellings, sharing nothing with the reader.
    private static bool SurvivesBinary64(string text)
    {
        var value = double.Parse(text, CultureInfo.InvariantCulture);
        if (!double.IsFinite(value))
            return false;
        var (a, e) = Exact(text);
        var (b, f) = Exact(value.ToString("R", CultureInfo.InvariantCulture));
        var low = Math.Min(e, f);
        return a * BigInteger.Pow(10, e - low) == b * BigInteger.Pow(10, f - low);
    }

    private static (BigInteger Digits, int Exponent) Exact(string text)
    {
        var parts = text.ToLowerInvariant().Split('e');
        var exponent = parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0;
        var point = parts[0].IndexOf('.', StringComparison.Ordinal);
        return (BigInteger.Parse(parts[0].Replace(".", "", StringComparison.Ordinal), CultureInfo.InvariantCulture), exponent - (point < 0 ? 0 : parts[0].Length - point - 1));
    }
}
