using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Validation.Types;
using Known = System.Collections.Immutable.ImmutableHashSet<McpAuth.Cedar.Validation.Capability>;

namespace McpAuth.Cedar.Validation;

/// <summary>
/// Types one policy's expressions for one kind of request. What cannot be evaluated, for want of a value that decides before, is not looked at.
/// Recursion is as deep as the expression, which its reader bounded.
/// </summary>
internal sealed partial class TypeChecker(
    CedarSchema schema, TypeTable types, TypeRelations relations, ValidationMode mode, ExprNumbers numbers, RequestKind request, PolicyFindings findings, TypedParts? parts)
{
    private bool Strict => mode == ValidationMode.Strict;

    /// <summary>The type of a condition: a Bool, whether nothing is wrong, and what is then known to be there.</summary>
    public Answer CheckCondition(Known prior, Expr expression) => Expect(prior, expression, IsBool, "Bool");

    private Answer Check(Known prior, Expr expression)
    {
        Answer answer = expression switch
        {
            LiteralExpr e => Literal(e),
            VariableExpr e => Answer.Good(TypeOf(e.Variable)),
            SlotExpr e => Answer.Good(e.OfPrincipal ? request.Principal : request.Resource),
            IfExpr e => If(prior, e),
            ChainExpr { And: true } e => And(prior, e),
            ChainExpr e => Or(prior, e),
            UnaryExpr e => Unary(prior, e),
            BinaryExpr e => Binary(prior, e),
            AttributeExpr e => Attribute(prior, e),
            HasExpr e => Has(prior, e),
            LikeExpr e => Like(prior, e),
            IsExpr e => Is(prior, e),
            SetExpr e => Set(prior, e),
            RecordExpr e => Record(prior, e),
            _ => Call(prior, (CallExpr)expression),
        };
        parts?.Add(expression, answer.Type);
        return answer;
    }

    private StaticType TypeOf(Variable variable) => variable switch
    {
        Variable.Principal => request.Principal,
        Variable.Action => request.ActionType,
        Variable.Resource => request.Resource,
        _ => request.Context,
    };

    private Answer Literal(LiteralExpr literal)
    {
        if (literal.Value.TryGetBool(out bool value)) return Answer.Good(TypeTable.Of(value));
        if (literal.Value.AsEntity is not { } entity) return Answer.Good(TypeTable.Of(literal.Value.Kind));
        // What is not declared is reported once for the policy, by NameChecks.
        return schema.Declares(entity) ? Answer.Good(types.Entity(entity.Type)) : Answer.Bad();
    }

    private Answer Unary(Known prior, UnaryExpr unary)
    {
        switch (unary.Operator)
        {
            case UnaryOperator.Not:
                Answer operand = Expect(prior, unary.Operand, IsBool, "Bool");
                return operand.Type is null ? Answer.Bad(TypeTable.Bool) : Answer.Good(Negated(operand.Type)).If(operand.Ok);
            case UnaryOperator.Negate:
                return Answer.Good(TypeTable.Long).If(Expect(prior, unary.Operand, IsLong, "Long").Ok);
            default:
                return Answer.Good(TypeTable.Bool).If(Expect(prior, unary.Operand, IsSet, "a set", t => IsString(t) ? "Compare a text with \"\"." : null).Ok);
        }
    }

    private Answer Like(Known prior, LikeExpr e) =>
        Answer.Good(TypeTable.Bool).If(Expect(prior, e.Target, IsString, "String", t => t is StaticEntity ? "Entities are told apart by '==', 'in' and 'is'." : null).Ok);

    private static StaticBool Negated(StaticType type) => type is StaticBool { Value: { } value } ? TypeTable.Of(!value) : TypeTable.Bool;

    /// <summary>The type of the expression, which must be one of those that are expected; else that is reported and there is no type.</summary>
    private Answer Expect(Known prior, Expr expression, Func<StaticType, bool> expected, string name, Func<StaticType, string?>? help = null)
    {
        Answer answer = Check(prior, expression);
        if (answer.Type is null) return Answer.Bad();
        if (answer.Type is StaticNever || expected(answer.Type)) return answer;
        findings.Error("unexpected_type", $"Expected {name}, but this is {answer.Type}.", expression.Span, help?.Invoke(answer.Type));
        return Answer.Bad();
    }

    private static bool IsBool(StaticType type) => type is StaticBool;

    private static bool IsLong(StaticType type) => ReferenceEquals(type, TypeTable.Long);

    private static bool IsString(StaticType type) => ReferenceEquals(type, TypeTable.String);

    private static bool IsEntity(StaticType type) => type is StaticEntity;

    private static bool IsSet(StaticType type) => type is StaticSet;

    private static bool IsEntityOrRecord(StaticType type) => type is StaticEntity or StaticRecord;

    private static bool IsEntityOrEntities(StaticType type) => type is StaticEntity or StaticSet { Element: StaticEntity or StaticNever };
}
