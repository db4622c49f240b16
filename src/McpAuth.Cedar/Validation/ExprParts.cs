using McpAuth.Cedar.Expressions;

namespace McpAuth.Cedar.Validation;

/// <summary>An expression and all of its parts, each before its own parts.</summary>
internal static class ExprParts
{
    public static IEnumerable<Expr> Of(Expr root)
    {
        var rest = new Stack<Expr>([root]);
        while (rest.TryPop(out Expr? expression))
        {
            yield return expression;
            Push(rest, expression);
        }
    }

    private static void Push(Stack<Expr> rest, Expr expression)
    {
        switch (expression)
        {
            case IfExpr e:
                rest.Push(e.Otherwise);
                rest.Push(e.Then);
                rest.Push(e.Condition);
                break;
            case BinaryExpr e:
                rest.Push(e.Right);
                rest.Push(e.Left);
                break;
            case UnaryExpr e: rest.Push(e.Operand); break;
            case AttributeExpr e: rest.Push(e.Target); break;
            case HasExpr e: rest.Push(e.Target); break;
            case LikeExpr e: rest.Push(e.Target); break;
            case IsExpr e: rest.Push(e.Target); break;
            case ChainExpr e: PushAll(rest, e.Operands); break;
            case SetExpr e: PushAll(rest, e.Members); break;
            case RecordExpr e: PushAll(rest, e.Values); break;
            case CallExpr e: PushAll(rest, e.Arguments); break;
        }
    }

    private static void PushAll(Stack<Expr> rest, IReadOnlyList<Expr> all)
    {
        for (int i = all.Count - 1; i >= 0; i--) rest.Push(all[i]);
    }
}
