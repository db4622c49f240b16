using System.Text;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Mcp.AgentCore;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;
using McpAuth.Cedar.Values;
using static McpAuth.Cedar.Tests.Mcp.Tools;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>A clinic's gateway with two targets, guarded by policies in the dialect of AgentCore Policy.</summary>
public class AgentCoreProfileTests
{
    private const string Gateway = "arn:aws:bedrock-agentcore:eu-central-1:000000000000:gateway/clinic-1";

    private const string Policies = $$"""
        // Staff of the front desk move appointments, not far ahead.
        permit(principal is AgentCore::OAuthUser, action == AgentCore::Action::"Calendar___move", resource == AgentCore::Gateway::"{{Gateway}}")
        when { principal.hasTag("department") && principal.getTag("department") == "frontdesk" && context.input.days <= 14 };

        // Whoever may bill, bills; large bills only with a reason.
        permit(principal is AgentCore::OAuthUser, action == AgentCore::Action::"Billing___charge", resource == AgentCore::Gateway::"{{Gateway}}")
        when { principal.hasTag("scope") && principal.getTag("scope") like "*billing:write*" }
        when { context.input.total.lessThan(decimal("250.00")) || (context.input has reason && context.input.reason != "") };

        // Everything of a target for one person.
        permit(principal == AgentCore::OAuthUser::"dr-bo", action in AgentCore::Action::"Calendar", resource == AgentCore::Gateway::"{{Gateway}}");

        // Nobody bills a patient who asked not to be, and nothing is done for a blocked account.
        forbid(principal, action == AgentCore::Action::"Billing___charge", resource == AgentCore::Gateway::"{{Gateway}}")
        when { context.input has flags && context.input.flags.contains("do-not-bill") };
        forbid(principal is AgentCore::OAuthUser, action, resource is AgentCore::Gateway)
        when { principal.hasTag("status") && principal.getTag("status") == "blocked" };
        """;

    private static readonly ToolServerModel Clinic = AgentCoreProfile.Model(
    [
        Tool("Calendar___move", """{"type":"object","properties":{"appointment":{"type":"string"},"days":{"type":"integer"}},"required":["appointment","days"]}"""),
        Tool("Calendar___list", """{"type":"object","properties":{}}"""),
        Tool("Billing___charge", """{"type":"object","properties":{"total":{"type":"number"},"reason":{"type":"string"},"flags":{"type":"array","items":{"type":"string"}}},"required":["total"]}"""),
        Tool("search_all", """{"type":"object","properties":{"query":{"type":"string"}}}"""),
    ]).Value;

    [Theory]
    [InlineData("""{"sub":"u1","department":"frontdesk"}""", "Calendar___move", """{"appointment":"a","days":14}""", "Allow by policy0")]
    [InlineData("""{"sub":"u1","department":"frontdesk"}""", "Calendar___move", """{"appointment":"a","days":15}""", "Deny: NothingPermits")]
    [InlineData("""{"sub":"u1","department":"kitchen"}""", "Calendar___move", """{"appointment":"a","days":1}""", "Deny: NothingPermits")]
    [InlineData("""{"sub":"u1"}""", "Calendar___move", """{"appointment":"a","days":1}""", "Deny: NothingPermits")]
    [InlineData("""{"sub":"u1","department":"frontdesk"}""", "Calendar___move", """{"appointment":"a","days":1.5}""", "Deny: RequestInvalid: `days` is not a whole number of 64 bits")]
    [InlineData("""{"sub":"u1","department":"frontdesk"}""", "Calendar___move", """{"days":"1"}""", "Deny: RequestInvalid: `days` is not a whole number of 64 bits")]
    [InlineData("""{"sub":"u1","department":"frontdesk"}""", "Calendar___move", """{"appointment":"a"}""", "Deny: RequestInvalid: `days` is missing")]
    [InlineData("""{"sub":"dr-bo"}""", "Calendar___list", "{}", "Allow by policy2")]
    [InlineData("""{"sub":"u1"}""", "Calendar___list", "{}", "Deny: NothingPermits")]
    [InlineData("""{"sub":"u2","scope":"openid billing:write"}""", "Billing___charge", """{"total":249.99}""", "Allow by policy1")]
    [InlineData("""{"sub":"u2","scope":"openid billing:write"}""", "Billing___charge", """{"total":250}""", "Deny: NothingPermits")]
    [InlineData("""{"sub":"u2","scope":"openid billing:write"}""", "Billing___charge", """{"total":250,"reason":"implant"}""", "Allow by policy1")]
    [InlineData("""{"sub":"u2","scope":"openid billing:write"}""", "Billing___charge", """{"total":249.99999}""", "Deny: RequestInvalid: `total` is not a number with at most four digits behind the point")]
    [InlineData("""{"sub":"u2","scope":"openid billing:write"}""", "Billing___charge", """{"total":5,"flags":["do-not-bill"]}""", "Deny: Forbidden by policy3")]
    [InlineData("""{"sub":"u2","scope":"openid billing:write"}""", "Billing___charge", """{"total":5,"flags":null}""", "Allow by policy1")]
    [InlineData("""{"sub":"u2","scope":"openid billing:write","status":"blocked"}""", "Billing___charge", """{"total":5}""", "Deny: Forbidden by policy4")]
    [InlineData("""{"sub":"u2","scope":["billing:write"]}""", "Billing___charge", """{"total":5}""", "Deny: NothingPermits")]
    [InlineData("""{"sub":"u2"}""", "Billing___refund", "{}", "Deny: RequestInvalid: the tool is not one of this tool server")]
    public void Policies_OfThatDialect_DecideAsTheyStand(string claims, string tool, string arguments, string outcome)
    {
        PolicySet policies = PolicySet.Parse(Policies).Value;
        Assert.DoesNotContain(Validator.Validate(policies, Clinic.Schema!), d => d.Severity == Severity.Error);
        EntityDescription principal = AgentCoreProfile.OAuthUser(Encoding.UTF8.GetBytes(claims)).Value;
        EntityStore entities = EntityStore.Of([principal], Clinic.Schema).Value;
        Assert.Equal(outcome, new ToolCallAuthorizer(policies, Clinic).Call(arguments, tool, principal.Uid, new("AgentCore::Gateway", Gateway), CedarRecord.Empty, entities).Outcome());
    }

