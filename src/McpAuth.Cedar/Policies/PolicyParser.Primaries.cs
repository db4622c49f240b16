using System.Text;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>What stands between operators: literals, variables, names, sets, records, parentheses.</summary>
internal sealed partial class PolicyParser
{
    private Expr Primary()
    {
        Token token = current;
        switch (token.Kind)
        {
            case TokenKind.Number:
                return Number(negative: false);
            case TokenKind.String:
                Advance();
                return Made(new LiteralExpr(token.Span, Value.Of(Unescape(token))));
            case TokenKind.OpenParenthesis:
                Advance();
                Expr inner = Expression();
                if (current.Kind == TokenKind.Assign) UseTwoEqualSigns();
                Expect(TokenKind.CloseParenthesis, "an operator or ')'");
                return inner;
            case TokenKind.OpenBracket:
                Advance();
                List<Expr> members = List(TokenKind.CloseBracket, "']'");
                return Made(new SetExpr(From(token.Span.Start), [.. members]));
            case TokenKind.OpenBrace:
                return Record();
            case TokenKind.Slot:
                Advance();
                if (Word(token) is "?principal" or "?resource")
                    Report("slot_in_condition", "Slots stand in the scope only.", token.Span, $"use '{Word(token)[1..]}'");
                else Report("invalid_slot", "The slots are '?principal' and '?resource'.", token.Span);
                return Unknown(token.Span);
            case TokenKind.Identifier:
                return Named();
            case TokenKind.Assign:
                UseTwoEqualSigns();
                return Unknown(token.Span);
            case TokenKind.Not or TokenKind.Minus:
                Unexpected("an operand", "put parentheses around it");
                return Unknown(token.Span);
            default:
                Unexpected("an expression");
                return Unknown(token.Span);
        }
    }

    private Expr Named()
    {
        Token token = current;
        ReadOnlySpan<char> word = Word(token);
        if (ahead.Kind != TokenKind.Colons)
        {
            switch (word)
            {
                case "true" or "false":
                    Advance();
                    return Made(new LiteralExpr(token.Span, Value.Of(word is "true")));
                case "principal" or "action" or "resource" or "context":
                    Advance();
                    return Made(new VariableExpr(token.Span, word switch
                    {
                        "principal" => Variable.Principal,
                        "action" => Variable.Action,
                        "resource" => Variable.Resource,
                        _ => Variable.Context,
                    }));
                case "if":
                    Unexpected("an operand", "put parentheses around 'if … then … else …'");
                    return Unknown(token.Span);
                case "then" or "else" or "in" or "is" or "like" or "has":
                    Unexpected("an expression");
                    return Unknown(token.Span);
            }
        }
        (string name, Token? id) = NameOrEntity();
        SourceSpan span = From(token.Span.Start);
        if (id is { } quoted) return Made(new LiteralExpr(span, Value.Of(new EntityUid(name, Unescape(quoted)))));
        if (current.Kind == TokenKind.OpenParenthesis) return Function(name, span);
        if (current.Kind != TokenKind.Stopped)
            Report("unknown_name", $"'{Shown(name)}' is no variable.", span,
                NearMiss.Help(name, Variables) ?? (name.Contains(':', StringComparison.Ordinal) ? $"an entity is '{Shown(name)}::\"…\"'" : $"a text stands in quotes, an entity is 'T::\"…\"'"));
        return Unknown(span);
    }

    private static readonly string[] Variables = ["principal", "action", "resource", "context", "true", "false"];

    /// <summary>A name with its namespaces, or with <c>::"id"</c> behind it an entity.</summary>
    private (string Name, Token? Id) NameOrEntity()
    {
        Token part = Advance();
        if (Identifiers.IsReserved(Word(part))) ReportReserved(part);
        if (current.Kind != TokenKind.Colons) return (pool.Get(Word(part)), null);
        var name = new StringBuilder().Append(Word(part));
        while (Accept(TokenKind.Colons))
        {
            part = current;
            if (part.Kind == TokenKind.String)
            {
                Advance();
                return (Pooled(name), part);
            }
            if (part.Kind == TokenKind.OpenBrace) Stop("invalid_entity", "An entity is its type and a text: T::\"id\".", part.Span);
            if (!Expect(TokenKind.Identifier, "a name, or a text in quotes,")) break;
            if (Identifiers.IsReserved(Word(part))) ReportReserved(part);
            name.Append("::").Append(Word(part));
        }
        return (Pooled(name), null);
    }

    private string Pooled(StringBuilder name) => pool.Get(name.ToString());

    private void ReportReserved(Token token, string? help = null) =>
        Report("reserved_word", $"'{Word(token)}' is a reserved word and no name.", token.Span, help);

    /// <summary>The type behind <c>is</c>.</summary>
    private string TypeName()
    {
        if (current.Kind != TokenKind.Identifier)
        {
            Unexpected("the name of an entity type", current.Kind == TokenKind.String ? "without quotes" : null);
            return "";
        }
        int start = current.Span.Start;
        (string name, Token? id) = NameOrEntity();
        if (id is not null) Report("invalid_type", "Behind 'is' stands a type, not an entity.", From(start), "compare entities by '==' or 'in'");
        else if (current.Kind is TokenKind.Dot or TokenKind.OpenParenthesis or TokenKind.OpenBracket)
            Stop("invalid_type", "Behind 'is' stands the name of an entity type.", current.Span, "namespaces end with '::'");
        return name;
    }

    // "{" [ key ":" expression { "," key ":" expression } [","] ] "}"
    private RecordExpr Record()
    {
        int start = current.Span.Start;
        Advance();
        var names = new List<string>();
        var values = new List<Expr>();
        HashSet<string>? used = null;
        while (current.Kind is not (TokenKind.CloseBrace or TokenKind.Stopped))
        {
            Token token = current;
            string key = Key();
            if (!(used ??= new(StringComparer.Ordinal)).Add(key)) Report("duplicate_key", $"The key '{Shown(key)}' stands twice in this record.", token.Span);
            Expect(TokenKind.Colon, "':'");
            names.Add(key);
            values.Add(Expression());
            if (!Accept(TokenKind.Comma) && current.Kind != TokenKind.CloseBrace) Unexpected("an operator, ',' or '}'");
        }
        Expect(TokenKind.CloseBrace, "'}'");
        return Made(new RecordExpr(From(start), [.. names], [.. values]));
    }

    private string Key()
    {
        Token token = current;
        if (token.Kind == TokenKind.String)
        {
            Advance();
            return pool.Get(Unescape(token));
        }
        if (!Expect(TokenKind.Identifier, "a key: a name, or a text in quotes,")) return "";
        if (Identifiers.IsReserved(Word(token))) ReportReserved(token, "put it in quotes");
        return pool.Get(Word(token));
    }
}
