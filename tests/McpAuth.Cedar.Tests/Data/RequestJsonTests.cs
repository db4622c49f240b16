using static McpAuth.Cedar.Tests.Data.Samples;

namespace McpAuth.Cedar.Tests.Data;

public class RequestJsonTests
{
    private const string View =
        """{"context":{"from":"1.2.3.4"},"principal":{"type":"User","id":"a"},"action":{"__entity":{"type":"Action","id":"view"}},"resource":{"type":"Mood","id":"bad"}}""";

    [Fact]
    public void Request_MembersInAnyOrder_AreRead()
    {
        Request request = Request.ParseJson(Utf8(View), Schema).Value;
        Assert.Equal(new Request(User("a"), Uid("Action", "view"), Uid("Mood", "bad"), Record(("from", Ip("1.2.3.4")))), request);
        Assert.Equal(request, Request.ParseJson(Utf8(request.ToJson())).Value);
    }

    [Fact]
    public void Request_WithoutContext_HasAnEmptyOne() =>
        Assert.Empty(Request.ParseJson("""{"principal":{"type":"A","id":""},"action":{"type":"Action","id":""},"resource":{"type":"A","id":""}}"""u8).Value.Context);

    [Theory]
    [InlineData("""{}""", "missing_member $", "missing_member $", "missing_member $")]
    [InlineData("""{"principal":"a","action":{"type":"Action","id":"view"},"resource":{"type":"User","id":"a"}}""", "wrong_json_type $.principal")]
    [InlineData("""{"principal":{"type":"User","id":"a"},"principal":1,"action":{"type":"Action","id":"view"},"resource":{"type":"User","id":"a"}}""", "duplicate_member $.principal")]
    [InlineData("""[]""", "wrong_json_type $")]
    public void Request_ThatIsNone_IsRefused(string json, params string[] errors) => Assert.Equal(errors, Errors(Request.ParseJson(Utf8(json))));

    [Fact]
    public void Request_MemberThatIsNotPartOfTheFormat_IsAWarning() =>
        Assert.Equal("unknown_member", Assert.Single(Request.ParseJson(Utf8(View.Replace("{\"context\":", "{\"note\":[1],\"context\":", StringComparison.Ordinal)), Schema).Diagnostics).Code);

    [Theory]
    [InlineData("User", "view", "User", "{}", "missing_attribute $.context")]
    [InlineData("Group", "view", "User", "from", "wrong_principal_type $.principal")]
    [InlineData("User", "view", "Org", "from", "wrong_resource_type $.resource")]
    [InlineData("Nobody", "view", "User", "from", "unknown_entity_type $.principal")]
    [InlineData("User", "none", "User", "from", "unknown_action $.action")]
    [InlineData("User", "view", "Mood", "from", "unknown_entity $.resource")]
    public void Request_ThatTheSchemaDoesNotKnow_IsNamed(string principal, string action, string resource, string context, string error)
    {
        var request = new Request(Uid(principal, "a"), Uid("Action", action), Uid(resource, "a"), context == "from" ? Record(("from", Ip("::1"))) : Record());
        Assert.Equal([error], Errors(Request.ParseJson(Utf8(request.ToJson()), Schema)));
    }

    [Fact]
    public void Request_ThatTheSchemaKnows_IsGood() =>
        Assert.True(Request.ParseJson(Utf8(new Request(User("a"), Uid("Action", "view"), Uid("Mood", "good"), Record(("from", Ip("::1")))).ToJson()), Schema).Ok);
}
