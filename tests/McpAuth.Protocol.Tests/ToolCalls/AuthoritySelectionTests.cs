using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>What a person leaves of an authority, and what two scopes reach together.</summary>
[Trait("Spec", "wire:mcp_tool_call")]
public sealed class AuthoritySelectionTests
{
    private const string Other = "https://other.example/mcp";

    private const string All = $$$$"""
        [{"type":"mcp_tool_call","locations":["{{{{Json.Location}}}}"],"actions":["prompts/get","resources/read","tools/call"],
          "tools":{"delete":{"args":{"path":{"constraint_type":"path_under","value":"reports"}},"max_calls":3,"approval":"required"},"read":{}},
          "resources":[{"constraint_type":"prefix","value":"file:///"}],"prompts":["greet","sum"]},
         {"type":"mcp_tool_call","locations":["{{{{Other}}}}"],"actions":["tools/call"],"tools":{"read":{}}}]
        """;

    [Fact]
    public void Keeping_Everything_ChangesNothing()
    {
        var all = Json.Authority(All).Value;

        Assert.Equal(all.ToJson(), all.Keeping((_, _) => true, _ => true, (_, _) => true).ToJson());
    }

    [Fact]
    public void Keeping_OneOfEachKind_LeavesExactlyThatWithItsLimits()
    {
        var left = Json.Authority(All).Value.Keeping((at, tool) => at == Json.Location && tool == "delete", at => at == Other, (at, prompt) => at == Json.Location && prompt == "sum");

        var only = Assert.Single(left.Locations);
        Assert.Equal((Json.Location, "delete", "sum", 0), (only.Location, Assert.Single(only.Tools).Key, Assert.Single(only.Prompts), only.Resources.Count));
        Assert.Equal((3L, true), (only.Tools["delete"].MaxCalls, only.Tools["delete"].ApprovalRequired));
        Assert.NotNull(only.Tools["delete"].Denies(Json.Of("""{"path":"private/x"}""")));
    }

    [Fact]
    public void Keeping_TheSameToolAtOneOfTwoLocations_TellsThemApart()
    {
        var left = Json.Authority(All).Value.Keeping((at, _) => at == Other, _ => false, (_, _) => false);

        Assert.Equal(Other, Assert.Single(left.Locations).Location);
    }

    [Fact]
    public void Keeping_Nothing_IsEmpty() => Assert.True(Json.Authority(All).Value.Keeping((_, _) => false, _ => false, (_, _) => false).IsEmpty);

    [Fact]
    public void Keeping_AnySelection_NeverExceedsWhatItCameFrom()
    {
        var all = Json.Authority(All).Value;
        for (var choice = 0; choice < 64; choice++)
        {
            var bits = choice;
            bool Next() => (bits = bits >> 1 | (bits & 1) << 5) % 2 == 1;
            Assert.Null(all.Keeping((_, _) => Next(), _ => Next(), (_, _) => Next()).Exceeds(all));
        }
    }

    [Fact]
    public void UnionOfTools_HoldsBothAndNothingElse()
    {
        Authority one = Authority.ForTools(Json.Location, ["read", "list"]), two = Authority.ForTools(Json.Location, ["delete", "read"]), elsewhere = Authority.ForTools(Other, ["read"]);

        var union = one.UnionOfTools(two).UnionOfTools(elsewhere);

        Assert.All(new[] { one, two, elsewhere }, part => Assert.Null(part.Exceeds(union)));
        Assert.Equal(["delete", "list", "read"], union.At(Json.Location)!.Tools.Keys);
        Assert.Equal(["read"], union.At(Other)!.Tools.Keys);
        Assert.Equal(union.ToJson(), union.UnionOfTools(one).ToJson());
        Assert.Equal(one.ToJson(), Authority.None.UnionOfTools(one).ToJson());
    }

    [Theory]
    [InlineData("""{"constraint_type":"exact","value":"o-9"}""")]
    [InlineData("""{"constraint_type":"range","min":0,"max":500,"max_inclusive":false}""")]
    [InlineData("""{"constraint_type":"any","of":[{"constraint_type":"prefix","value":"a"},{"constraint_type":"wildcard"}]}""")]
    public void Constraint_AsJson_IsAsItWasRead(string constraint) => Assert.Equal(constraint, Json.Constraint(constraint).ToJson().GetRawText());
}
