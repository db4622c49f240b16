using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Policies;

[Trait("Spec", "Cedar-policies")]
public sealed class PolicyParserTests
{
    [Fact]
    public void Chain_IsOneNode_AndParenthesesBehindItAreKept()
    {
        var chain = Assert.IsType<ChainExpr>(Read("true && (false && true) && true"));
        Assert.Equal([1, 2, 1], chain.Operands.Select(o => o.Depth));
        Assert.Equal(4, Assert.IsType<ChainExpr>(Read("(true && false) && true && true")).Operands.Count);
        Assert.Equal(2, Assert.IsType<ChainExpr>(Read("true || false && true")).Operands.Count);
    }

    [Fact]
    public void HasWithAPath_AsksForEachPart()
    {
        var chain = Assert.IsType<ChainExpr>(Read("principal has a.b"));
        Assert.True(chain.And);
        Assert.Equal(["a", "b"], chain.Operands.Select(o => Assert.IsType<HasExpr>(o).Name));
        Assert.Equal("a", Assert.IsType<AttributeExpr>(((HasExpr)chain.Operands[1]).Target).Name);
    }

    [Fact]
    public void Minus_BeforeDigits_BelongsToTheNumber()
    {
        Assert.Equal(Value.Of(long.MinValue), Assert.IsType<LiteralExpr>(Read("-9223372036854775808")).Value);
        Assert.Equal(Value.Of(-5), Assert.IsType<LiteralExpr>(Assert.IsType<UnaryExpr>(Read("--5")).Operand).Value);
        Assert.IsType<UnaryExpr>(Read("-(5)"));
    }

    [Fact]
    public void Escapes_AreRead() =>
        Assert.Equal(Value.Of("\n\r\t\\\0'\"\u007f\U0001F600*"), Assert.IsType<LiteralExpr>(Read("""  "\n\r\t\\\0\'\"\x7f\u{1F6_00}*"  """)).Value);

    [Fact]
    public void Pattern_TellsStarsFromWildcards() =>
        Assert.Equal(["a*", "", "b"], Assert.IsType<LikeExpr>(Read("""principal like "a\***b" """)).Pattern.Pieces);

    [Fact]
    public void Spans_AreThoseOfTheText()
    {
        const string Text = "permit(principal, action, resource) when { principal.a == 1 + 2 };";
        PolicySet.Parse(Text).Value.TryGet("policy0", out Policy? policy);
        var equal = (BinaryExpr)policy!.Body.Conditions[0].Expression;
        Assert.Equal("principal.a == 1 + 2", Text.Substring(equal.Span.Start, equal.Span.Length));
        Assert.Equal("1 + 2", Text.Substring(equal.Right.Span.Start, equal.Right.Span.Length));
        Assert.Equal(Text.Length, policy.Location!.Span.Length);
    }

    [Fact]
    public void Ids_AreNumbersOrTheAnnotation()
    {
        const string Text = """@id("a") permit(principal, action, resource); forbid(principal, action, resource);""";
        Assert.Equal(["policy0", "policy1"], PolicySet.Parse(Text).Value.Policies.Select(p => p.Id));
        Assert.Equal(["a", "policy1"], PolicySet.Parse(Text, PolicyIds.FromAnnotation).Value.Policies.Select(p => p.Id));
    }

    [Fact]
    public void Ids_ThatStandTwice_AreAnErrorAtTheSecond()
    {
        const string Text = """
            @id("policy1") permit(principal, action, resource);
            permit(principal, action, resource);
            """;
        Assert.True(PolicySet.Parse(Text).Ok);
        var error = Assert.Single(PolicySet.Parse(Text, PolicyIds.FromAnnotation).Diagnostics);
        Assert.Equal(("duplicate_id", 2, 1), (error.Code, error.Where!.Line, error.Where.Column));
    }

    [Fact]
    public void Errors_AreAtMostAHundred() =>
        Assert.Equal(Limits.Errors, PolicySet.Parse(string.Concat(Enumerable.Repeat("permit();", 200))).Diagnostics.Count);

    [Fact]
    public void Annotations_KeepOrderAndValue()
    {
        PolicySet.Parse("""@b @a("x\ty") @if("") permit(principal, action, resource);""").Value.TryGet("policy0", out Policy? policy);
        Assert.Equal([new("b", ""), new("a", "x\ty"), new("if", "")], policy!.Annotations);
        Assert.Equal("x\ty", policy.Annotation("a"));
    }

    private static Expr Read(string expression)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse($"permit(principal, action, resource) when {{ {expression} }};");
        return parsed.Value.Policies[0].Body.Conditions[0].Expression;
    }
}
