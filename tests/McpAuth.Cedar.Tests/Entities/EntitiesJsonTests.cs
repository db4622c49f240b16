using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Values;
using static McpAuth.Cedar.Tests.Data.Samples;

namespace McpAuth.Cedar.Tests.Entities;

public class EntitiesJsonTests
{
    private static string[] Refusals(string json, bool schema = false) => Errors(EntityStore.ParseJson(Utf8(json), schema ? Schema : null));

    [Fact]
    public void Entities_AllMembers_AreRead()
    {
        EntityStore store = Store("""
            [{"parents":[{"type":"Group","id":"g"},{"__entity":{"type":"Group","id":"h"}}],"tags":{"t":[1]},"attrs":{"a":{"b":true}},"uid":{"__entity":{"type":"User","id":"u"}}},
             {"uid":{"type":"Group","id":"g"},"attrs":{},"parents":[{"type":"Org","id":"o"}]}]
            """);
        Entity user = store.Find(User("u"))!;
        Assert.Equal(Record(("a", Value.Of(Record(("b", Value.True))))), user.Attributes);
        Assert.Equal(Record(("t", Set(Value.Of(1)))), user.Tags);
        Assert.Equal([Group("g"), Group("h")], user.Parents);
        Assert.True(user.IsIn(Uid("Org", "o")));
        Assert.Same(store.Find(Group("g"))!.Uid, store.Find(Group("g"))!.Uid);
        Assert.Contains(user.Parents, p => ReferenceEquals(p, store.Find(Group("g"))!.Uid));
    }

    [Theory]
    [InlineData("""{}""", "wrong_json_type $")]
    [InlineData("""[1,{}]""", "wrong_json_type $[0]", "missing_member $[1]", "missing_member $[1]", "missing_member $[1]")]
    [InlineData("""[{"uid":{"type":"A","id":"a"},"attrs":{}}]""", "missing_member $[0]")]
    [InlineData("""[{"uid":{"type":"A","id":"a"},"attrs":[],"parents":{}}]""", "wrong_json_type $[0].attrs", "wrong_json_type $[0].parents")]
    [InlineData("""[{"uid":"A::\"a\"","attrs":{},"parents":[]}]""", "wrong_json_type $[0].uid")]
    [InlineData("""[{"uid":{"type":"A","id":"a"},"attrs":{},"parents":["A"]}]""", "wrong_json_type $[0].parents[0]")]
    [InlineData("""[{"attrs":{"x":null},"attrs":{},"uid":{"type":"A","id":"a"},"parents":[]}]""", "duplicate_member $[0].attrs", "null_value $[0].attrs.x")]
    [InlineData("""[{"uid":{"type":"A","id":"a"},"attrs":{},"parents":[],"tags":1}]""", "wrong_json_type $[0].tags")]
    [InlineData("""[{"uid":{"type":"A","id":"a"},"attrs":{},"parents":[],"tags":{"a":1,"a":1}}]""", "duplicate_member $[0].tags.a")]
    [InlineData("""[{"uid":{"type":"Action","id":"a"},"attrs":{},"parents":[{"type":"A","id":"a"}]}]""", "wrong_parent_type $[0].parents[0]")]
    public void Entities_ThatAreNotRight_AreRefused(string json, params string[] errors) => Assert.Equal(errors, Refusals(json));

    [Fact]
    public void Entities_MemberThatIsNotPartOfTheFormat_IsAWarning() =>
        Assert.Equal("unknown_member $[0].attr", string.Join(',', EntityStore.ParseJson(Utf8($"[{Entity("A", "a", more: ",\"attr\":{\"x\":null}")}]")).Diagnostics.Select(d => $"{d.Code} {d.Path}")));

    [Fact]
    public void Entities_DescribedTwice_AreRefusedUnlessBothSayTheSame()
    {
        Assert.Equal(1, Store($"[{Entity("A", "a")},{Entity("A", "a")}]").Count);
        Assert.Equal(["duplicate_entity $[1]"], Refusals($"[{Entity("A", "a")},{Entity("A", "a", """{"x":1}""")}]"));
    }

    [Fact]
    public void Entities_InOneAnother_AreRefused() =>
        Assert.Equal(["cycle "], Refusals($"[{Entity("A", "a", parents: """[{"type":"A","id":"b"}]""")},{Entity("A", "b", parents: """[{"type":"A","id":"a"}]""")}]"));

    [Fact]
    public void Schema_Actions_AreAmongTheEntities()
    {
        EntityStore store = Store("[]", Schema);
        Assert.Equal(2, store.Count);
        Assert.True(store.Find(Uid("Action", "view"))!.IsIn(Uid("Action", "any")));
        Assert.Equal(2, Store($"[{Entity("Action", "view", parents: """[{"type":"Action","id":"any"}]""")}]", Schema).Count);
    }

    [Theory]
    [InlineData("Action", "view", "{}", "[]", "action_differs $[0]")]
    [InlineData("Action", "any", """{"x":1}""", "[]", "action_differs $[0]")]
    [InlineData("Action", "edit", "{}", "[]", "unknown_action $[0]")]
    [InlineData("Usr", "a", """{"x":null}""", "[]", "unknown_entity_type $[0].uid")]
    [InlineData("Mood", "odd", "{}", "[]", "unknown_entity $[0].uid")]
    [InlineData("User", "a", "{}", """[{"type":"User","id":"b"}]""", "wrong_parent_type $[0].parents[0]")]
    public void Schema_EntityThatItDoesNotKnow_IsRefused(string type, string id, string attrs, string parents, string error) =>
        Assert.Equal([error], Refusals($"[{Entity(type, id, attrs, parents)}]", schema: true));

    [Fact]
    public void Schema_ParentOfAParentsType_MayBeADirectParent() => Assert.True(Store($"[{Entity("User", "a", parents: """[{"type":"Org","id":"o"}]""")}]", Schema).Find(User("a"))!.IsIn(Uid("Org", "o")));

    [Fact]
    public void Schema_Tags_AreOfTheirType()
    {
        Assert.Equal(Value.OfDuration(3_600_000), Store($"[{Entity("User", "a", more: """,tags":{"t":"1h"}""".Replace(",tags", ",\"tags", StringComparison.Ordinal))}]", Schema).Find(User("a"))!.Tags["t"]);
        Assert.Equal(["wrong_type $[0].tags.t"], Refusals($"[{Entity("User", "a", more: ",\"tags\":{\"t\":1}")}]", schema: true));
        Assert.Equal(["unexpected_tags $[0].tags"], Refusals($"[{Entity("Org", "a", more: ",\"tags\":{\"t\":1}")}]", schema: true));
    }

    [Fact]
    public void Schema_UidAfterTheAttributes_StillSaysWhatTheyAre() =>
        Assert.Equal(Ip("::1"), Store("""[{"attrs":{"home":"::1"},"parents":[],"uid":{"type":"User","id":"a"}}]""", Schema).Find(User("a"))!.Attributes["home"]);
}