    [Fact]
    public void Schema_IsThis() => Assert.Equal(
        """
        namespace AgentCore {
          entity OAuthUser {id: String} tags String;
          entity IamEntity {id: String};
          entity Gateway;
          action "Mcp";
          action "CallTool" in ["Mcp"];
          action "Calendar", "Billing" in ["CallTool"];
          action "Calendar___move" in ["Calendar"] appliesTo {
            principal: [OAuthUser],
            resource: [Gateway],
            context: {input: {appointment: String, days: Long}}
          };
          action "Calendar___list" in ["Calendar"] appliesTo {
            principal: [OAuthUser],
            resource: [Gateway],
            context: {input: {}}
          };
          action "Billing___charge" in ["Billing"] appliesTo {
            principal: [OAuthUser],
            resource: [Gateway],
            context: {input: {flags?: Set<String>, reason?: String, total: decimal}}
          };
          action "search_all" in ["CallTool"] appliesTo {
            principal: [OAuthUser],
            resource: [Gateway],
            context: {input: {query?: String}}
          };
        }
        """,
        Clinic.Schema!.ToCedar().TrimEnd());

    [Fact]
    public void Action_IsInItsTargetAndInTheGroupsOfAll()
    {
        Entity move = Clinic.Entities.Find(new("AgentCore::Action", "Calendar___move"))!;
        Assert.Equal(["Calendar", "CallTool", "Mcp"], move.Ancestors.Select(a => a.Id).Order(StringComparer.Ordinal));
        Assert.Equal(["CallTool", "Mcp"], Clinic.Entities.Find(new("AgentCore::Action", "search_all"))!.Ancestors.Select(a => a.Id).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Iam_HasAnIdAndNoTags()
    {
        ToolServerModel model = AgentCoreProfile.Model([Tool("Files___read", """{"type":"object","additionalProperties":false}""")], AgentCorePrincipal.IamEntity).Value;
        PolicySet policies = PolicySet.Parse($$"""permit(principal is AgentCore::IamEntity, action in AgentCore::Action::"Mcp", resource is AgentCore::Gateway) when { principal.id like "arn:aws:sts::1111*:assumed-role/Reader/*" };""").Value;
        Assert.DoesNotContain(Validator.Validate(policies, model.Schema!), d => d.Severity == Severity.Error);
        Assert.Contains(Validator.Validate(PolicySet.Parse("""permit(principal, action, resource) when { principal.getTag("a") == "b" };""").Value, model.Schema!), d => d.Severity == Severity.Error);
        foreach ((string arn, Decision decision) in new[] { ("arn:aws:sts::11112222:assumed-role/Reader/x", Decision.Allow), ("arn:aws:sts::11112222:assumed-role/Writer/x", Decision.Deny) })
        {
            EntityDescription principal = AgentCoreProfile.IamEntity(arn);
            var response = new ToolCallAuthorizer(policies, model).Call("{}", "Files___read", principal.Uid, new("AgentCore::Gateway", Gateway), CedarRecord.Empty, EntityStore.Of([principal], model.Schema).Value);
            Assert.Equal(decision, response.Decision);
        }
    }

    [Fact]
    public void GuardrailClause_IsNotCedar_AndIsRefused() =>
        Assert.False(PolicySet.Parse("permit (principal, action, resource) when guardrails { context.input.amount < 1 };").Ok);

    [Fact]
    public void Session_IsNone() => Assert.Equal(
        "Deny: RequestInvalid: session: the attribute 'a' is unknown",
        new ToolCallAuthorizer(PolicySet.Empty, Clinic).Call("{}", "search_all", new("AgentCore::OAuthUser", "u"), new("AgentCore::Gateway", Gateway), new([new("a", Value.True)])).Outcome());

    [Theory]
    [InlineData("CallTool___x", "name_collision")]
    [InlineData("Mcp___x", "name_collision")]
    [InlineData("Mcp", "name_collision")]
    [InlineData("Calendar", "name_collision")]
    [InlineData("a b", "tool_name")]
    [InlineData("Calendar___move", "duplicate_tool")]
    public void Name_ThatMeansTwoThings_IsRefused(string tool, string code) =>
        Assert.Equal(code, Assert.Single(AgentCoreProfile.Model([Tool("Calendar___move", "{}"), Tool(tool, "{}")]).Diagnostics).Code);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"sub":""}""")]
    [InlineData("""{"sub":7}""")]
    [InlineData("""{"sub":"a","sub":"b"}""")]
    [InlineData("""{"sub":"\ud800"}""")]
    public void Claims_ThatNameNobody_AreRefused(string claims) => Assert.False(AgentCoreProfile.OAuthUser(Encoding.UTF8.GetBytes(claims)).Ok);

    [Fact]
    public void Claims_ThatAreNotText_AreNoTags()
    {
        Parsed<EntityDescription> read = AgentCoreProfile.OAuthUser("""{"sub":"u","exp":5,"groups":["a"],"role":"r"}"""u8.ToArray());
        Assert.Equal(["role", "sub"], read.Value.Tags.Select(t => t.Key));
        Assert.Equal(["$.exp", "$.groups"], read.Diagnostics.Select(d => d.Path));
    }
}
