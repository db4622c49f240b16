using McpAuth.Cedar.Data;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;
using static McpAuth.Cedar.Tests.Data.Samples;

namespace McpAuth.Cedar.Tests.Data;

public class ContextJsonTests
{
    private static CedarRecord Read(string json)
    {
        Parsed<CedarRecord> parsed = ContextJson.Parse(Utf8(json));
        Assert.True(parsed.Ok, string.Join('\n', parsed.Diagnostics));
        return parsed.Value;
    }

    private static string[] Refusals(string json) => Errors(ContextJson.Parse(Utf8(json)));

    [Fact]
    public void Context_EveryKindOfValue_IsRead() =>
        Assert.Equal(
            Record(
                ("b", Value.True), ("n", Value.Of(-9223372036854775808)), ("s", Value.Of("é\0")), ("e", Value.Of(Uid("A::B", "x"))),
                ("set", Set(Value.Of(1), Value.Of("1"))), ("r", Value.Of(Record(("", Value.False)))),
                ("d", Value.OfDecimal(-12_3000)), ("ip", Ip("10.0.0.0/8")), ("t", Value.OfDatetime(86_400_000)), ("l", Value.OfDuration(-90_000))),
            Read("""
            {"b":true,"n":-9223372036854775808,"s":"\u00e9\u0000","e":{"__entity":{"id":"x","type":"A::B"}},"set":[1,"1",1],"r":{"":false},
             "d":{"__extn":{"fn":"decimal","arg":"-12.3"}},"ip":{"__extn":{"arg":"10.0.0.0/8","fn":"ip"}},"t":{"__extn":{"fn":"datetime","arg":"1970-01-02"}},
             "l":{"__extn":{"fn":"duration","args":["-1m30s"]}}}
            """));

    [Fact]
    public void Context_DatetimeBeyondTheYearsThatHaveAText_IsWrittenAsOffset() =>
        Assert.Equal(Value.OfDatetime(long.MinValue), Read("""
            {"t":{"__extn":{"fn":"offset","args":[{"__extn":{"fn":"datetime","arg":"1970-01-01"}},{"__extn":{"fn":"duration","arg":"-9223372036854775808ms"}}]}}}
            """)["t"]);

    [Theory, Trait("Attack", "135")]
    [InlineData("1.5"), InlineData("1.0"), InlineData("1e2"), InlineData("1e-2"), InlineData("9223372036854775808"), InlineData("-9223372036854775809")]
    [InlineData("1e400"), InlineData("123456789012345678901234567890")]
    public void Context_NumberThatIsNoLong_IsRefused(string number) => Assert.Equal(["not_a_long $.a[1]"], Refusals($$"""{"a":[0,{{number}}]}"""));

    [Fact]
    public void Context_Null_IsRefused() => Assert.Equal(["null_value $.a.b"], Refusals("""{"a":{"b":null}}"""));

    [Fact, Trait("Spec", "RFC8259-4")]
    public void Context_TwoMembersOfOneName_AreRefused() => Assert.Equal(["duplicate_member $.r.a"], Refusals("""{"r":{"a":1,"b":1,"\u0061":1,"a":2}}"""));

    [Theory, Trait("Spec", "RFC8259-8.2")]
    [InlineData("""{"a":"\ud800"}""", "lone_surrogate $.a")]
    [InlineData("""{"a":"\udc00\ud800"}""", "lone_surrogate $.a")]
    [InlineData("""{"\ud800":{"a":[]}}""", "lone_surrogate $")]
    [InlineData("""{"a":{"\ud800":1}}""", "lone_surrogate $.a")]
    [InlineData("""{"a":{"__entity":{"type":"A","id":"\ud800"}}}""", "lone_surrogate $.a.__entity.id")]
    public void Context_HalfOfASurrogatePair_IsRefused(string json, string error) => Assert.Equal([error], Refusals(json));

    [Theory, Trait("Spec", "RFC8259-8.1")]
    [InlineData(new byte[] { (byte)'{', (byte)'"', 0xC3, (byte)'"', (byte)':', (byte)'1', (byte)'}' }, "invalid_utf8 $")]
    [InlineData(new byte[] { 0xEF, 0xBB, 0xBF, (byte)'{', (byte)'}' }, "invalid_json $")]
    [InlineData(new byte[0], "invalid_json $")]
    public void Context_BytesThatAreNoJson_AreRefused(byte[] utf8, string error) => Assert.Equal([error], Errors(ContextJson.Parse(utf8)));

    [Theory]
    [InlineData("""{"a":1}}""", "invalid_json $")]
    [InlineData("""{"a":1} 2""", "invalid_json $")]
    [InlineData("""{"a":[1,{"b":[tru]}]}""", "invalid_json $.a[1].b")]
    [InlineData("""{"a":1,}""", "invalid_json $")]
    [InlineData("""[1]""", "wrong_json_type $")]
    [InlineData("""null""", "wrong_json_type $")]
    public void Context_TextThatIsNoObject_IsRefused(string json, string error) => Assert.Equal([error], Refusals(json));

