using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation;

/// <summary>Numbers expressions so that those written alike have the same one. Each is looked at once, however often it is asked for.</summary>
internal sealed class ExprNumbers
{
    private readonly Dictionary<Expr, int> numbers = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<Shape, int> shapes = [];

    private enum Form
    {
        Literal,
        Variable,
        If,
        And,
        Or,
        Unary,
        Binary,
        Attribute,
        Has,
        Like,
        Is,
        Set,
        Record,
        Call,
        Slot,
        List,
    }

    public int Of(Expr expression)
    {
        if (numbers.TryGetValue(expression, out int known)) return known;
        int number = expression switch
        {
            LiteralExpr e => Number(new(Form.Literal, Value: e.Value)),
            VariableExpr e => Number(new(Form.Variable, (int)e.Variable)),
            IfExpr e => Number(new(Form.If, Of(e.Condition), Of(e.Then), Of(e.Otherwise))),
            ChainExpr e => Chain(e),
            UnaryExpr e => Unary(e.Operator, Of(e.Operand)),
            BinaryExpr e => Binary(e),
            AttributeExpr e => Number(new(Form.Attribute, Of(e.Target), Text: e.Name)),
            HasExpr e => Number(new(Form.Has, Of(e.Target), Text: e.Name)),
            LikeExpr e => Number(new(Form.Like, Of(e.Target), Text: e.Pattern.ToString())),
            IsExpr e => Number(new(Form.Is, Of(e.Target), Text: e.Type)),
            SetExpr e => Number(new(Form.Set, List(e.Members))),
            RecordExpr e => Record(e),
            CallExpr e => Number(new(Form.Call, List(e.Arguments), Text: e.Function.Name)),
            _ => Number(new(Form.Slot, ((SlotExpr)expression).OfPrincipal ? 1 : 0)),
        };
        numbers.Add(expression, number);
        return number;
    }

    private int Number(Shape shape)
    {
        if (!shapes.TryGetValue(shape, out int number)) shapes.Add(shape, number = shapes.Count);
        return number;
    }

    private int Unary(UnaryOperator op, int operand) => Number(new(Form.Unary, (int)op, operand));

    // a != b, a > b and a >= b are defined by their opposites, and are alike however they are written.
    private int Binary(BinaryExpr e)
    {
        BinaryOperator? opposite = e.Operator switch
        {
            BinaryOperator.NotEqual => BinaryOperator.Equal,
            BinaryOperator.Greater => BinaryOperator.LessOrEqual,
            BinaryOperator.GreaterOrEqual => BinaryOperator.Less,
            _ => null,
        };
        int plain = Number(new(Form.Binary, (int)(opposite ?? e.Operator), Of(e.Left), Of(e.Right)));
        return opposite is null ? plain : Unary(UnaryOperator.Not, plain);
    }

    private int Chain(ChainExpr e)
    {
        int chain = Of(e.Operands[0]);
        for (int i = 1; i < e.Operands.Count; i++) chain = Number(new(e.And ? Form.And : Form.Or, chain, Of(e.Operands[i])));
        return chain;
    }

    private int List(IReadOnlyList<Expr> all)
    {
        int list = -1;
        foreach (Expr one in all) list = Number(new(Form.List, list, Of(one)));
        return list;
    }

    private int Record(RecordExpr e)
    {
        int list = -1;
        foreach (int i in Enumerable.Range(0, e.Names.Count).OrderBy(i => e.Names[i], StringComparer.Ordinal))
            list = Number(new(Form.List, list, Of(e.Values[i]), Text: e.Names[i]));
        return Number(new(Form.Record, list));
    }

    private readonly record struct Shape(Form Form, int A = 0, int B = 0, int C = 0, string? Text = null, Value Value = default);
}
