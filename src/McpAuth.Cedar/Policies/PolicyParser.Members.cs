using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Policies;

/// <summary>Attributes, methods and functions.</summary>
internal sealed partial class PolicyParser
{
    // primary { "." name | "." name "(" arguments ")" | "[" text "]" }
    private Expr Member()
    {
        int start = current.Span.Start;
        Expr member = Primary();
        while (true)
        {
            switch (current.Kind)
            {
                case TokenKind.Dot:
                    Advance();
                    Token name = current;
                    string field = FieldName();
                    if (current.Kind == TokenKind.OpenParenthesis) member = Method(member, field, name.Span, start);
                    else member = Made(new AttributeExpr(From(start), member, field));
                    break;
                case TokenKind.OpenBracket:
                    Advance();
                    member = Made(new AttributeExpr(From(start), member, Index()));
                    break;
                case TokenKind.OpenParenthesis:
                    Report("not_callable", "Only functions and methods are called.", From(start));
                    Arguments();
                    member = Unknown(From(start));
                    break;
                default:
                    return member;
            }
        }
    }

    private string FieldName()
    {
        Token token = current;
        if (!Expect(TokenKind.Identifier, "the name of an attribute")) return "";
        if (Identifiers.IsReserved(Word(token))) ReportReserved(token, $"write it as [\"{Word(token)}\"], or behind 'has' in quotes");
        return pool.Get(Word(token));
    }

    private string Index()
    {
        if (current.Kind == TokenKind.String && ahead.Kind == TokenKind.CloseBracket)
        {
            string name = pool.Get(Unescape(Advance()));
            Advance();
            return name;
        }
        int start = current.Span.Start;
        Expression();
        Report("invalid_index", "In brackets stands the name of an attribute: a text in quotes.", From(start));
        Expect(TokenKind.CloseBracket, "']'");
        return "";
    }

    // "(" [ expression { "," expression } [","] ] ")"
    private List<Expr> Arguments()
    {
        Advance();
        return List(TokenKind.CloseParenthesis, "')'");
    }

    private List<Expr> List(TokenKind close, string closing)
    {
        var members = new List<Expr>();
        while (current.Kind != close && current.Kind != TokenKind.Stopped)
        {
            members.Add(Expression());
            if (!Accept(TokenKind.Comma) && current.Kind != close)
            {
                if (current.Kind == TokenKind.Assign) UseTwoEqualSigns();
                else Unexpected($"an operator, ',' or {closing}");
            }
        }
        Expect(close, closing);
        return members;
    }

    private Expr Method(Expr target, string name, SourceSpan nameSpan, int start)
    {
        List<Expr> arguments = Arguments();
        SourceSpan span = From(start);
        if (BuiltIn(name) is { } op) return HasArguments(name, 1, arguments, nameSpan) ? Made(new BinaryExpr(span, op, target, arguments[0])) : Unknown(span);
        if (name == "isEmpty") return HasArguments(name, 0, arguments, nameSpan) ? Made(new UnaryExpr(span, UnaryOperator.IsEmpty, target)) : Unknown(span);
        switch (ExtensionFunction.Find(name))
        {
            case { IsMethod: true } method:
                return Made(new CallExpr(span, method, [target, .. arguments]));
            case not null:
                Report("function_as_method", $"'{name}' is a function, not a method.", nameSpan, $"use '{name}(…)'");
                return Unknown(span);
            default:
                Report("unknown_method", $"There is no method '{Shown(name)}'.", nameSpan, NearMiss.Help(name, Methods));
                return Unknown(span);
        }
    }

    /// <summary>Built-in methods are operators, so the number of arguments is part of the grammar.</summary>
    private bool HasArguments(string name, int count, List<Expr> arguments, SourceSpan where)
    {
        if (arguments.Count == count) return true;
        Report("wrong_arity", $"'{name}' takes {(count == 0 ? "no argument" : "one argument")}, and here are {arguments.Count}.", where);
        return false;
    }

    private Expr Function(string name, SourceSpan nameSpan)
    {
        List<Expr> arguments = Arguments();
        SourceSpan span = From(nameSpan.Start);
        switch (ExtensionFunction.Find(name))
        {
            case { IsMethod: false } function:
                return Made(new CallExpr(span, function, [.. arguments]));
            case not null:
                MethodAsFunction();
                break;
            default:
                if (Methods.Contains(name)) MethodAsFunction();
                else Report("unknown_function", $"There is no function '{Shown(name)}'.", nameSpan, NearMiss.Help(name, Functions));
                break;
        }
        return Unknown(span);

        void MethodAsFunction() => Report("method_as_function", $"'{name}' is a method, not a function.", nameSpan, $"use 'x.{name}(…)'");
    }

    private static BinaryOperator? BuiltIn(string method) => method switch
    {
        "contains" => BinaryOperator.Contains,
        "containsAll" => BinaryOperator.ContainsAll,
        "containsAny" => BinaryOperator.ContainsAny,
        "getTag" => BinaryOperator.GetTag,
        "hasTag" => BinaryOperator.HasTag,
        _ => null,
    };

    private static readonly string[] Functions = [.. ExtensionFunction.Names.Where(n => !ExtensionFunction.Find(n)!.IsMethod)];

    private static readonly string[] Methods =
    [
        "contains", "containsAll", "containsAny", "isEmpty", "getTag", "hasTag", .. ExtensionFunction.Names.Where(n => ExtensionFunction.Find(n)!.IsMethod),
    ];
}