    [Theory]
    [InlineData("""{"__entity":{"type":"A"}}""", "missing_member $.a.__entity")]
    [InlineData("""{"__entity":"A::\"b\""}""", "wrong_json_type $.a.__entity")]
    [InlineData("""{"__entity":{"type":"A","id":"b","x":1}}""", "unknown_member $.a.__entity.x")]
    [InlineData("""{"__entity":{"type":"A","type":"B","id":"b"}}""", "duplicate_member $.a.__entity.type")]
    [InlineData("""{"__entity":{"type":"A","id":1}}""", "wrong_json_type $.a.__entity.id")]
    [InlineData("""{"__entity":{"type":"A::","id":"b"}}""", "not_a_type $.a.__entity.type")]
    [InlineData("""{"__entity":{"type":"A :: B","id":"b"}}""", "not_a_type $.a.__entity.type")]
    [InlineData("""{"__entity":{"type":"A::if","id":"b"}}""", "not_a_type $.a.__entity.type")]
    [InlineData("""{"__entity":{"type":"","id":"b"}}""", "not_a_type $.a.__entity.type")]
    [InlineData("""{"__entity":{"type":"A","id":"b"},"x":1}""", "reserved_name $.a.x")]
    [InlineData("""{"x":1,"__entity":{"type":"A","id":"b"}}""", "reserved_name $.a.__entity")]
    [InlineData("""{"__expr":"1 + 1"}""", "reserved_name $.a.__expr")]
    [InlineData("""{"__extn":{"fn":"ip","arg":"1.2.3"}}""", "bad_argument $.a.__extn")]
    [InlineData("""{"__extn":{"fn":"ip","arg":1}}""", "bad_argument $.a.__extn")]
    [InlineData("""{"__extn":{"fn":"ip","args":[]}}""", "wrong_argument_count $.a.__extn")]
    [InlineData("""{"__extn":{"fn":"IP","arg":"1.2.3.4"}}""", "unknown_function $.a.__extn.fn")]
    [InlineData("""{"__extn":{"fn":"ip"}}""", "missing_member $.a.__extn")]
    [InlineData("""{"__extn":{"arg":"1.2.3.4"}}""", "missing_member $.a.__extn")]
    [InlineData("""{"__extn":{"fn":"ip","arg":"1.2.3.4","args":["1.2.3.4"]}}""", "duplicate_member $.a.__extn.args")]
    [InlineData("""{"__extn":{"fn":"offset","args":["1970-01-01","1h"]}}""", "bad_argument $.a.__extn")]
    [InlineData("""{"__extn":1}""", "wrong_json_type $.a.__extn")]
    public void Context_EscapeThatIsNotRight_IsRefused(string value, string error) => Assert.Equal(error, Refusals($$"""{"a":{{value}}}""")[0]);

    [Fact]
    public void Context_NestedToTheLimit_IsReadAndOneDeeperIsRefused()
    {
        string Nested(int depth) => $"{{\"a\":{new string('[', depth - 1)}{new string(']', depth - 1)}}}";
        Assert.True(ContextJson.Parse(Utf8(Nested(Limits.Depth))).Ok);
        Assert.StartsWith("too_deep $.a[0]", Assert.Single(Refusals(Nested(Limits.Depth + 1))), StringComparison.Ordinal);
    }

    [Theory, Trait("Attack", "137")]
    [InlineData("[")]
    [InlineData("{\"a\":")]
    [InlineData("{\"__extn\":{\"arg\":")]
    [InlineData("{\"__entity\":")]
    public async Task Context_NestedWithoutEnd_IsAnsweredAtOnce(string opening)
    {
        byte[] json = Utf8("{\"a\":" + string.Concat(Enumerable.Repeat(opening, (Limits.Text / opening.Length) - 10)));
        Assert.False((await Task.Run(() => ContextJson.Parse(json)).WaitAsync(TimeSpan.FromSeconds(30))).Ok);
    }

    [Fact]
    public void Context_LongerThanTheLimit_IsRefusedUnread() => Assert.Equal(["too_large $"], Errors(ContextJson.Parse(new byte[Limits.Text + 1])));

    [Fact]
    public void Context_ManyErrors_AreReportedUpToALimit()
    {
        Assert.Equal(["null_value $.a", "not_a_long $.b", "bad_argument $[\"c d\"].__extn"], Refusals("""{"a":null,"b":1.5,"c d":{"__extn":{"fn":"ip","arg":""}}}"""));
        Assert.Equal(Limits.Errors, Refusals($"{{\"a\":[{string.Join(',', Enumerable.Repeat("null", 500))}]}}").Length);
    }

    [Fact, Trait("Attack", "137")]
    public async Task Context_SetOfAllPartitions_DoesNotCollide()
    {
        // Each member is a set of two sets that together hold 0 to 15: a hash that adds up would be the same for all 32,768.
        string Part(int mask, bool inside) => $"[{string.Join(',', Enumerable.Range(0, 16).Where(i => (mask >> i & 1) == 1 == inside))}]";
        string json = $"{{\"a\":[{string.Join(',', Enumerable.Range(0, 1 << 15).Select(mask => $"[{Part(mask, true)},{Part(mask, false)}]"))}]}}";
        CedarRecord read = (await Task.Run(() => ContextJson.Parse(Utf8(json))).WaitAsync(TimeSpan.FromSeconds(30))).Value;
        Assert.Equal(1 << 15, read["a"].AsSet!.Count);
        Assert.True(read["a"].AsSet!.Select(s => s.GetHashCode()).Distinct().Count() > 32_000);
    }

    [Fact]
    public void Context_NameThatAPolicyUses_IsTheSameObject()
    {
        var authorizer = Authorizer.CedarCompatible(PolicySet.Parse("permit(principal, action, resource) when { context.onlyThisTestHasThis };").Value);
        Assert.Same(authorizer.Names["onlyThisTestHasThis"], Read("""{"onlyThisTestHasThis":1}""").First().Key);
        CedarRecord twice = Read("""{"a":{"some other name":1},"b":{"some other name":2}}""");
        Assert.Same(twice["a"].AsRecord!.First().Key, twice["b"].AsRecord!.First().Key);
    }
}
