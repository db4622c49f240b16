using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Mcp;
using static McpAuth.Cedar.Tests.Mcp.Tools;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>Before there is a call: whether any could be allowed.</summary>
public class ForesightTests
{
    private const string All = "permit(principal, action, resource);";

    [Theory]
    [InlineData(true, All)]
    [InlineData(false, "")]
    [InlineData(false, """permit(principal, action == Mcp::Action::"read_order", resource);""")]
    // The arguments are not known: a permit may hold, a forbid need not.
    [InlineData(true, "permit(principal, action, resource) when { context.input has amount && context.input.amount < 5 };")]
    [InlineData(true, All + "forbid(principal, action, resource) when { context.input.amount > 100 };")]
    [InlineData(true, All + "forbid(principal, action, resource) unless { context.input has note };")]
    // The session is known.
    [InlineData(false, "permit(principal, action, resource) when { context.session has agent };")]
    [InlineData(false, All + """forbid(principal, action, resource) when { context.session.scopes.contains("tool:refund") };""")]
    [InlineData(false, """permit(principal, action, resource) when { context.session has agent && context.input.amount < 5 };""")]
    [InlineData(true, All + """forbid(principal, action, resource) when { context.input.amount > 5 && context.session.scopes.contains("tool:refund") };""")]
    // What fails on what is known fails at every call.
    [InlineData(false, "permit(principal, action, resource) when { context.session.task.id == \"t\" };")]
    [InlineData(false, All + "forbid(principal, action, resource) when { context.session.task.id == \"t\" };")]
    // An approval is still to come.
    [InlineData(true, "permit(principal, action, resource) when { context.session has approval && context.session.approval.by != principal };")]
    [InlineData(true, All + "forbid(principal, action, resource) unless { context.session has approval };")]
    // What decides whatever comes, decides now.
    [InlineData(false, "permit(principal, action, resource) when { context.input.amount < 5 && context.session has agent };")]
    [InlineData(false, "permit(principal, action, resource) when { context.input.amount < 5 } unless { context.session.scopes.contains(\"tool:refund\") };")]
    [InlineData(false, All + "forbid(principal, action, resource) when { context.input.amount < 5 || context.session.scopes.contains(\"tool:refund\") };")]
    [InlineData(true, "permit(principal, action, resource) when { context.input.amount < 5 || context.session has agent };")]
    // What is read as a whole says nothing.
    [InlineData(true, "permit(principal, action, resource) when { context == context };")]
    [InlineData(true, "permit(principal, action, resource) when { [context.session].contains(context.session) };")]
    public void Call_IsForeseen(bool may, string policies) =>
        Assert.Equal(may, Authorizer(policies).MayAllow(new ToolCall { Principal = Ann, Tool = Refund, Resource = Server, Session = Session }, EntityStore.Empty));

    [Theory]
    [InlineData(true, "permit(principal, action, resource) when { context.session has approval };", 5)]
    [InlineData(true, "permit(principal, action, resource) when { context.input.amount <= 5 || context.session has approval };", 6)]
    [InlineData(true, All + "forbid(principal, action, resource) when { context.input.amount > 5 } unless { context.session has approval && context.session.approval.by != principal };", 6)]
    [InlineData(false, "permit(principal, action, resource) when { context.input.amount <= 5 };", 6)]
    [InlineData(false, "permit(principal, action, resource) when { context.input.amount <= 5 && context.session has approval };", 6)]
    [InlineData(false, "permit(principal, action, resource) when { context.session has approval && context.input.amount <= 5 };", 6)]
    [InlineData(false, "permit(principal, action, resource) when { context.session has approval } when { context.input.amount <= 5 };", 6)]
    [InlineData(false, All + "forbid(principal, action, resource) when { (context.session has approval) == true || context.input.amount > 5 };", 6)]
    [InlineData(true, "permit(principal, action, resource) when { context.session has approval && context.input.amount <= 6 };", 6)]
    [InlineData(false, All + "forbid(principal, action, resource) when { context.input.amount > 5 };", 6)]
    [InlineData(false, "permit(principal, action, resource) when { context.session.task.id == \"t\" };", 6)]
    public void Approval_ThatCouldHelp_IsForeseen(bool could, string policies, int amount)
    {
        byte[] arguments = System.Text.Encoding.UTF8.GetBytes($$"""{"amount":{{amount}}}""");
        ToolCallAuthorizer authorizer = Authorizer(policies);
        Assert.Equal(could, authorizer.MayAllowApproved(new ToolCall { Principal = Ann, Tool = Refund, Resource = Server, Session = Session, Arguments = arguments }, EntityStore.Empty));
        Assert.StartsWith("Deny", authorizer.Call(arguments).Outcome(), StringComparison.Ordinal);
    }

    [Fact]
    public void Arguments_ThatCannotBeRead_NoApprovalHelps() =>
        Assert.False(Authorizer("permit(principal, action, resource) when { context.session has approval && context.input.amount > 0 };")
            .MayAllowApproved(new ToolCall { Principal = Ann, Tool = Refund, Resource = Server, Session = Session, Arguments = """{"amount":0.5}"""u8 }, EntityStore.Empty));

    [Fact]
    public void Tool_ThatIsUnknown_IsNeverAllowed() =>
        Assert.False(Authorizer(All).MayAllow(new ToolCall { Principal = Ann, Tool = "transfer", Resource = Server, Session = Session }, EntityStore.Empty));

    [Fact]
    public void Principal_OfNoTypeThatCalls_IsNeverAllowed() =>
        Assert.False(Authorizer(All).MayAllow(new ToolCall { Principal = Server, Tool = Refund, Resource = Server, Session = Session }, EntityStore.Empty));

    [Fact]
    public void Decision_AfterForesight_BeginsAnew()
    {
        ToolCallAuthorizer authorizer = Authorizer("permit(principal, action, resource) when { context.input.amount < 5 };");
        Assert.True(authorizer.MayAllow(new ToolCall { Principal = Ann, Tool = Refund, Resource = Server, Session = Session }, EntityStore.Empty));
        Assert.Equal("Allow by policy0", authorizer.Call("""{"amount":4}""").Outcome());
        Assert.Equal("Deny: NothingPermits", authorizer.Call("""{"amount":5}""").Outcome());
    }
}
