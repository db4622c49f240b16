using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Mcp;

public class ToolServerModelTests
{
    [Fact]
    public void Tool_IsAnActionInItsGroups()
    {
        ActionDeclaration refund = Tools.Model.Schema!.Actions[new EntityUid("Mcp::Action", "refund")];
        Assert.Equal(["class:payments", "sensitivity:write", "tools:all"], refund.Parents.Select(p => p.Id).Order(StringComparer.Ordinal));
        Assert.Equal(["Mcp::Agent", "Mcp::Client", "Mcp::User"], refund.Principals.Order(StringComparer.Ordinal));
        Assert.Equal(["Mcp::Server"], refund.Resources);
        Assert.Equal("{amount: Long, note?: String, order?: String, rate?: decimal, tags?: Set<String>, to?: {country?: String, iban: String}, urgent?: Bool}", Tools.Show(refund.Context.Attributes["input"].Type));
        Assert.True(refund.Context.Attributes["session"].Required);
        Assert.Equal(new EntityUid("Mcp::Action", "refund"), Tools.Model.ActionOf("refund"));
        Assert.Null(Tools.Model.ActionOf("Refund"));
    }

    /// <summary>Also with names that Cedar has no words for.</summary>
    [Fact]
    public void Schema_WrittenAndReadAgain_IsTheSame()
    {
        ToolServerModel model = ToolServerModel.Create([Tools.Tool("a/b.c-d", """{"type":"object","properties":{"a b":{"type":"string"},"if":{"type":"integer"},"\u00e9\"\n":{"type":"boolean"},"__entity":{"type":"string"}}}""")]).Value;
        CedarSchema again = CedarSchema.Parse(model.Schema!.ToCedar()).Value;
        var action = new EntityUid("Mcp::Action", "a/b.c-d");
        Assert.Equal(Tools.Show(model.Schema.Actions[action].Context), Tools.Show(again.Actions[action].Context));
        Assert.Equal(model.Schema.ToCedar(), again.ToCedar());
    }

    [Fact]
    public void GroupsAndItems_AreThereForEverySensitivityAndForClassesInUse()
    {
        string[] groups = [.. Tools.Model.Schema!.Actions.Keys.Select(a => a.Id).Where(id => id.Contains(':', StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        Assert.Equal(["approval:give", "class:payments", "prompt:get", "resource:read", "sensitivity:destructive", "sensitivity:read", "sensitivity:write", "tools:all"], groups);
    }

    [Fact]
    public void Session_HasWhatATokenSays() => Assert.Equal(
        "{acr?: String, address?: IpAddress, agent?: Mcp::Agent, approval?: {at?: Datetime, by: Mcp::User, id: String}, attestation?: {assurance: String, workload?: String}, authenticated?: Datetime, " +
        "chain: Set<Mcp::Agent>, client?: String, emergency?: {id: String, reason: String, until?: Datetime}, instance?: String, scopes: Set<String>, " +
        "task?: {deadline?: Datetime, id: String, parent?: String}, time: Datetime, user?: Mcp::User}",
        Tools.Show(Tools.Model.Schema!.Actions[new EntityUid("Mcp::Action", "refund")].Context.Attributes["session"].Type));

    [Fact]
    public void Sensitivity_NobodySaid_IsDestructive() =>
        Assert.Contains(new EntityUid("Mcp::Action", "sensitivity:destructive"), ToolServerModel.Create([new McpTool("x", "{}"u8.ToArray())]).Value.Schema!.Actions[new EntityUid("Mcp::Action", "x")].Parents);

    [Fact]
    public void Entities_AreTheActionsInTheirGroups() =>
        Assert.True(Tools.Model.Entities.Find(new EntityUid("Mcp::Action", "refund"))!.IsIn(new EntityUid("Mcp::Action", "class:payments")));

    [Fact]
    public void Items_AreReadAndNoTools()
    {
        Assert.Equal(["read_order", "refund"], Tools.Model.Tools.Order(StringComparer.Ordinal));
        foreach (string item in new[] { ToolServerModel.ReadResource, ToolServerModel.GetPrompt })
        {
            Assert.Equal(["sensitivity:read"], Tools.Model.Schema!.Actions[Tools.Model.ActionOf(item)!].Parents.Select(p => p.Id));
            Assert.False(ToolServerModel.Create([Tools.Tool(item, "{}")]).Ok);
        }
        ToolCallAuthorizer authorizer = Tools.Authorizer("""permit(principal, action == Mcp::Action::"resource:read", resource) when { context.input.uri like "file:///*" };""");
        Assert.Equal("Allow by policy0", authorizer.Call("""{"uri":"file:///a"}""", ToolServerModel.ReadResource).Outcome());
        Assert.Equal("Deny: NothingPermits", authorizer.Call("""{"uri":"https://a"}""", ToolServerModel.ReadResource).Outcome());
        Assert.Equal("Deny: NothingPermits", authorizer.Call("""{"name":"p"}""", ToolServerModel.GetPrompt).Outcome());
    }

    [Fact]
    public void Notes_NameTheTool()
    {
        ToolServerModel model = ToolServerModel.Create([Tools.Tool("find", """{"type":"object","properties":{"q":{}}}""")]).Value;
        Assert.Equal("find: $.properties.q", Assert.Single(model.Notes).Path);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a:b")]
    [InlineData("é")]
    [InlineData("a\n")]
    public void ToolName_OutsideTheGrammar_IsRefused(string name)
    {
        Assert.Equal("tool_name", Assert.Single(ToolServerModel.Create([new McpTool(name, default)]).Diagnostics).Code);
        Assert.Equal("tool_class", Assert.Single(ToolServerModel.Create([new McpTool("x", default, Class: name)]).Diagnostics).Code);
    }

    [Fact]
    public void ToolName_OfAllItMayHold_IsTaken()
    {
        string longest = new('a', 128);
        Assert.True(ToolServerModel.Create([new McpTool("A-z_0./9", default), new McpTool(longest, default)]).Ok);
        Assert.False(ToolServerModel.Create([new McpTool(longest + "a", default)]).Ok);
    }

    [Fact]
    public void Tool_ThatStandsTwice_IsRefused() =>
        Assert.Equal("duplicate_tool", Assert.Single(ToolServerModel.Create([new McpTool("x", default), new McpTool("x", default)]).Diagnostics).Code);
}
