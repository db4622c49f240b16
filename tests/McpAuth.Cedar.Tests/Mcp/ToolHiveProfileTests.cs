using System.Text;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Mcp.ToolHive;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>A library's tools, guarded by policies in ToolHive's dialect.</summary>
public class ToolHiveProfileTests
{
    private const string Policies = """
        // Whatever only reads is for members.
        permit(principal in THVGroup::"members", action == Action::"call_tool", resource)
        when { resource has readOnlyHint && resource.readOnlyHint };

        // Loans are short, unless one works there.
        permit(principal, action == Action::"call_tool", resource == Tool::"lend")
        when { resource has arg_days && context.arg_days.lessThanOrEqual(decimal("28.0")) && principal.claim_email like "*@library.example" };
        permit(principal, action == Action::"call_tool", resource == Tool::"lend")
        when { context.claim_role == "librarian" };

        // A particular person, and anything on one server.
        permit(principal == Client::"root-7", action == Action::"call_tool", resource in MCP::"library");

        // Not into the archive, and no notes: an object has no value here, only a presence.
        forbid(principal, action == Action::"call_tool", resource)
        when { resource has arg_shelf && resource.arg_shelf like "archive/*" };
        forbid(principal, action == Action::"call_tool", resource == Tool::"lend")
        when { context has arg_notes_present };
        """;

    private static readonly ToolServerModel Library = ToolHiveProfile.Model(
        [new("lend", ReadOnly: false, Destructive: false), new("find", ReadOnly: true), new("purge", Destructive: true)], "library").Value;

