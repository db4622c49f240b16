using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Validation;

[Trait("Spec", "Cedar-Validation")]
public sealed class MessageTests
{
    private static readonly CedarSchema Schema = CedarSchema.Parse("""
        entity Agent in [Team] { department: String, nick?: String, lead?: Agent };
        entity Team;
        entity Color enum ["red", "green"];
        entity Tool { owner: Agent };
        action call, list appliesTo { principal: Agent, resource: Tool, context: { arguments: { amount: Long, note?: String } } };
        """).Value;

    [Fact]
    public void Validator_OfAnUnknownAttribute_PointsAtItAndNamesTheNearOne()
    {
        const string Policy = "permit(principal, action, resource)\nwhen { principal.departmnt == \"x\" };";
        Diagnostic error = Assert.Single(Validate(Policy));
        Assert.Equal("unknown_attribute", error.Code);
        Assert.Contains("'departmnt'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'department'", error.Help, StringComparison.Ordinal);
        Assert.Equal("principal.departmnt", Policy.Substring(error.Where!.Span.Start, error.Where.Span.Length));
        Assert.Equal((2, 8), (error.Where.Line, error.Where.Column));
    }

    [Fact]
    public void Validator_OfAnAttributeOfTheContext_NamesTheAction()
    {
        Diagnostic error = Assert.Single(Validate("permit(principal, action == Action::\"call\", resource) when { context.argument.amount > 3 };"));
        Assert.Contains("Action::\"call\"", error.Message, StringComparison.Ordinal);
        Assert.Contains("'arguments'", error.Help, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("permit(principal is Agnt, action, resource);", "unknown_entity_type", "'Agent'")]
    [InlineData("permit(principal, action == Action::\"cal\", resource);", "unknown_action", "Action::\"call\"")]
    [InlineData("permit(principal, action == Mcp::Action::\"call\", resource);", "unknown_action", "Action::\"call\"")]
    [InlineData("permit(principal, action, resource) when { Color::\"rde\" == Color::\"red\" };", "unknown_id", "'red'")]
    [InlineData("permit(principal == Team::\"a\", action, resource);", "inapplicable_scope", "principal in Team::\"a\"")]
    [InlineData("permit(principal, action, resource) when { principal.nick == \"a\" };", "unsafe_attribute", "has nick")]
    [InlineData("permit(principal, action, resource) when { principal.contains(\"a\") };", "unexpected_type", "'in'")]
    [InlineData("permit(principal, action, resource) when { [principal, resource].contains(principal) };", "incompatible_types", "two types")]
    public void Validator_OfWhatIsNearlyRight_SaysWhatToDo(string policy, string code, string help)
    {
        Diagnostic error = Validate(policy).First(d => d.Code == code);
        Assert.Contains(help, error.Help, StringComparison.Ordinal);
    }

    [Fact]
    public void Validator_OfTheSameErrorForManyKindsOfRequests_ReportsItOnce() =>
        Assert.Single(Validate("permit(principal, action, resource) when { principal.nope };"));

    [Fact]
    public void Validator_OfSeveralPolicies_NamesEachByItsId()
    {
        IReadOnlyList<Diagnostic> all = Validate("permit(principal, action, resource); permit(principal, action, resource) when { principal.nope }; forbid(principal, action, resource) when { false };");
        Assert.Equal([("policy1", "unknown_attribute"), ("policy2", "impossible_policy")], all.Select(d => (d.Path!, d.Code)));
    }

    [Theory]
    [InlineData("principal.department == \"p\u0430ypal\"", "mixed_script_text")] // Cyrillic a
    [InlineData("principal.department == \"a\u202Eb\"", "bidirectional_text")]
    [InlineData("principal.department like \"p\u0430y*\"", "mixed_script_text")]
    [InlineData("principal has \"p\u0430y\" || true", "mixed_script_name")]
    [InlineData("principal has \"a\u2066b\" || true", "bidirectional_name")]
    [InlineData("principal has \"a\u2713b\" || true", "confusable_name")]
    [InlineData("principal == Agent::\"p\u0430y\"", "mixed_script_name")]
    public void Validator_OfTextThatLooksLikeOther_Warns(string condition, string code)
    {
        Diagnostic warning = Assert.Single(Validate($"permit(principal, action, resource) when {{ {condition} }};"));
        Assert.Equal((code, Severity.Warning), (warning.Code, warning.Severity));
    }

    [Theory]
    [InlineData("caf\u00E9")]
    [InlineData("\u6771\u4EAC\u30BF\u30EF\u30FC\u306E")] // Japanese: three scripts together
    [InlineData("\uD55C\uAD6D\u97D3\u570B")]
    [InlineData("\u041F\u0440\u0438\u0432\u0435\u0442")]
    [InlineData("a\u0301 1,5 \u20AC")]
    public void Validator_OfTextInOneLanguage_SaysNothing(string text) =>
        Assert.Empty(Validate($"permit(principal, action, resource) when {{ principal.department == \"{text}\" }};"));

    private static IReadOnlyList<Diagnostic> Validate(string policies) => Validator.Validate(PolicySet.Parse(policies).Value, Schema);
}
