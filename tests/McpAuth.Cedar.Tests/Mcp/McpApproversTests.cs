using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>Who may approve: what names approving, and nothing else.</summary>
public sealed class McpApproversTests
{
    private static readonly ToolServerModel Model = ToolServerModel.Create([new McpTool("refund", "{}"u8.ToArray(), ToolSensitivity.Write)]).Value;

    private static readonly McpCaller Asking = new()
    {
        Kind = McpSubject.User, Subject = "usr_ann", Agent = new("agt_1", "usr_owner"), Task = new("tsk_1"),
    };

    [Theory]
    [InlineData(null)]
    [InlineData("permit(principal, action, resource);")]
    [InlineData("forbid(principal, action, resource) unless { context.session has approval };")]
    [InlineData("""@id("own-user") forbid(principal == Mcp::User::"usr_bob", action == Mcp::Action::"approval:give", resource);""")]
    public void WithoutAPermitThatNamesIt_TheOwnUserMayAndNobodyElse(string? policies)
    {
        Assert.True(May("usr_ann", policies));
        Assert.False(May("usr_bob", policies));
        Assert.False(May("usr_owner", policies));
    }

    [Fact]
    public void OnNobodysAuthority_NobodyMay()
    {
        var approvers = new McpApprovers(null, Model);
        Assert.False(approvers.May(Asking with { Kind = McpSubject.Agent, Subject = "agt_1" }, "usr_ann", [], "https://shop.test/mcp", "refund", ToolSensitivity.Write, DateTimeOffset.UnixEpoch));
    }

    [Fact]
    public void Policies_ThatNameApproving_DecideWhoMay()
    {
        const string Policies = """
            permit(principal, action, resource);
            permit(principal in Mcp::Group::"finance", action == Mcp::Action::"approval:give", resource) when {
              context.input.tool == "refund" && context.input.sensitivity == "write" && context.session has user && context.session.user != principal && context.session.task.id == "tsk_1" };
            permit(principal, action in [Mcp::Action::"refund", Mcp::Action::"approval:give"], resource) when { context.session has agent && context.session.agent has owner && context.session.agent.owner == principal };
            forbid(principal == Mcp::User::"usr_eve", action == Mcp::Action::"approval:give", resource);
            """;
        Assert.True(May("usr_bob", Policies, "finance"));
        Assert.False(May("usr_bob", Policies));
        Assert.False(May("usr_ann", Policies, "finance"));
        Assert.False(May("usr_eve", Policies, "finance"));
        Assert.True(May("usr_owner", Policies));
    }

    [Fact]
    public void Policies_AboutApproving_AreValidated()
    {
        Assert.Empty(Validator.Validate(PolicySet.Parse("""permit(principal, action == Mcp::Action::"approval:give", resource) when { context.input.tool == "refund" };""").Value, Model.Schema!));
        Assert.NotEmpty(Validator.Validate(PolicySet.Parse("""permit(principal, action == Mcp::Action::"approval:give", resource) when { context.input.amount == 1 };""").Value, Model.Schema!));
        Assert.NotEmpty(Validator.Validate(PolicySet.Parse("""permit(principal is Mcp::Agent, action == Mcp::Action::"approval:give", resource);""").Value, Model.Schema!));
    }

    private static bool May(string user, string? policies, params string[] groups) =>
        new McpApprovers(policies is null ? null : PolicySet.Parse(policies, PolicyIds.FromAnnotation).Value, Model)
            .May(Asking, user, groups, "https://shop.test/mcp", "refund", ToolSensitivity.Write, DateTimeOffset.UnixEpoch);
}
