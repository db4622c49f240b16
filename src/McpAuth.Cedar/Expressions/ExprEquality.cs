namespace McpAuth.Cedar.Expressions;

/// <summary>Whether two expressions are written alike, wherever they stand. As deep as the expressions, hence bounded.</summary>
internal sealed class ExprEquality : IEqualityComparer<Expr>
{
    public static ExprEquality Instance { get; } = new();

    public bool Equals(Expr? x, Expr? y)
    {
        if (ReferenceEquals(x, y)) return true;
        return (x, y) switch
        {
            (LiteralExpr a, LiteralExpr b) => a.Value.Kind == b.Value.Kind && a.Value.Equals(b.Value),
            (VariableExpr a, VariableExpr b) => a.Variable == b.Variable,
            (IfExpr a, IfExpr b) => Equals(a.Condition, b.Condition) && Equals(a.Then, b.Then) && Equals(a.Otherwise, b.Otherwise),
            (ChainExpr a, ChainExpr b) => a.And == b.And && Equals(a.Operands, b.Operands),
            (UnaryExpr a, UnaryExpr b) => a.Operator == b.Operator && Equals(a.Operand, b.Operand),
            (BinaryExpr a, BinaryExpr b) => a.Operator == b.Operator && Equals(a.Left, b.Left) && Equals(a.Right, b.Right),
            (AttributeExpr a, AttributeExpr b) => a.Name == b.Name && Equals(a.Target, b.Target),
            (HasExpr a, HasExpr b) => a.Name == b.Name && Equals(a.Target, b.Target),
            (LikeExpr a, LikeExpr b) => a.Pattern.Equals(b.Pattern) && Equals(a.Target, b.Target),
            (IsExpr a, IsExpr b) => a.Type == b.Type && Equals(a.Target, b.Target),
            (SetExpr a, SetExpr b) => Equals(a.Members, b.Members),
            (RecordExpr a, RecordExpr b) => a.Names.SequenceEqual(b.Names) && Equals(a.Values, b.Values),
            (CallExpr a, CallExpr b) => ReferenceEquals(a.Function, b.Function) && Equals(a.Arguments, b.Arguments),
            _ => false,
        };
    }

    public int GetHashCode(Expr expression)
    {
        var hash = new HashCode();
        Add(ref hash, expression);
        return hash.ToHashCode();
    }

    private bool Equals(IReadOnlyList<Expr> x, IReadOnlyList<Expr> y)
    {
        if (x.Count != y.Count) return false;
        for (int i = 0; i < x.Count; i++)
            if (!Equals(x[i], y[i])) return false;
        return true;
    }

    private static void Add(ref HashCode hash, Expr expression)
    {
        hash.Add(expression.Depth);
        switch (expression)
        {
            case LiteralExpr e: hash.Add(e.Value); break;
            case VariableExpr e: hash.Add(e.Variable); break;
            case IfExpr e: Add(ref hash, e.Condition); Add(ref hash, e.Then); Add(ref hash, e.Otherwise); break;
            case ChainExpr e: hash.Add(e.And); Add(ref hash, e.Operands); break;
            case UnaryExpr e: hash.Add(e.Operator); Add(ref hash, e.Operand); break;
            case BinaryExpr e: hash.Add(e.Operator); Add(ref hash, e.Left); Add(ref hash, e.Right); break;
            case AttributeExpr e: Add(ref hash, e.Name); Add(ref hash, e.Target); break;
            case HasExpr e: Add(ref hash, e.Name); Add(ref hash, e.Target); break;
            case LikeExpr e: hash.Add(e.Pattern); Add(ref hash, e.Target); break;
            case IsExpr e: Add(ref hash, e.Type); Add(ref hash, e.Target); break;
            case SetExpr e: Add(ref hash, e.Members); break;
            case RecordExpr e: Add(ref hash, e.Values); break;
            case CallExpr e: Add(ref hash, e.Function.Name); Add(ref hash, e.Arguments); break;
        }
    }

    private static void Add(ref HashCode hash, string name) => hash.Add(string.GetHashCode(name, StringComparison.Ordinal));

    private static void Add(ref HashCode hash, IReadOnlyList<Expr> expressions)
    {
        foreach (Expr expression in expressions) Add(ref hash, expression);
    }
}
