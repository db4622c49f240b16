using System.Globalization;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>Expressions: the operators, from the loosest to the tightest.</summary>
internal sealed partial class PolicyParser
{
    private readonly ExprBudget budget;
    private int nesting;

    // "if" expression "then" expression "else" expression | or
    private Expr Expression()
    {
        int start = current.Span.Start;
        if (nesting == Limits.Depth)
        {
            TooDeep(current.Span);
            return Unknown(current.Span);
        }
        nesting++;
        Expr expression;
        if (IsWord("if") && ahead.Kind != TokenKind.Colons)
        {
            Advance();
            Expr condition = Expression();
            ExpectWord("then", condition);
            Expr then = Expression();
            ExpectWord("else", then);
            expression = Made(new IfExpr(From(start), condition, then, Expression()));
        }
        else expression = Chain(and: false);
        nesting--;
        return expression;
    }

    private void ExpectWord(string word, Expr after)
    {
        if (IsWord(word)) Advance();
        else if (current.Kind == TokenKind.Assign) UseTwoEqualSigns();
        else Unexpected(after is LiteralExpr or VariableExpr ? $"an operator or '{word}'" : $"'{word}'");
    }

    // or := and { "||" and }; and := relation { "&&" relation }
    private Expr Chain(bool and)
    {
        int start = current.Span.Start;
        Expr first = and ? Relation() : Chain(and: true);
        TokenKind op = and ? TokenKind.And : TokenKind.Or;
        if (current.Kind != op) return first;
        List<Expr> operands = [first];
        while (Accept(op)) operands.Add(and ? Relation() : Chain(and: true));
        return Made(ChainExpr.Of(From(start), and, operands));
    }

    // sum [ operator sum | "has" … | "like" … | "is" … ]
    private Expr Relation()
    {
        int start = current.Span.Start;
        long before = budget.Nodes;
        Expr left = Sum();
        long size = budget.Nodes - before;
        Expr relation;
        if (IsWord("has")) relation = Has(left, size, start);
        else if (IsWord("like")) relation = Like(left, start);
        else if (IsWord("is")) relation = Is(left, size, start);
        else if (RelationOperator() is { } op)
        {
            Advance();
            Expr right = Sum();
            relation = Made(new BinaryExpr(From(start), op, left, right));
        }
        else return left;
        if (RelationOperator() is not null || IsWord("has") || IsWord("like") || IsWord("is"))
            Stop("ambiguous_operators", "Comparisons do not follow one another.", current.Span, "join them by '&&', or use parentheses");
        return relation;
    }

    private BinaryOperator? RelationOperator() => current.Kind switch
    {
        TokenKind.Equal => BinaryOperator.Equal,
        TokenKind.NotEqual => BinaryOperator.NotEqual,
        TokenKind.Less => BinaryOperator.Less,
        TokenKind.LessOrEqual => BinaryOperator.LessOrEqual,
        TokenKind.Greater => BinaryOperator.Greater,
        TokenKind.GreaterOrEqual => BinaryOperator.GreaterOrEqual,
        TokenKind.Identifier when IsWord("in") => BinaryOperator.In,
        _ => null,
    };

    // "has" ( text | name { "." name } )
    private Expr Has(Expr target, long size, int start)
    {
        Advance();
        if (current.Kind == TokenKind.String)
        {
            Token quoted = Advance();
            return Made(new HasExpr(From(start), target, pool.Get(Unescape(quoted))));
        }
        if (current.Kind != TokenKind.Identifier)
        {
            Unexpected("the name of an attribute, or a text in quotes,");
            return target;
        }
        var path = new List<string> { FieldName() };
        while (Accept(TokenKind.Dot)) path.Add(FieldName());
        if (current.Kind is TokenKind.OpenParenthesis or TokenKind.OpenBracket or TokenKind.Colons)
            Stop("invalid_has", "Behind 'has' stands the name of an attribute, or several joined by points.", current.Span, "compare the value in a further condition");
        if (path.Count > 1) Afford(size, path.Count, start);
        return current.Kind == TokenKind.Stopped ? target : Made(Sugar.HasPath(From(start), target, path));
    }

