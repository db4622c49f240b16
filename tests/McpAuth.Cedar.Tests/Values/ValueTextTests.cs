using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Values;

public sealed class ValueTextTests
{
    public static TheoryData<string, Value> Values => new()
    {
        { "", default },
        { "true", Value.True },
        { "-9223372036854775808", Value.Of(long.MinValue) },
        { "\"a\\\"\\n\\u{200b}\"", Value.Of("a\"\n\u200b") },
        { "A::B::\"x\\\\\"", Value.Of(new EntityUid("A::B", "x\\")) },
        { "[\"a\", 1]", Value.Of(new CedarSet(Value.Of("a"), Value.Of(1))) },
        { "{\"\": 1, b: {}}", Value.Of(new CedarRecord([new("b", Value.Of(CedarRecord.Empty)), new("", Value.Of(1))])) },
        { "decimal(\"-0.05\")", Value.OfDecimal(-500) },
        { "decimal(\"-922337203685477.5808\")", Value.OfDecimal(long.MinValue) },
        { "ip(\"::/0\")", ExtensionText.Read(ValueKind.IpAddress, "::/0") },
        { "datetime(\"2024-10-15T11:35:00.005Z\")", Value.OfDatetime(1_728_992_100_005) },
        { "datetime(\"1970-01-01\").offset(duration(\"-106751991167d7h12m55s808ms\"))", Value.OfDatetime(long.MinValue) },
        { "duration(\"-1d1ms\")", Value.OfDuration(-86_400_001) },
    };

    [Theory, MemberData(nameof(Values))]
    public void Value_IsWrittenAsAnExpression(string expected, Value value) => Assert.Equal(expected, value.ToString());
}
