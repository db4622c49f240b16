namespace McpAuth.Protocol.Tests.ToolCalls;

public sealed class ConstraintTests
{
    [Theory]
    [Trait("Attack", "135")]
    [InlineData("= 100", "1e2", true)]
    [InlineData("= 100", "\"100\"", false)]
    [InlineData("= 9007199254740993", "9007199254740992", false)]
    [InlineData("= 0", "-0.0", true)]
    [InlineData("= 0.3", "0.30000000000000004", false)]
    [InlineData("= 1", "true", false)]
    [InlineData("= {\"a\":1}", "{\"a\":1,\"a\":1}", false)]
    [InlineData("!in [{\"a\":1}]", "{\"a\":1,\"a\":1}", false)]
    [InlineData("in [{\"a\":1}]", "{\"a\":1,\"a\":1}", false)]
    [InlineData("subset [{\"a\":1}]", "[{\"a\":1,\"a\":1}]", false)]
    [InlineData("contains []", "[{\"a\":1,\"a\":1}]", true)]
    [InlineData("[0..500]", "500", true)]
    [InlineData("[0..500[", "500.0", false)]
    [InlineData("[0..500[", "499.99999999999999999999999999", true)]
    [InlineData("[0..500]", "\"5\"", false)]
    [InlineData("[0..500]", "null", false)]
    [InlineData("[0..500]", "[5]", false)]
    [InlineData("[0..]", "1e400", true)]
    [InlineData("[0..]", "1e99999999999999999999", false)]
    [InlineData("[0..]", "0e99999999999999999999", true)]
    [InlineData("[0..]", "-1e-400", false)]
    [InlineData("]0..1[", "1e-400", true)]
    [InlineData("[0.1..0.2]", "0.15", true)]
    [InlineData("[10..20]", "9.99", false)]
    [InlineData("[-20..-10]", "-15", true)]
    [InlineData("[-20..-10]", "-9", false)]
    [InlineData("[..]", "7", true)]
    [InlineData("[5..1]", "3", false)]
    [InlineData("^ \"a\"", "\"ab\"", true)]
    [InlineData("^ \"a\"", "\"A\"", false)]
    [InlineData("^ \"\\u00e9\"", "\"e\\u0301\"", false)]
    [InlineData("contains [\"a\"]", "[\"b\",\"a\"]", true)]
    [InlineData("contains [\"a\"]", "\"a\"", false)]
    [InlineData("contains []", "[]", true)]
    [InlineData("subset [\"a\",1]", "[1.0,\"a\",1]", true)]
    [InlineData("subset [\"a\"]", "[\"a\",\"b\"]", false)]
    [InlineData("subset [\"a\"]", "[]", true)]
    [InlineData("subset [\"a\"]", "\"a\"", false)]
    [InlineData("all()", "null", true)]
    [InlineData("*", "{\"any\":[]}", true)]
    public void Admits_Value_IsComparedExactly(string constraint, string value, bool admitted) =>
        Assert.Equal(admitted, Json.Constraint(SubsetGoldenTests.Full(constraint)).Admits(Json.Of(value)));

    [Theory]
    [InlineData("/data", true)]
    [InlineData("/data/x", true)]
    [InlineData("/data/x.y/..z/...", true)]
    [InlineData("/data/caf\\u00e9", true)]
    [InlineData("/data/\\ud55c", true)]
    [InlineData("/data/\\ud83d\\ude00", true)]
    [InlineData("/data/ \\u00a0", true)]
    [InlineData("/database", false)]
    [InlineData("/Data/x", false)]
    [InlineData("data/x", false)]
    [InlineData("//data/x", false)]
    [InlineData("/data/", false)]
    [InlineData("/data//x", false)]
    [InlineData("/data/./x", false)]
    [InlineData("/data/../x", false)]
    [InlineData("/data/x/..", false)]
    [InlineData("/data/.", false)]
    [InlineData("/data\\\\x", false)]
    [InlineData("/data/x\\\\..\\\\y", false)]
    [InlineData("/data/%2e%2e/x", false)]
    [InlineData("/data/x%", false)]
    [InlineData("/data/x:stream", false)]
    [InlineData("file:///data/x", false)]
    [InlineData("/data/\\u0000", false)]
    [InlineData("/data/x\\n", false)]
    [InlineData("/data/\\u007f", false)]
    [InlineData("/data/\\u0085", false)]
    [InlineData("/data/cafe\\u0301", false)]
    [InlineData("/data/\\u1112\\u1161\\u11ab", false)]
    [InlineData("/data/\\u212b", false)]
    [InlineData("/data/\\uff0e\\uff0e/x", true)]
    public void PathUnder_Argument_IsAPlainPathBelowByWholeSegments(string path, bool admitted) =>
        Assert.Equal(admitted, Json.Constraint(SubsetGoldenTests.Full("/ \"/data\"")).Admits(Json.Of($"\"{path}\"")));

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/a/")]
    [InlineData("//a")]
    [InlineData(".")]
    [InlineData("a/./b")]
    [InlineData("a/../b")]
    [InlineData("a\\\\b")]
    [InlineData("a%2fb")]
    [InlineData("c:/a")]
    [InlineData("a\\u0007")]
    [InlineData("e\\u0301")]
    public void PathUnder_ConstraintThatIsNotPlain_IsRefused(string path)
    {
        var fault = Json.TryConstraint(SubsetGoldenTests.Full($"/ \"{path}\"")).Fault;
        Assert.Equal("invalid_authorization_details", fault?.Code);
        Assert.Equal("$[0].resources[0].value", fault?.Path);
    }

    [Fact]
    public void PathUnder_NumberOrArray_IsNotAPath()
    {
        var constraint = Json.Constraint(SubsetGoldenTests.Full("/ \"1\""));
        Assert.False(constraint.Admits(Json.Of("1")));
        Assert.False(constraint.Admits(Json.Of("[\"1\"]")));
    }
}
