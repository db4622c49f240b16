using System.Text;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Data;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;
using static McpAuth.Cedar.Tests.Data.Samples;

namespace McpAuth.Cedar.Tests.Data;

public class ValueJsonProperties
{
    private static readonly Config Many = Config.QuickThrowOnFailure.WithMaxTest(500);

    private static readonly Gen<string> Text =
        Gen.Elements("", "a", "b c", "é", "\"", "\\", "\0", "\u2028", "😀", "__entity", "type", "id", "\uFFFF", "-1").ArrayOf().Resize(3).Select(string.Concat);

    private static readonly Gen<string> Name = Text.Where(t => t is not ("__entity" or "__extn" or "__expr"));

    private static readonly Gen<long> Long = Gen.OneOf(
        Gen.Elements(0, 1, -1, long.MinValue, long.MaxValue, 1L << 53, (1L << 53) + 1, 253_402_300_799_999, 253_402_300_800_000, -62_167_219_200_000, -62_167_219_200_001),
        ArbMap.Default.GeneratorFor<long>());

    private static Gen<Value> Values(int depth)
    {
        Gen<Value> flat = Gen.OneOf(
            Gen.Elements(Value.True, Value.False),
            Long.Select(Value.Of),
            Text.Select(Value.Of),
            from type in Gen.Elements("A", "A::B", "_x1") from id in Text select Value.Of(new EntityUid(type, id)),
            Long.Select(Value.OfDecimal),
            Long.Select(Value.OfDatetime),
            Long.Select(Value.OfDuration),
            from high in ArbMap.Default.GeneratorFor<ulong>() from low in ArbMap.Default.GeneratorFor<ulong>() from prefix in Gen.Choose(0, 128)
            select Value.Of(new CedarIpAddress(new UInt128(high, low), true, prefix)),
            from address in ArbMap.Default.GeneratorFor<uint>() from prefix in Gen.Choose(0, 32) select Value.Of(new CedarIpAddress(address, false, prefix)));
        if (depth == 0) return flat;
        Gen<Value> inner = Values(depth - 1);
        return Gen.OneOf(flat, inner.ArrayOf().Resize(4).Select(Set), Records(inner).Select(Value.Of));
    }

    private static Gen<CedarRecord> Records(Gen<Value> values) =>
        from names in Name.ArrayOf().Resize(4) let distinct = names.Distinct().ToArray() from inner in values.ArrayOf(distinct.Length)
        select new CedarRecord(distinct.Zip(inner, KeyValuePair.Create));

    [Fact]
    public void Context_WrittenAndReadAgain_IsTheSame() =>
        Prop.ForAll(Records(Values(3)).ToArbitrary(), record => ContextJson.Parse(Utf8(record.ToJson())).Value.Equals(record)).Check(Many);

    [Fact]
    public void Store_WrittenAndReadAgain_IsTheSame()
    {
        Gen<EntityDescription> entity =
            from id in Gen.Choose(0, 5) from parents in Gen.Choose(0, 9).ArrayOf().Resize(3) from attributes in Records(Values(1)) from tags in Records(Values(1))
            select new EntityDescription(User($"{id}"), attributes, [.. parents.Where(p => p > id).Select(p => User($"{p}"))], tags);
        Prop.ForAll(entity.ArrayOf().Select(all => all.DistinctBy(e => e.Uid).ToArray()).ToArbitrary(), entities =>
        {
            EntityStore store = EntityStore.Of(entities).Value;
            EntityStore read = EntityStore.ParseJson(Utf8(store.ToJson())).Value;
            return read.Count == store.Count && store.Entities.All(e => read.Find(e.Uid) is { } other && other.Attributes.Equals(e.Attributes) && other.Tags.Equals(e.Tags) &&
                other.Parents.SequenceEqual(e.Parents) && other.Ancestors.ToHashSet().SetEquals(e.Ancestors));
        }).Check(Many);
    }

    [Fact]
    public void Record_NameThatMeansAnEscape_CannotBeWritten()
    {
        foreach (string name in new[] { "__entity", "__extn", "__expr" })
            Assert.Equal("reserved_name", Assert.Throws<CedarException>(() => Set(Value.Of(Record((name, Value.True)))).ToJson()).Diagnostics[0].Code);
    }

    [Fact, Trait("Attack", "137")]
    public void Json_MutilatedText_IsRefusedOrReadAndNeverThrows()
    {
        byte[] seed = Encoding.UTF8.GetBytes("[" + Entity("User", "a",
            """{"home":"::1","boss":{"__entity":{"type":"User","id":"b"}},"seen":[{"__extn":{"fn":"ip","arg":"1.2.3.4"}}],"address":{"zip":-1,"street":"\ud83d\ude00"}}""",
            """[{"type":"Group","id":"g"}]""", ""","tags":{"t":"1h"}""") + "]");
        var edits = (from at in Gen.Choose(0, seed.Length - 1) from value in Gen.OneOf(Gen.Choose(0, 255), Gen.Elements("\"{}[]:,\\u1e.-abAB".Select(c => (int)c).ToArray())) select (at, value)).NonEmptyListOf();
        int accepted = 0;
        Prop.ForAll(edits.ToArbitrary(), list =>
        {
            byte[] bytes = [.. seed];
            foreach ((int at, int value) in list.Take(1 + (list.Count % 3))) bytes[at] = (byte)value;
            foreach (Parsed<EntityStore> parsed in new[] { EntityStore.ParseJson(bytes), EntityStore.ParseJson(bytes, Schema) })
            {
                if (parsed.Ok) accepted++;
                else if (parsed.Diagnostics.Count == 0 || parsed.Diagnostics.Any(d => d.Path is null && d.Code is not "cycle")) return false;
            }
            return true;
        }).Check(Many);
        Assert.True(accepted > 25, $"{accepted} accepted: the edits prove little");
    }
}
