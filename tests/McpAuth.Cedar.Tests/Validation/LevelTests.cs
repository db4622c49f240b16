using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Validation;

/// <summary>How many steps from entity to entity a policy needs.</summary>
[Trait("Spec", "Cedar-RFC76")]
public sealed class LevelTests
{
    private static readonly CedarSchema Schema = CedarSchema.Parse("""
        entity Person in [Person] { friend: Person, ok: Bool, label: String, box: { friend: Person }, from: ipaddr } tags Person;
        entity Thing { owner: Person };
        action see appliesTo { principal: Person, resource: Thing, context: { guest: Person, box: { guest: Person } } };
        """).Value;

    [Theory]
    [InlineData("principal == Person::\"a\"", 0)]
    [InlineData("Person::\"a\" is Person", 0)]
    [InlineData("context has guest", 0)]
    [InlineData("context.box.guest is Person", 0)]
    [InlineData("{a: principal}.a is Person", 0)]
    [InlineData("principal.ok", 1)]
    [InlineData("principal.box.friend is Person", 1)]
    [InlineData("principal has friend", 1)]
    [InlineData("principal.hasTag(\"a\") && principal.getTag(\"a\") is Person", 1)]
    [InlineData("principal in Person::\"b\"", 1)]
    [InlineData("principal in [Person::\"b\"]", 1)]
    [InlineData("action in Action::\"see\"", 1)]
    [InlineData("Action::\"see\" in action", 1)]
    [InlineData("context.guest.ok", 1)]
    [InlineData("context.box.guest.ok", 1)]
    [InlineData("principal.friend.ok", 2)]
    [InlineData("principal.box.friend.ok", 2)]
    [InlineData("principal.hasTag(\"a\") && principal.getTag(\"a\").ok", 2)]
    [InlineData("context.guest.friend.ok", 2)]
    [InlineData("context.box.guest.box.friend.ok", 2)]
    [InlineData("principal.hasTag(principal.friend.label) && principal.getTag(principal[\"friend\"][\"label\"]) is Person", 2)]
    [InlineData("principal in resource.owner.friend", 2)]
    [InlineData("principal.friend.hasTag(\"t\") && principal.friend.getTag(\"t\") in resource.owner", 3)]
    [InlineData("principal.box.friend.box.friend.ok", 3)]
    [InlineData("principal has friend.friend.ok && principal.friend.friend.ok", 3)]
    [InlineData("principal.hasTag(\"a\") && principal.getTag(\"a\").hasTag(\"b\") && principal.getTag(\"a\").getTag(\"b\").ok", 3)]
    [InlineData("if principal.friend.ok then principal.ok else resource.owner.ok", 2)]
    [InlineData("if principal.ok then principal.ok else resource.owner.friend.ok", 3)]
    [InlineData("(if principal.ok then principal.friend else resource.owner).ok", 2)]
    [InlineData("(if principal.ok then principal.friend.friend else resource.owner).ok", 3)]
    [InlineData("(if principal.friend.friend.friend.ok then principal else resource.owner).ok", 4)]
    [InlineData("{a: principal, b: principal.friend.friend.friend}.a.ok", 3)]
    [InlineData("{a: principal.friend, b: principal.ok} == {a: principal.box.friend, b: false}", 1)]
    [InlineData("{a: {b: principal}}.a.b.ok", 1)]
    [InlineData("{a: principal.friend}.a.ok", 2)]
    [InlineData("{c: {a: {b: principal.friend}}.a}.c.b.ok", 2)]
    [InlineData("{c: {a: {b: principal}.b.friend}.a}.c.ok", 2)]
    [InlineData("[principal.ok].contains(true)", 1)]
    [InlineData("[context.guest.friend, principal.friend].containsAny([resource.owner])", 1)]
    [InlineData("ip(\"10.0.0.0\").isInRange(principal.from)", 1)]
    [InlineData("principal.label like \"*\"", 1)]
    [InlineData("!principal.ok", 1)]
    [InlineData("(principal.ok || true) || true", 1)]
    [InlineData("(principal.ok && false) && false", 1)]
    [InlineData("if principal.ok && false then true else false", 1)]
    [InlineData("if true then principal.ok else false", 1)]
    [InlineData("true || principal.ok", 0)]
    [InlineData("false && principal.ok", 0)]
    [InlineData("if false then principal.ok else false", 0)]
    [InlineData("if true then true else principal.ok", 0)]
    public void Validator_WithALevel_AllowsExactlyTheStepsThePolicyTakes(string condition, int level)
    {
        PolicySet policies = PolicySet.Parse($"permit(principal, action, resource) when {{ {condition} }};").Value;
        Assert.DoesNotContain(Validator.Validate(policies, Schema, maxLevel: level), d => d.Severity == Severity.Error);
        if (level > 0) Assert.Contains(Validator.Validate(policies, Schema, maxLevel: level - 1), d => d.Code == "level_exceeded");
    }

    [Fact]
    public void Validator_WithALevel_CountsTheScope()
    {
        PolicySet policies = PolicySet.Parse("permit(principal in Person::\"b\", action, resource);").Value;
        Assert.Contains(Validator.Validate(policies, Schema, maxLevel: 0), d => d.Code == "level_exceeded");
        Assert.Empty(Validator.Validate(policies, Schema, maxLevel: 1));
    }

    [Theory]
    [InlineData("Person::\"a\".ok")]
    [InlineData("Person::\"a\" has friend")]
    [InlineData("Person::\"a\".hasTag(\"t\")")]
    [InlineData("Person::\"a\" in Person::\"b\"")]
    [InlineData("(if principal.ok then Person::\"a\" else principal).ok")]
    [InlineData("{a: Person::\"a\", b: Person::\"b\"}.a.ok")]
    public void Validator_WithALevel_RefusesToLookAtAnEntityThatIsWrittenOut(string condition)
    {
        PolicySet policies = PolicySet.Parse($"permit(principal, action, resource) when {{ {condition} }};").Value;
        Assert.Empty(Validator.Validate(policies, Schema));
        Assert.Contains(Validator.Validate(policies, Schema, maxLevel: 9), d => d.Code == "literal_dereference");
    }
}
