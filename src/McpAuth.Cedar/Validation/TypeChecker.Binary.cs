using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Validation.Types;
using McpAuth.Cedar.Values;
using Known = System.Collections.Immutable.ImmutableHashSet<McpAuth.Cedar.Validation.Capability>;

namespace McpAuth.Cedar.Validation;

internal sealed partial class TypeChecker
{
    private Answer Binary(Known prior, BinaryExpr e)
    {
        switch (e.Operator)
        {
            case BinaryOperator.Equal: return Equal(prior, e);
            case BinaryOperator.NotEqual:
                Answer equal = Equal(prior, e);
                return equal with { Type = Negated(equal.Type!) };
            case BinaryOperator.Less or BinaryOperator.LessOrEqual or BinaryOperator.Greater or BinaryOperator.GreaterOrEqual: return Ordered(prior, e);
            case BinaryOperator.Add or BinaryOperator.Subtract or BinaryOperator.Multiply:
                string? Help(StaticType type) => IsString(type) && e.Operator == BinaryOperator.Add ? "Texts cannot be joined." : type is StaticSet ? "Sets have no arithmetic." : null;
                bool left = Expect(prior, e.Left, IsLong, "Long", Help).Ok;
                return Answer.Good(TypeTable.Long).If(Expect(prior, e.Right, IsLong, "Long", Help).Ok && left);
            case BinaryOperator.In: return In(prior, e);
            case BinaryOperator.Contains: return Contains(prior, e);
            case BinaryOperator.ContainsAll or BinaryOperator.ContainsAny: return ContainsMany(prior, e);
            case BinaryOperator.HasTag: return HasTag(prior, e);
            default: return GetTag(prior, e);
        }
    }

    private Answer Equal(Known prior, BinaryExpr e)
    {
        Answer left = Check(prior, e.Left), right = Check(prior, e.Right);
        Answer answer = Answer.Good(TypeOfEquality(e, left.Type, right.Type));
        if (Strict && answer.Type is StaticBool { Value: null }) answer = Comparable(e, answer, left.Type, right.Type, "'=='");
        return answer.If(left.Ok && right.Ok);
    }

    /// <summary>Entities of different types are never equal; of two literals it is known. Anything else may be equal: two empty sets are, whatever their types.</summary>
    private StaticBool TypeOfEquality(BinaryExpr e, StaticType? left, StaticType? right)
    {
        if (left is StaticEntity a && right is StaticEntity b && !a.Overlaps(b)) return TypeTable.False;
        return LiteralOf(e.Left) is { } x && LiteralOf(e.Right) is { } y ? TypeTable.Of(x == y) : TypeTable.Bool;
    }

    private Value? LiteralOf(Expr e) => e switch
    {
        LiteralExpr literal => literal.Value,
        VariableExpr { Variable: Variable.Action } => Value.Of(request.Action),
        ChainExpr => Folded(e) is { } folded ? Value.Of(folded) : null,
        _ => null,
    };

    /// <summary>Cedar reads a chain of nothing but <c>true</c> and <c>false</c> as what it comes to.</summary>
    private static bool? Folded(Expr e) => e switch
    {
        LiteralExpr literal => literal.Value.TryGetBool(out bool value) ? value : null,
        ChainExpr chain when chain.Operands.All(o => Folded(o) is not null) => chain.And ? chain.Operands.All(o => Folded(o) == true) : chain.Operands.Any(o => Folded(o) == true),
        _ => null,
    };

    /// <summary>In strict mode: the answer, if the two types have a common one.</summary>
    private Answer Comparable(Expr at, Answer answer, StaticType? left, StaticType? right, string what)
    {
        if (left is null || right is null || relations.Bound(left, right) is not null) return answer;
        Incompatible(at, [left, right], what);
        return Answer.Bad(answer.Type);
    }

    private Answer Ordered(Known prior, BinaryExpr e)
    {
        Answer left = Check(prior, e.Left), right = Check(prior, e.Right);
        if (left.Type is null || right.Type is null) return Answer.Bad(TypeTable.Bool);
        bool orderedLeft = left.Type is StaticScalar { IsOrdered: true }, orderedRight = right.Type is StaticScalar { IsOrdered: true };
        if (orderedLeft && ReferenceEquals(left.Type, right.Type)) return Answer.Good(TypeTable.Bool).If(left.Ok && right.Ok);
        const string Any = "Long, datetime or duration";
        if (IsLong(right.Type) && !IsLong(left.Type)) findings.Error("unexpected_type", $"Expected Long, but this is {left.Type}.", e.Left.Span);
        else if (orderedLeft) findings.Error("unexpected_type", $"Expected {left.Type}, but this is {right.Type}.", e.Right.Span);
        else if (orderedRight) findings.Error("unexpected_type", $"Expected {right.Type}, but this is {left.Type}.", e.Left.Span);
        else
        {
            findings.Error("unexpected_type", $"Expected {Any}, but this is {left.Type}.", e.Left.Span);
            findings.Error("unexpected_type", $"Expected {Any}, but this is {right.Type}.", e.Right.Span);
        }
        return Answer.Bad(TypeTable.Bool);
    }

    private static string? SetHelp(StaticType type) => type switch
    {
        StaticEntity => "Whether an entity is in another one is asked by 'in'.",
        StaticRecord => "Whether a record has an attribute is asked by 'has'.",
        _ => IsString(type) ? "Texts are searched by 'like'." : null,
    };

    private Answer Contains(Known prior, BinaryExpr e)
    {
        Answer set = Expect(prior, e.Left, IsSet, "a set", SetHelp);
        Answer member = Check(prior, e.Right);
        Answer answer = Answer.Good(TypeTable.Bool);
        if (Strict) answer = Comparable(e, answer, (set.Type as StaticSet)?.Element, member.Type, "'contains'");
        return answer.If(set.Ok && member.Ok);
    }

    private Answer ContainsMany(Known prior, BinaryExpr e)
    {
        Answer set = Expect(prior, e.Left, IsSet, "a set", SetHelp);
        Answer other = Expect(prior, e.Right, IsSet, "a set", _ => "One member alone is asked for by 'contains'.");
        Answer answer = Answer.Good(TypeTable.Bool);
        if (Strict) answer = Comparable(e, answer, set.Type, other.Type, e.Operator == BinaryOperator.ContainsAll ? "'containsAll'" : "'containsAny'");
        return answer.If(set.Ok && other.Ok);
    }
}
