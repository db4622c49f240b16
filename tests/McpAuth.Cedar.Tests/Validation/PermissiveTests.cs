using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Validation;

/// <summary>What strict mode refuses and permissive mode can tell.</summary>
[Trait("Spec", "Cedar-Validation")]
public sealed class PermissiveTests
{
    private static readonly CedarSchema Schema = CedarSchema.Parse("""
        entity User { name: String, age: Long, same?: String } tags Long;
        entity Bot { name: String, age: String, same: String } tags Long;
        entity Doc;
        action see appliesTo { principal: [User, Bot], resource: Doc, context: { text: String } };
        """).Value;

    [Theory]
    [InlineData("(if context.text == \"a\" then User::\"a\" else Bot::\"b\").name == \"x\"", true)]
    [InlineData("(if context.text == \"a\" then User::\"a\" else Bot::\"b\").age == 1", false)]
    [InlineData("(if context.text == \"a\" then User::\"a\" else Bot::\"b\").same == \"x\"", false)]
    [InlineData("(if context.text == \"a\" then User::\"a\" else Bot::\"b\") has same && (if context.text == \"a\" then User::\"a\" else Bot::\"b\").same == \"x\"", true)]
    [InlineData("(if context.text == \"a\" then User::\"a\" else Bot::\"b\") has \"age\"", true)]
    [InlineData("(if context.text == \"a\" then User::\"a\" else Bot::\"b\").hasTag(\"t\") && (if context.text == \"a\" then User::\"a\" else Bot::\"b\").getTag(\"t\") > 1", true)]
    [InlineData("[User::\"a\", Bot::\"b\", Doc::\"c\"].contains(principal)", true)]
    [InlineData("[1, \"a\"].contains(1)", false)]
    [InlineData("[].contains(1)", true)]
    [InlineData("principal in []", true)]
    [InlineData("context.text == 1", true)]
    [InlineData("[1].containsAll([\"a\"])", true)]
    [InlineData("ip(context.text).isLoopback()", true)]
    [InlineData("ip(1).isLoopback()", false)]
    [InlineData("{a: 1} == {b: 2}", true)]
    [InlineData("(if context.text == \"a\" then {a: 1, b: 2} else {a: 3}).a == 1", true)]
    [InlineData("(if context.text == \"a\" then {a: 1, b: 2} else {a: 3}).b == 1", false)]
    [InlineData("(if context.text == \"a\" then {a: 1, b: 2} else {a: 3}) has b && true", true)]
    public void Validator_InPermissiveMode_RefusesOnlyWhatMayFail(string condition, bool valid)
    {
        PolicySet policies = PolicySet.Parse($"permit(principal, action, resource) when {{ {condition} }};").Value;
        Assert.Equal(valid, Validator.Validate(policies, Schema, ValidationMode.Permissive).All(d => d.Severity != Severity.Error));
        if (condition != "ip(1).isLoopback()") Assert.Contains(Validator.Validate(policies, Schema), d => d.Severity == Severity.Error);
    }
}