    private Expr Like(Expr target, int start)
    {
        Advance();
        Token quoted = current;
        if (quoted.Kind != TokenKind.String)
        {
            Unexpected("a pattern in quotes", "'like' takes no other expression");
            return target;
        }
        Advance();
        string[]? pieces = EscapedText.ReadPattern(Inside(quoted), out EscapedText.Fault fault);
        if (pieces is null) ReportEscape(quoted, fault);
        return Made(new LikeExpr(From(start), target, new Pattern(pieces ?? [""])));
    }

    // "is" type [ "in" sum ]
    private Expr Is(Expr target, long size, int start)
    {
        Advance();
        string type = TypeName();
        if (!IsWord("in")) return Made(new IsExpr(From(start), target, type));
        Advance();
        Expr ancestor = Sum();
        Afford(size, 2, start);
        return Made(Sugar.IsIn(From(start), target, type, ancestor));
    }

    // product { ( "+" | "-" ) product }
    private Expr Sum()
    {
        int start = current.Span.Start;
        Expr left = Product();
        while (current.Kind is TokenKind.Plus or TokenKind.Minus)
        {
            BinaryOperator op = Advance().Kind == TokenKind.Plus ? BinaryOperator.Add : BinaryOperator.Subtract;
            Expr right = Product();
            left = Made(new BinaryExpr(From(start), op, left, right));
        }
        return left;
    }

    // unary { "*" unary }
    private Expr Product()
    {
        int start = current.Span.Start;
        Expr left = Unary();
        while (current.Kind is TokenKind.Star or TokenKind.Slash or TokenKind.Percent)
        {
            Token op = Advance();
            if (op.Kind != TokenKind.Star)
                Report("unsupported_operator", $"Cedar has no {(op.Kind == TokenKind.Slash ? "division" : "remainder")}.", op.Span);
            Expr right = Unary();
            left = Made(new BinaryExpr(From(start), BinaryOperator.Multiply, left, right));
        }
        return left;
    }

    // at most four "!", or at most four "-", then a member
    private Expr Unary()
    {
        int start = current.Span.Start;
        TokenKind kind = current.Kind;
        if (kind is not (TokenKind.Not or TokenKind.Minus)) return Member();
        const int Most = 4;
        int count = 0;
        while (Accept(kind)) count++;
        if (count > Most)
            Report("too_many_operators", $"At most {Most} of '{(kind == TokenKind.Not ? '!' : '-')}' stand in a row.", new(start, end - start));
        count = Math.Min(count, Most);

        Expr operand;
        if (kind == TokenKind.Minus && current.Kind == TokenKind.Number && ahead.Kind is not (TokenKind.Dot or TokenKind.OpenBracket or TokenKind.OpenParenthesis))
        {
            // The sign belongs to the number: the least integer has no positive counterpart.
            operand = Number(negative: true);
            count--;
        }
        else operand = Member();
        UnaryOperator op = kind == TokenKind.Not ? UnaryOperator.Not : UnaryOperator.Negate;
        while (count-- > 0) operand = Made(new UnaryExpr(From(start), op, operand));
        return operand;
    }

    private LiteralExpr Number(bool negative)
    {
        Token token = Advance();
        const ulong Least = 1UL << 63;
        if (!ulong.TryParse(Word(token), NumberStyles.None, CultureInfo.InvariantCulture, out ulong magnitude) || magnitude > (negative ? Least : Least - 1))
            Report("integer_out_of_range", "An integer lies between -9223372036854775808 and 9223372036854775807.", token.Span);
        SourceSpan span = negative ? new(token.Span.Start - 1, token.Span.Length + 1) : token.Span;
        return Made(new LiteralExpr(span, Value.Of(negative ? unchecked(0 - (long)magnitude) : (long)magnitude)));
    }

    /// <summary>Counts the node, and ends the policy when it lies too deep.</summary>
    private T Made<T>(T node)
        where T : Expr
    {
        budget.Nodes++;
        if (node.Depth > Limits.Depth) TooDeep(node.Span);
        return node;
    }

    private void TooDeep(SourceSpan where) =>
        Stop("too_deep", $"Expressions nest at most {Limits.Depth} deep; of one operator but '&&' and '||', as many may follow one another.", where);

    /// <summary>Stands for what could not be read; the policy has an error already.</summary>
    private static LiteralExpr Unknown(SourceSpan where) => new(where, Value.True);

    private void Afford(long size, int times, int start)
    {
        if (!budget.Repeat(size, times))
            Stop("too_large", "'has' with several names, and 'is' with 'in', repeat what stands before them; here that makes the policies too large.", From(start));
    }
}
