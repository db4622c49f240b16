using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Values;

public sealed class UidMapTests
{
    [Fact]
    public void Map_FindsWhatADictionaryFinds()
    {
        Gen<byte[]> numbers = ArbMap.Default.GeneratorFor<byte[]>();
        Prop.ForAll((from inside in numbers from asked in numbers select (inside, asked)).ToArbitrary(), sample =>
        {
            Dictionary<EntityUid, object> entries = sample.inside.Distinct().ToDictionary(Named, _ => new object());
            var map = new UidMap<object>(entries);
            return map.Count == entries.Count
                && map.Entries.ToDictionary().Count == entries.Count
                && sample.asked.Concat(sample.inside).All(n => ReferenceEquals(map.Find(Named(n)), entries.GetValueOrDefault(Named(n))));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    [Fact]
    public void Map_ThatIsEmpty_FindsNothing() => Assert.Null(new UidMap<object>([]).Find(Named(1)));

    /// <summary>A new object each time, of two types.</summary>
    private static EntityUid Named(byte number) => new(number % 2 == 0 ? "Even" : "Odd", $"e{number / 2}");
}