    [Theory]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"title":"x"}""", "Allow by policy0")]
    [InlineData("""{"sub":"m","groups":["others"]}""", "find", "{}", "Deny: NothingPermits")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "purge", "{}", "Deny: NothingPermits")]
    [InlineData("""{"sub":"m","roles":["members"]}""", "find", "{}", "Allow by policy0")]
    [InlineData("""{"sub":"m","groups":[],"roles":["members"]}""", "find", "{}", "Deny: NothingPermits")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"shelf":"archive/1"}""", "Deny: Forbidden by policy4")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"shelf":"attic"}""", "Allow by policy0")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"sh\u0065lf":"archive/1"}""", "Deny: Forbidden by policy4")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"shelf":"attic","shelf":"archive/1"}""", "Deny: RequestInvalid: `shelf` stands twice")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"shelf":{},"shelf":"archive/1"}""", "Deny: RequestInvalid: `shelf` stands twice")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"shelf":"\ud800"}""", "Deny: RequestInvalid: `shelf` is neither text nor a number with at most four digits behind the point")]
    [InlineData("""{"sub":"m","groups":["members"]}""", "find", """{"other":1e400,"other":2}""", "Allow by policy0")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":28}""", "Allow by policy1")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":28.0001}""", "Deny: NothingPermits")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":2.8e1}""", "Allow by policy1")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":28.00001}""", "Deny: RequestInvalid: `days` is neither text nor a number with at most four digits behind the point")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":28,"notes":"x"}""", "Allow by policy1")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":28,"notes":["x"]}""", "Deny: Forbidden by policy5")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":28,"notes":null}""", "Deny: Forbidden by policy5")]
    [InlineData("""{"sub":"e","email":"e@library.example","role":"x"}""", "lend", """{"days":28,"notes":[],"notes_present":true}""", "Deny: RequestInvalid: `arg_notes_present` is two arguments")]
    [InlineData("""{"sub":"l","email":"l@else.example","role":"librarian"}""", "lend", """{"days":500}""", "Allow by policy2")]
    [InlineData("""{"sub":"root-7"}""", "purge", "{}", "Allow by policy3")]
    [InlineData("""{"sub":"root-8"}""", "purge", "{}", "Deny: NothingPermits")]
    [InlineData("""{"sub":"root-7"}""", "burn", "{}", "Deny: RequestInvalid: the tool is not one of this tool server")]
    [InlineData("""{"sub":"root-7"}""", "purge", "[]", "Deny: RequestInvalid: the arguments are not an object")]
    [InlineData("""{"sub":"root-7"}""", "purge", "{", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    public void Policies_OfThatDialect_DecideAsTheyStand(string claims, string tool, string arguments, string outcome) =>
        Assert.Equal(outcome, Decide(Policies, Library, claims, tool, arguments).Outcome());

    /// <summary>There, any error denies; ours would go on with the policies that are left.</summary>
    [Fact]
    public void Policy_ThatFails_DeniesAPermitToo()
    {
        const string Failing = """
            permit(principal, action, resource);
            permit(principal, action, resource) when { context.claim_missing == "x" };
            """;
        AuthorizationResponse response = Decide(Failing, Library, """{"sub":"a"}""", "find", "{}");
        Assert.Equal("Deny: PolicyFailed", response.Outcome());
        Assert.Single(response.Errors);
    }

    /// <summary>Numbers are decimals, and decimals are not compared by <c>&lt;=</c>: such a policy fails there, too.</summary>
    [Fact]
    public void Number_IsADecimal() => Assert.Equal(
        "policy0: decimal and long cannot be compared",
        Assert.Single(Decide("permit(principal, action, resource) when { context.arg_n <= 5 };", Library, """{"sub":"a"}""", "find", """{"n":5}""").Errors).ToString());

    [Theory]
    [InlineData("resource.arg_n == decimal(\"1.0\")", true)]
    [InlineData("(if true then resource else resource).arg_n == decimal(\"1.0\")", true)]
    [InlineData("Tool::\"find\".arg_t == \"x\"", true)]
    [InlineData("resource.arg_b", true)]
    [InlineData("resource has arg_o", false)]
    [InlineData("resource has arg_o_present && resource.arg_o_present", true)]
    [InlineData("resource has arg_n_present", false)]
    [InlineData("principal has arg_n", false)]
    [InlineData("principal.claim_arg_n == \"mine\"", true)]
    [InlineData("context.claim_arg_n == \"mine\"", true)]
    [InlineData("resource.name == \"find\" && resource.operation == \"call\" && resource.feature == \"tool\"", true)]
    [InlineData("action.operation == \"call_tool\"", true)]
    [InlineData("resource has destructiveHint", false)]
    [InlineData("context.arg_n == resource.arg_n", true)]
    [InlineData("context has name", false)]
    [InlineData("context == {\"claim_sub\": \"a\", \"claim_arg_n\": \"mine\", \"arg_n\": decimal(\"1.0\"), \"arg_t\": \"x\", \"arg_b\": true, \"arg_o_present\": true}", true)]
    public void Attribute_StandsWhereItStandsThere(string condition, bool holds) => Assert.Equal(
        holds ? "Allow by policy0" : "Deny: NothingPermits",
        Decide($"permit(principal, action, resource) when {{ {condition} }};", Library, """{"sub":"a","arg_n":"mine"}""", "find", """{"n":1,"t":"x","b":true,"o":{"deep":[1e999]}}""").Outcome());

    [Fact]
    public void Explanation_ShowsTheArgumentsThatAreRead()
    {
        var authorizer = new ToolCallAuthorizer(PolicySet.Parse("permit(principal, action, resource) when { resource.arg_n == context.arg_n };").Value, Library);
        string told = authorizer.Explain(new ToolCall { Principal = new("Client", "a"), Tool = "find", Arguments = """{"n":1,"unread":"secret"}"""u8 }, EntityStore.Empty).ToString();
        Assert.Contains("resource.arg_n  →  decimal(\"1.0\")", told, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", told, StringComparison.Ordinal);
    }

    [Fact]
    public void Claims_BecomeAttributesAndGroups()
    {
        EntityDescription client = new ToolHiveClaims { RoleClaim = "realm_access.roles", MultiValued = ["scope", "scp"] }.Principal(
            """{"sub":"a","n":1.5,"yes":true,"list":["x",2,null],"deep":{"a":{"b":"c"},"z":null},"none":null,"scope":"a  b","scp":["c","d",7],"groups":["g"],"realm_access":{"roles":["r","g"]},"inexact":0.12345}"""u8.ToArray()).Value;
        Assert.Equal([new EntityUid("THVGroup", "g"), new("THVGroup", "r")], client.Parents);
        Value Of(string name) => client.Attributes[name];
        Assert.Equal(Value.OfDecimal(15_000), Of("claim_n"));
        Assert.Equal(Value.True, Of("claim_yes"));
        Assert.Equal(Value.Of(new CedarSet(Value.Of("x"), Value.OfDecimal(20_000))), Of("claim_list"));
        Assert.Equal(Value.Of(new CedarRecord([new("a", Value.Of(new CedarRecord([new("b", Value.Of("c"))])))])), Of("claim_deep"));
        Assert.Equal(Value.Of("a  b"), Of("claim_scope"));
        Assert.Equal(Value.Of(new CedarSet(Value.Of("b"), Value.Of("a"))), Of("claimset_scope"));
        Assert.Equal(Value.Of("c d"), Of("claim_scp"));
        Assert.Equal(Value.Of(new CedarSet(Value.Of("c"), Value.Of("d"))), Of("claimset_scp"));
        Assert.True(Of("claim_none").IsNone);
        Assert.True(Of("claim_inexact").IsNone);
    }

    [Fact]
    public void Group_MayHaveAnotherTypeAndClaim()
    {
        var claims = new ToolHiveClaims { GroupClaim = "https://a.example/teams", GroupType = "Team" };
        Assert.Equal([new EntityUid("Team", "t")], claims.Principal("""{"sub":"a","groups":["g"],"https://a.example/teams":["t","t"]}"""u8.ToArray()).Value.Parents);
        Assert.Equal([new EntityUid("Team", "g")], claims.Principal("""{"sub":"a","groups":["g"]}"""u8.ToArray()).Value.Parents);
    }

    [Fact]
    public void Resource_OtherThanTheTool_IsDenied()
    {
        var response = new AuthorizationResponse();
        var authorizer = new ToolCallAuthorizer(PolicySet.Parse("permit(principal, action, resource);").Value, Library);
        authorizer.Authorize(new ToolCall { Principal = new("Client", "a"), Tool = "find", Resource = new("Tool", "purge") }, EntityStore.Empty, response);
        Assert.Equal("Deny: RequestInvalid: the resource is not the tool", response.Outcome());
        authorizer.Authorize(new ToolCall { Principal = new("User", "a"), Tool = "find" }, EntityStore.Empty, response);
        Assert.Equal(DenialCause.RequestInvalid, response.Cause);
    }

    private static AuthorizationResponse Decide(string policies, ToolServerModel model, string claims, string tool, string arguments)
    {
        EntityDescription principal = new ToolHiveClaims().Principal(Encoding.UTF8.GetBytes(claims)).Value;
        var response = new AuthorizationResponse();
        var call = new ToolCall { Principal = principal.Uid, Tool = tool, Session = principal.Attributes, Arguments = Encoding.UTF8.GetBytes(arguments) };
        EntityStore entities = EntityStore.Of([principal]).Value;
        var authorizer = new ToolCallAuthorizer(PolicySet.Parse(policies).Value, model);
        authorizer.Authorize(call, entities, response);
        Assert.Equal(response.Outcome(), authorizer.Explain(call, entities).Response.Outcome());
        return response;
    }
}
