using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Policies;

/// <summary>Policies of every shape that a text can have.</summary>
internal static class PolicyGenerator
{
    private static readonly Gen<string> Types = Gen.Elements("User", "A::B", "principal", "_x9", "permit", "Mcp::Tool::Call");

    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.Elements("", "a", "a b", "if", "__cedar", "in", "principal", "\0", "\n\r\t", "\"\\'", "*", "\\*", "é", "\U0001F600", "\u200b\uE000\u0085\u2028", "x{y}"),
        Gen.Elements('a', '*', '\\', '"', ' ', '\u0007', 'Z', '0', '\'').ArrayOf().Resize(6).Select(c => new string(c)));

    private static readonly Gen<EntityUid> Entities = from type in Types from id in Texts select new EntityUid(type, id);

    private static readonly Gen<EntityUid> Actions =
        from type in Gen.Elements("Action", "A::Action", "Action::Action") from id in Texts select new EntityUid(type, id);

    private static readonly Gen<Expr> Leaves = Gen.OneOf<Expr>(
        Gen.Elements(0, 1, -1, 42, long.MaxValue, long.MinValue).Select(n => (Expr)Literal(Value.Of(n))),
        Texts.Select(t => (Expr)Literal(Value.Of(t))),
        Gen.Elements(true, false).Select(b => (Expr)Literal(Value.Of(b))),
        Entities.Select(e => (Expr)Literal(Value.Of(e))),
        Gen.Elements(Enum.GetValues<Variable>()).Select(v => (Expr)new VariableExpr(default, v)));

    /// <summary>The size is chosen here: the one of FsCheck is small within lists.</summary>
    public static Gen<Expr> Expressions { get; } = Gen.OneOf(Expression(1), Expression(6), Expression(12), Expression(24));

    public static Gen<Policy> Policies { get; } =
        from effect in Gen.Elements(Enum.GetValues<Effect>())
        from principal in Scope(template: true)
        from action in ActionScopes
        from resource in Scope(template: true)
        from conditions in (from unless in Gen.Elements(true, false) from e in Expressions select new Condition(unless, e)).ArrayOf().Resize(3)
        from keys in Gen.SubListOf("id", "if", "__cedar", "reason", "x1")
        from values in Texts.ArrayOf(5)
        select new Policy("policy0", new PolicyBody(effect, principal, action, resource, conditions, [.. keys.Zip(values, KeyValuePair.Create)]));

    private static Gen<ActionScope> ActionScopes => Gen.OneOf(
        Gen.Constant(ActionScope.Any),
        Actions.Select(a => new ActionScope(ScopeKind.Equal, [a])),
        Actions.Select(a => new ActionScope(ScopeKind.In, [a])),
        Actions.ArrayOf().Resize(3).Select(a => new ActionScope(ScopeKind.In, a, IsList: true)));

    private static Gen<EntityScope> Scope(bool template) =>
        from kind in Gen.Elements(Enum.GetValues<ScopeKind>())
        from entity in Entities
        from type in Types
        from slot in Gen.Elements(false, template)
        let compares = kind is ScopeKind.Equal or ScopeKind.In or ScopeKind.IsIn
        select new EntityScope(kind, compares && !slot ? entity : null, kind is ScopeKind.Is or ScopeKind.IsIn ? type : null, compares && slot);

    private static Gen<Expr> Expression(int size)
    {
        if (size <= 1) return Leaves;
        Gen<Expr> half = Expression(size / 2), third = Expression(size / 3);
        Gen<Expr[]> several = third.ArrayOf().Resize(4);
        return Gen.OneOf(
            Leaves,
            from a in third from b in third from c in third select (Expr)new IfExpr(default, a, b, c),
            from and in Gen.Elements(true, false) from first in half from others in several.Where(o => o.Length > 0)
            select (Expr)ChainExpr.Of(default, and, [first, .. others]),
            from op in Gen.Elements(Enum.GetValues<UnaryOperator>()) from a in half select (Expr)Unary(op, a),
            from op in Gen.Elements(Enum.GetValues<UnaryOperator>()) from a in half from n in Gen.Choose(2, 6)
            select Enumerable.Range(0, n).Aggregate(a, (inner, _) => Unary(op, inner)),
            from op in Gen.Elements(Enum.GetValues<BinaryOperator>()) from a in half from b in half select (Expr)new BinaryExpr(default, op, a, b),
            from a in half from name in Texts select (Expr)new AttributeExpr(default, a, name),
            from a in half from name in Texts select (Expr)new HasExpr(default, a, name),
            from a in half from path in Gen.Elements("a", "b", "principal").NonEmptyListOf().Resize(4) select Sugar.HasPath(default, a, [.. path]),
            from a in half from pieces in Texts.NonEmptyListOf().Resize(4) select (Expr)new LikeExpr(default, a, new Pattern([.. pieces])),
            from a in half from type in Types select (Expr)new IsExpr(default, a, type),
            from a in half from type in Types from b in half select (Expr)Sugar.IsIn(default, a, type, b),
            several.Select(members => (Expr)new SetExpr(default, members)),
            from values in several from names in Texts.ArrayOf().Resize(6) select (Expr)Record(names, values),
            from f in Gen.Elements(ExtensionFunction.Names.Select(n => ExtensionFunction.Find(n)!).ToArray()) from a in half from others in several
            select (Expr)new CallExpr(default, f, [a, .. others]));
    }

    private static LiteralExpr Literal(Value value) => new(default, value);

    private static UnaryExpr Unary(UnaryOperator op, Expr operand) => new UnaryExpr(default, op, operand);

    private static RecordExpr Record(string[] names, Expr[] values)
    {
        string[] distinct = [.. names.Distinct().Take(values.Length)];
        return new RecordExpr(default, distinct, values[..distinct.Length]);
    }
}
