using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Expressions;

/// <summary>
/// The two notations that are read as longer expressions: <c>x has a.b</c> as <c>x has a &amp;&amp; x.a has b</c>, and <c>x is T in y</c> as
/// <c>x is T &amp;&amp; x in y</c>. In these <c>x</c> is one object, by which the notation is known again when the expression is written.
/// </summary>
internal static class Sugar
{
    /// <param name="path">One name at least.</param>
    public static Expr HasPath(SourceSpan span, Expr target, IReadOnlyList<string> path)
    {
        if (path.Count == 1) return new HasExpr(span, target, path[0]);
        var operands = new List<Expr>(path.Count);
        foreach (string name in path)
        {
            operands.Add(new HasExpr(span, target, name));
            target = new AttributeExpr(span, target, name);
        }
        return ChainExpr.Of(span, and: true, operands);
    }

    public static ChainExpr IsIn(SourceSpan span, Expr target, string type, Expr ancestor) =>
        ChainExpr.Of(span, and: true, [new IsExpr(span, target, type), new BinaryExpr(span, BinaryOperator.In, target, ancestor)]);

    /// <summary>How many of the first operands were written as one <c>has</c> with a path; 0 when they were not.</summary>
    public static int HasPathLength(ChainExpr chain)
    {
        if (!chain.And || chain.Operands[0] is not HasExpr first || !Identifiers.IsName(first.Name)) return 0;
        int count = 1;
        HasExpr last = first;
        while (count < chain.Operands.Count && chain.Operands[count] is HasExpr { Target: AttributeExpr step } next &&
            ReferenceEquals(step.Target, last.Target) && step.Name == last.Name && Identifiers.IsName(next.Name))
        {
            last = next;
            count++;
        }
        return count == 1 ? 0 : count;
    }

    /// <summary>Whether the first two operands were written as <c>is … in</c>.</summary>
    public static bool IsIsIn(ChainExpr chain) =>
        chain.And && chain.Operands[0] is IsExpr a && chain.Operands[1] is BinaryExpr { Operator: BinaryOperator.In } b && ReferenceEquals(a.Target, b.Left);
}
