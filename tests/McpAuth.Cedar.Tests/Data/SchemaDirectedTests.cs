using McpAuth.Cedar.Data;
using McpAuth.Cedar.Values;
using static McpAuth.Cedar.Tests.Data.Samples;

namespace McpAuth.Cedar.Tests.Data;

public class SchemaDirectedTests
{
    private static CedarRecord User(string attrs) => Store($"[{Entity("User", "a", attrs)}]", Schema).Find(Samples.User("a"))!.Attributes;

    private static string[] Refusals(string attrs) =>
        Errors(Cedar.Entities.EntityStore.ParseJson(Utf8($"[{Entity("User", "a", attrs)}]"), Schema));

    [Fact]
    public void Schema_TextWhereAnExtensionValueIsExpected_IsThatValue() =>
        Assert.Equal(
            Record(("home", Ip("::1")), ("born", Value.OfDatetime(0)), ("score", Value.OfDecimal(15_000)), ("patience", Value.OfDuration(1000)), ("seen", Set(Ip("1.2.3.4")))),
            User("""{"home":"::1","born":"1970-01-01","score":"1.5","patience":"1s","seen":["1.2.3.4",{"fn":"ip","arg":"1.2.3.4"}]}"""));

    [Theory]
    [InlineData("""{"fn":"ip","arg":"::1"}""")]
    [InlineData("""{"arg":"::1","fn":"ip"}""")]
    [InlineData("""{"__extn":{"fn":"ip","arg":"::1"}}""")]
    [InlineData("""{"__extn":{"args":["::1"],"fn":"ip"}}""")]
    public void Schema_ExtensionCall_MayDoWithoutItsEscape(string value) => Assert.Equal(Ip("::1"), User($$"""{"home":{{value}}}""")["home"]);

    [Theory]
    [InlineData("""{"fn":"offset","args":["1970-01-01","1s"]}""")]
    [InlineData("""{"args":["1970-01-01","1s"],"fn":"offset"}""")]
    [InlineData("""{"__extn":{"fn":"offset","args":["1970-01-01",{"fn":"duration","arg":"1s"}]}}""")]
    public void Schema_ArgumentsOfAnExtensionCall_MayBeText(string value) => Assert.Equal(Value.OfDatetime(1000), User($$"""{"born":{{value}}}""")["born"]);

    [Theory]
    [InlineData("""{"type":"User","id":"b"}""")]
    [InlineData("""{"__entity":{"type":"User","id":"b"}}""")]
    public void Schema_Entity_MayDoWithoutItsEscape(string value) => Assert.Equal(Value.Of(Samples.User("b")), User($$"""{"boss":{{value}}}""")["boss"]);

    [Theory]
    [InlineData("""{"home":"1.2.3"}""", "bad_argument $[0].attrs.home")]
    [InlineData("""{"home":1}""", "wrong_type $[0].attrs.home")]
    [InlineData("""{"home":{"fn":"decimal","arg":"1.5"}}""", "wrong_type $[0].attrs.home")]
    [InlineData("""{"home":{"x":1}}""", "unknown_member $[0].attrs.home.x")]
    [InlineData("""{"boss":"User::\"b\""}""", "wrong_type $[0].attrs.boss")]
    [InlineData("""{"boss":{"type":"Group","id":"b"}}""", "wrong_type $[0].attrs.boss")]
    [InlineData("""{"boss":{"type":"User"}}""", "missing_member $[0].attrs.boss")]
    [InlineData("""{"mood":{"type":"Mood","id":"worse"}}""", "unknown_entity $[0].attrs.mood")]
    [InlineData("""{"seen":"1.2.3.4"}""", "wrong_type $[0].attrs.seen")]
    [InlineData("""{"seen":[1]}""", "wrong_type $[0].attrs.seen")]
    [InlineData("""{"address":{}}""", "missing_attribute $[0].attrs.address")]
    [InlineData("""{"address":{"zip":"1"}}""", "wrong_type $[0].attrs.address.zip")]
    [InlineData("""{"address":{"zip":1,"town":"x"}}""", "unexpected_attribute $[0].attrs.address.town")]
    [InlineData("""{"address":[]}""", "wrong_type $[0].attrs.address")]
    [InlineData("""{"hat":1}""", "unexpected_attribute $[0].attrs.hat")]
    public void Schema_ValueOfAnotherType_IsRefused(string attrs, string error) => Assert.Equal([error], Refusals(attrs));

    [Fact]
    public void Schema_ContextOfAnAction_IsReadByIt()
    {
        EntityUid view = Uid("Action", "view");
        Assert.Equal(Ip("10.0.0.1"), ContextJson.Parse("{\"from\":\"10.0.0.1\"}"u8, Schema, view).Value["from"]);
        Assert.Equal(["missing_attribute $"], Errors(ContextJson.Parse("{}"u8, Schema, view)));
        Assert.Equal(["wrong_type $[\"on behalf of\"]"], Errors(ContextJson.Parse("{\"from\":\"::1\",\"on behalf of\":{\"type\":\"Org\",\"id\":\"\"}}"u8, Schema, view)));
        Assert.Equal(["unexpected_attribute $.from"], Errors(ContextJson.Parse("{\"from\":\"10.0.0.1\"}"u8, Schema, Uid("Action", "any"))));
        Assert.Equal(["unknown_action "], Errors(ContextJson.Parse("{}"u8, Schema, Uid("Action", "none"))));
    }

    [Fact]
    public void Schema_TextWhereTextIsExpected_StaysText() => Assert.Equal(Value.Of("1.2.3.4"), User("""{"address":{"zip":1,"street":"1.2.3.4"}}""")["address"].AsRecord!["street"]);
}
