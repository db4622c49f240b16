using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Expressions;

/// <summary>
/// An expression as it was written: what the parser makes, the validator types, the formatter writes and the compiler turns into
/// <c>Evaluation</c> nodes. Immutable. Its depth is known, so that whoever recurses knows how far (<see cref="Limits.Depth"/>).
/// </summary>
internal abstract class Expr(SourceSpan span, int depth)
{
    /// <summary>The place in the policy's text; <c>default</c> when it came from JSON.</summary>
    public SourceSpan Span { get; } = span;

    /// <summary>1 for a leaf.</summary>
    public int Depth { get; } = depth;

    protected static int Over(params ReadOnlySpan<Expr> children)
    {
        int deepest = 0;
        foreach (Expr child in children) deepest = Math.Max(deepest, child.Depth);
        return deepest + 1;
    }
}

/// <summary>A literal: a truth value, a number, text or an entity's name. (Sets, records and extension values are built by expressions.)</summary>
internal sealed class LiteralExpr(SourceSpan span, Value value) : Expr(span, 1)
{
    public Value Value { get; } = value;
}

internal enum Variable
{
    Principal,
    Action,
    Resource,
    Context,
}

internal sealed class VariableExpr(SourceSpan span, Variable variable) : Expr(span, 1)
{
    public Variable Variable { get; } = variable;
}

/// <summary><c>if … then … else …</c></summary>
internal sealed class IfExpr(SourceSpan span, Expr condition, Expr then, Expr otherwise) : Expr(span, Over(condition, then, otherwise))
{
    public Expr Condition { get; } = condition;

    public Expr Then { get; } = then;

    public Expr Otherwise { get; } = otherwise;
}

/// <summary>
/// <c>a &amp;&amp; b &amp;&amp; c</c> or <c>a || b || c</c>: a chain of one operator is one node, since it means the same as its left-deep tree, and policies made by
/// programs have chains of hundreds. Two operands at least; the first is never a chain of the same operator.
/// </summary>
internal sealed class ChainExpr(SourceSpan span, bool and, Expr[] operands) : Expr(span, Over(operands))
{
    /// <summary>The chain of these; when the first is a chain of the same operator, its operands come instead of it.</summary>
    public static ChainExpr Of(SourceSpan span, bool and, List<Expr> operands) =>
        operands[0] is ChainExpr first && first.And == and ? new(span, and, [.. first.Operands, .. operands.Skip(1)]) : new(span, and, [.. operands]);

    /// <summary>True for <c>&amp;&amp;</c>, false for <c>||</c>.</summary>
    public bool And { get; } = and;

    public IReadOnlyList<Expr> Operands { get; } = operands;
}

internal enum UnaryOperator
{
    Not,
    Negate,
    IsEmpty,
}

/// <summary><c>!a</c>, <c>-a</c>, <c>a.isEmpty()</c>.</summary>
internal sealed class UnaryExpr(SourceSpan span, UnaryOperator op, Expr operand) : Expr(span, Over(operand))
{
    public UnaryOperator Operator { get; } = op;

    public Expr Operand { get; } = operand;
}

internal enum BinaryOperator
{
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Contains,
    ContainsAll,
    ContainsAny,
    GetTag,
    HasTag,
}

/// <summary>An operator or built-in method with two operands. (<c>a &gt; b</c> is defined as <c>!(a &lt;= b)</c>, but kept as it was written.)</summary>
internal sealed class BinaryExpr(SourceSpan span, BinaryOperator op, Expr left, Expr right) : Expr(span, Over(left, right))
{
    public BinaryOperator Operator { get; } = op;

    public Expr Left { get; } = left;

    public Expr Right { get; } = right;
}

/// <summary><c>a.name</c> or <c>a["name"]</c>.</summary>
internal sealed class AttributeExpr(SourceSpan span, Expr target, string name) : Expr(span, Over(target))
{
    public Expr Target { get; } = target;

    public string Name { get; } = name;
}

/// <summary><c>a has name</c>. (<c>a has b.c</c> is read as <c>a has b &amp;&amp; a.b has c</c>.)</summary>
internal sealed class HasExpr(SourceSpan span, Expr target, string name) : Expr(span, Over(target))
{
    public Expr Target { get; } = target;

    public string Name { get; } = name;
}

/// <summary><c>a like "p*"</c>.</summary>
internal sealed class LikeExpr(SourceSpan span, Expr target, Pattern pattern) : Expr(span, Over(target))
{
    public Expr Target { get; } = target;

    public Pattern Pattern { get; } = pattern;
}

/// <summary><c>a is T</c>. (<c>a is T in b</c> is read as <c>a is T &amp;&amp; a in b</c>.)</summary>
internal sealed class IsExpr(SourceSpan span, Expr target, string type) : Expr(span, Over(target))
{
    public Expr Target { get; } = target;

    /// <summary>A type name such as <c>Mcp::Agent</c>.</summary>
    public string Type { get; } = type;
}

internal sealed class SetExpr(SourceSpan span, Expr[] members) : Expr(span, Over(members))
{
    public IReadOnlyList<Expr> Members { get; } = members;
}

/// <summary>A record; the names differ, in the order written.</summary>
internal sealed class RecordExpr(SourceSpan span, string[] names, Expr[] values) : Expr(span, Over(values))
{
    public IReadOnlyList<string> Names { get; } = names;

    public IReadOnlyList<Expr> Values { get; } = values;
}

/// <summary>
/// An extension function or method: <c>ip("10.0.0.0/8")</c>, <c>a.isInRange(b)</c>. The function exists and the style is right; the number of
/// arguments is only checked by the validator and, as an error, by the evaluator.
/// </summary>
internal sealed class CallExpr(SourceSpan span, Extensions.ExtensionFunction function, Expr[] arguments) : Expr(span, Over(arguments))
{
    public Extensions.ExtensionFunction Function { get; } = function;

    /// <summary>A method's target is the first.</summary>
    public IReadOnlyList<Expr> Arguments { get; } = arguments;
}
