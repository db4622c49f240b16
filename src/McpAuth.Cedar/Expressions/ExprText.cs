using System.Text;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Expressions;

/// <summary>Expressions as the policy language writes them: on one line, with no parentheses but those that are needed to read the same expression.</summary>
internal sealed class ExprText
{
    /// <summary>How tightly an expression holds together; the operand of an operator must hold as tightly as the grammar asks for.</summary>
    private enum Level
    {
        Any,
        Or,
        And,
        Relation,
        Sum,
        Product,
        Unary,
        Member,
    }

    private readonly StringBuilder to;

    private ExprText(StringBuilder to) => this.to = to;

    public static void Append(StringBuilder to, Expr expression) => new ExprText(to).Write(expression, Level.Any);

    public static string Of(Expr expression)
    {
        var text = new StringBuilder();
        Append(text, expression);
        return text.ToString();
    }

    /// <summary>The operand of a chain, as it stands between its operators.</summary>
    public static void AppendOperand(StringBuilder to, ChainExpr chain, Expr operand) =>
        new ExprText(to).Write(operand, chain.And ? Level.Relation : Level.And);

    /// <summary>The first operands of a chain, which are one when they were written so. Returns how many they are.</summary>
    public static int AppendFirstOperand(StringBuilder to, ChainExpr chain)
    {
        var text = new ExprText(to);
        if (Sugar.IsIsIn(chain))
        {
            var type = (IsExpr)chain.Operands[0];
            text.Write(type.Target, Level.Sum);
            to.Append(" is ").Append(type.Type).Append(" in ");
            text.Write(((BinaryExpr)chain.Operands[1]).Right, Level.Sum);
            return 2;
        }
        int path = Sugar.HasPathLength(chain);
        if (path == 0)
        {
            AppendOperand(to, chain, chain.Operands[0]);
            return 1;
        }
        text.Write(((HasExpr)chain.Operands[0]).Target, Level.Sum);
        for (int i = 0; i < path; i++) to.Append(i == 0 ? " has " : ".").Append(((HasExpr)chain.Operands[i]).Name);
        return path;
    }

    private static Level LevelOf(Expr expression) => expression switch
    {
        IfExpr => Level.Any,
        ChainExpr chain when IsSugar(chain) => Level.Relation,
        ChainExpr chain => chain.And ? Level.And : Level.Or,
        HasExpr or LikeExpr or IsExpr => Level.Relation,
        BinaryExpr { Operator: BinaryOperator.Add or BinaryOperator.Subtract } => Level.Sum,
        BinaryExpr { Operator: BinaryOperator.Multiply } => Level.Product,
        BinaryExpr binary => Symbol(binary.Operator) is null ? Level.Member : Level.Relation,
        UnaryExpr { Operator: not UnaryOperator.IsEmpty } => Level.Unary,
        LiteralExpr literal when literal.Value.TryGetLong(out long value) && value < 0 => Level.Unary,
        _ => Level.Member,
    };

    private static bool IsSugar(ChainExpr chain) =>
        Sugar.HasPathLength(chain) == chain.Operands.Count || (chain.Operands.Count == 2 && Sugar.IsIsIn(chain));

    private void Write(Expr expression, Level least)
    {
        bool parentheses = LevelOf(expression) < least;
        if (parentheses) to.Append('(');
        Write(expression);
        if (parentheses) to.Append(')');
    }

    private void Write(Expr expression)
    {
        switch (expression)
        {
            case LiteralExpr literal:
                ValueText.Append(to, literal.Value);
                break;
            case VariableExpr variable:
                to.Append(Name(variable.Variable));
                break;
            case IfExpr choice:
                to.Append("if ");
                Write(choice.Condition, Level.Any);
                to.Append(" then ");
                Write(choice.Then, Level.Any);
                to.Append(" else ");
                Write(choice.Otherwise, Level.Any);
                break;
            case ChainExpr chain:
                for (int i = AppendFirstOperand(to, chain); i < chain.Operands.Count; i++)
                {
                    to.Append(chain.And ? " && " : " || ");
                    AppendOperand(to, chain, chain.Operands[i]);
                }
                break;
            case UnaryExpr unary:
                Write(unary);
                break;
            case BinaryExpr binary:
                Write(binary);
                break;
            case AttributeExpr attribute:
                Write(attribute.Target, Level.Member);
                if (Identifiers.IsName(attribute.Name)) to.Append('.').Append(attribute.Name);
                else Quoted("[", attribute.Name).Append(']');
                break;
            case HasExpr has:
                Write(has.Target, Level.Sum);
                to.Append(" has ");
                if (Identifiers.IsName(has.Name)) to.Append(has.Name);
                else Quoted("", has.Name);
                break;
            case LikeExpr like:
                Write(like.Target, Level.Sum);
                to.Append(" like ").Append(like.Pattern);
                break;
            case IsExpr type:
                Write(type.Target, Level.Sum);
                to.Append(" is ").Append(type.Type);
                break;
            case SetExpr set:
                to.Append('[');
                List(set.Members);
                to.Append(']');
                break;
            case RecordExpr record:
                Write(record);
                break;
            case CallExpr call:
                Write(call);
                break;
        }
    }

