using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Policies;

[Trait("Spec", "Cedar-policies")]
public sealed class LayoutTests
{
    [Theory]
    [InlineData("((1 + 2)) + 3 == (1 + (2 + 3))", "1 + 2 + 3 == 1 + (2 + 3)")]
    [InlineData("(1 * 2) + 3 * (4 + 5) - (6 - 7)", "1 * 2 + 3 * (4 + 5) - (6 - 7)")]
    [InlineData("(true || false) && (true && false) || (true)", "(true || false) && (true && false) || true")]
    [InlineData("(principal is T in resource) && (context has a.b)", "principal is T in resource && context has a.b")]
    [InlineData("!(principal has a) == !((true))", "!(principal has a) == !true")]
    [InlineData("-(1) + (-1).a", "-(1) + (-1).a")]
    [InlineData("((if true then 1 else 2) + 1)", "(if true then 1 else 2) + 1")]
    [InlineData("(if true then (if false then 1 else 2) else 3)", "if true then if false then 1 else 2 else 3")]
    [InlineData("context[\"a\"][\"b c\"][\"if\"]", "context.a[\"b c\"][\"if\"]")]
    [InlineData("{\"a\": 1, \"b c\": [ ], }", "{a: 1, \"b c\": []}")]
    [InlineData("(ip(\"1.1.1.1\")).isInRange((context.r))", "ip(\"1.1.1.1\").isInRange(context.r)")]
    public void Expression_HasTheParenthesesItNeeds(string written, string expected) =>
        Assert.Equal($"permit (principal, action, resource)\nwhen {{ {expected} }};\n",
            PolicySet.Parse($"permit(principal,action,resource) when {{ {written} }};").Value.ToCedar());

    [Fact]
    public void Long_IsBrokenAtTheScopeAndTheChain()
    {
        string name = new('n', 70);
        Assert.Equal($$"""
            @id("a")
            @b
            forbid (
              principal == User::"{{name}}",
              action == Action::"view",
              resource
            )
            when {
              principal is User in Group::"g" &&
              context.{{name}} &&
              (true || false)
            }
            unless { false };

            permit (principal in ?principal, action in [Action::"a"], resource);

            """.ReplaceLineEndings("\n"), PolicySet.Parse($$"""
            @id("a") @b forbid(principal == User::"{{name}}", action == Action::"view", resource)
            when { principal is User in Group::"g" && context.{{name}} && (true || false) } unless { false };
            permit(principal in ?principal, action in [Action::"a",], resource);
            """).Value.ToCedar());
    }
}
