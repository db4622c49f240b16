using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Policies;

/// <summary>Whether two policies say the same, apart from where they were read.</summary>
internal static class SamePolicy
{
    public static bool Are(PolicySet a, PolicySet b) =>
        a.Policies.Count == b.Policies.Count && a.Templates.Count == b.Templates.Count &&
        a.Policies.Zip(b.Policies).All(p => Are(p.First, p.Second)) && a.Templates.Zip(b.Templates).All(p => Are(p.First, p.Second));

    public static bool Are(Policy a, Policy b) =>
        a.Id == b.Id && a.Template?.Id == b.Template?.Id && a.Effect == b.Effect && a.Body.Principal == b.Body.Principal && a.Body.Resource == b.Body.Resource &&
        a.Body.Action.Kind == b.Body.Action.Kind && a.Body.Action.IsList == b.Body.Action.IsList &&
        a.Body.Action.Actions.SequenceEqual(b.Body.Action.Actions) && a.Annotations.SequenceEqual(b.Annotations) &&
        a.Body.Conditions.Count == b.Body.Conditions.Count &&
        a.Body.Conditions.Zip(b.Body.Conditions).All(p => p.First.Unless == p.Second.Unless && Are(p.First.Expression, p.Second.Expression));

    public static bool Are(Expr a, Expr b) => (a, b) switch
    {
        (LiteralExpr x, LiteralExpr y) => x.Value == y.Value,
        (VariableExpr x, VariableExpr y) => x.Variable == y.Variable,
        (IfExpr x, IfExpr y) => Are(x.Condition, y.Condition) && Are(x.Then, y.Then) && Are(x.Otherwise, y.Otherwise),
        (ChainExpr x, ChainExpr y) => x.And == y.And && Are(x.Operands, y.Operands),
        (UnaryExpr x, UnaryExpr y) => x.Operator == y.Operator && Are(x.Operand, y.Operand),
        (BinaryExpr x, BinaryExpr y) => x.Operator == y.Operator && Are(x.Left, y.Left) && Are(x.Right, y.Right),
        (AttributeExpr x, AttributeExpr y) => x.Name == y.Name && Are(x.Target, y.Target),
        (HasExpr x, HasExpr y) => x.Name == y.Name && Are(x.Target, y.Target),
        (LikeExpr x, LikeExpr y) => x.Pattern.Equals(y.Pattern) && Are(x.Target, y.Target),
        (IsExpr x, IsExpr y) => x.Type == y.Type && Are(x.Target, y.Target),
        (SetExpr x, SetExpr y) => Are(x.Members, y.Members),
        (RecordExpr x, RecordExpr y) => x.Names.SequenceEqual(y.Names) && Are(x.Values, y.Values),
        (CallExpr x, CallExpr y) => x.Function == y.Function && Are(x.Arguments, y.Arguments),
        _ => false,
    };

    private static bool Are(IReadOnlyList<Expr> a, IReadOnlyList<Expr> b) => a.Count == b.Count && a.Zip(b).All(p => Are(p.First, p.Second));
}