    private void Write(UnaryExpr unary)
    {
        if (unary.Operator == UnaryOperator.IsEmpty)
        {
            Write(unary.Operand, Level.Member);
            to.Append(".isEmpty()");
            return;
        }

        // At most four signs in a row; one before digits is part of the number.
        const int Most = 4;
        int signs = 1;
        Expr operand = unary.Operand;
        for (; signs < Most && operand is UnaryExpr inner && inner.Operator == unary.Operator; signs++) operand = inner.Operand;
        bool negates = unary.Operator == UnaryOperator.Negate;
        to.Append(negates ? '-' : '!', signs);
        if (negates && operand is LiteralExpr literal && literal.Value.TryGetLong(out long value))
        {
            if (value < 0 && signs < Most) ValueText.Append(to, literal.Value);
            else
            {
                to.Append('(');
                ValueText.Append(to, literal.Value);
                to.Append(')');
            }
        }
        else Write(operand, Level.Member);
    }

    private void Write(BinaryExpr binary)
    {
        string? symbol = Symbol(binary.Operator);
        if (symbol is null)
        {
            Write(binary.Left, Level.Member);
            to.Append('.').Append(MethodName(binary.Operator)).Append('(');
            Write(binary.Right, Level.Any);
            to.Append(')');
            return;
        }
        // Sums and products are read from the left; comparisons do not follow one another.
        Level level = LevelOf(binary);
        Write(binary.Left, level == Level.Relation ? Level.Sum : level);
        to.Append(' ').Append(symbol).Append(' ');
        Write(binary.Right, level + 1);
    }

    private void Write(RecordExpr record)
    {
        to.Append('{');
        for (int i = 0; i < record.Names.Count; i++)
        {
            if (i > 0) to.Append(", ");
            if (Identifiers.IsName(record.Names[i])) to.Append(record.Names[i]);
            else Quoted("", record.Names[i]);
            to.Append(": ");
            Write(record.Values[i], Level.Any);
        }
        to.Append('}');
    }

    private void Write(CallExpr call)
    {
        int first = 0;
        if (call.Function.IsMethod)
        {
            Write(call.Arguments[0], Level.Member);
            to.Append('.');
            first = 1;
        }
        to.Append(call.Function.Name).Append('(');
        List(call.Arguments, first);
        to.Append(')');
    }

    private void List(IReadOnlyList<Expr> members, int first = 0)
    {
        for (int i = first; i < members.Count; i++)
        {
            if (i > first) to.Append(", ");
            Write(members[i], Level.Any);
        }
    }

    private StringBuilder Quoted(string before, string text)
    {
        to.Append(before).Append('"');
        StringEscapes.Append(to, text);
        return to.Append('"');
    }

    public static string Name(Variable variable) => variable switch
    {
        Variable.Principal => "principal",
        Variable.Action => "action",
        Variable.Resource => "resource",
        _ => "context",
    };

    /// <summary>The operator between its operands; null for a method.</summary>
    public static string? Symbol(BinaryOperator op) => op switch
    {
        BinaryOperator.Equal => "==",
        BinaryOperator.NotEqual => "!=",
        BinaryOperator.Less => "<",
        BinaryOperator.LessOrEqual => "<=",
        BinaryOperator.Greater => ">",
        BinaryOperator.GreaterOrEqual => ">=",
        BinaryOperator.In => "in",
        BinaryOperator.Add => "+",
        BinaryOperator.Subtract => "-",
        BinaryOperator.Multiply => "*",
        _ => null,
    };

    public static string MethodName(BinaryOperator op) => op switch
    {
        BinaryOperator.Contains => "contains",
        BinaryOperator.ContainsAll => "containsAll",
        BinaryOperator.ContainsAny => "containsAny",
        BinaryOperator.GetTag => "getTag",
        _ => "hasTag",
    };
}
