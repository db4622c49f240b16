using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Policies;

/// <summary>
/// Reads policies and templates by recursive descent. An error of grammar ends the policy it is in, and reading goes on behind the next semicolon; an
/// error of meaning (an unknown function, a key that stands twice) is reported and reading goes on where it is.
/// </summary>
internal sealed partial class PolicyParser
{
    private readonly string text;
    private readonly PolicyIds ids;
    private readonly PolicyLexer lexer;
    private readonly List<Diagnostic> errors = [];
    private readonly StringPool pool = new();

    private Token current;
    private Token ahead;

    /// <summary>The token that could not be, when <see cref="current"/> is <see cref="TokenKind.Stopped"/>.</summary>
    private Token stoppedAt;

    /// <summary>The end of the token before <see cref="current"/>.</summary>
    private int end;

    private PolicyParser(string text, PolicyIds ids)
    {
        this.text = text;
        this.ids = ids;
        budget = new ExprBudget(text.Length);
        lexer = new PolicyLexer(text);
        current = lexer.Next();
        ahead = lexer.Next();
    }

    public static Parsed<PolicySet> Read(string text, PolicyIds ids)
    {
        if (text.Length > Limits.Text)
            return new([new Diagnostic("too_long", $"A policy text has at most {Limits.Text} characters, and this has {text.Length}.")]);
        var parser = new PolicyParser(text, ids);
        List<Policy> policies = parser.Policies();
        return parser.errors.Count > 0 ? new(parser.errors) : new(new PolicySet(policies));
    }

    private List<Policy> Policies()
    {
        var policies = new List<Policy>();
        var used = new HashSet<string>(StringComparer.Ordinal);
        for (int number = 0; current.Kind != TokenKind.End && errors.Count < Limits.Errors; number++)
        {
            int errorsBefore = errors.Count;
            (string? id, SourceSpan idSpan, PolicyBody? body) = ReadPolicy();
            if (current.Kind == TokenKind.Stopped) Recover();
            id ??= string.Create(System.Globalization.CultureInfo.InvariantCulture, $"policy{number}");
            if (!used.Add(id)) Report("duplicate_id", $"Two policies have the id '{Shown(id)}'.", idSpan);
            if (body is not null && errors.Count == errorsBefore) policies.Add(new Policy(id, body));
        }
        return policies;
    }

    /// <summary>Behind the semicolon that ends the policy with the error.</summary>
    private void Recover()
    {
        current = stoppedAt;
        while (current.Kind is not (TokenKind.Semicolon or TokenKind.End)) Advance();
        Accept(TokenKind.Semicolon);
        // The error was a semicolon within braces: what closes them is no policy.
        while (current.Kind == TokenKind.CloseBrace)
        {
            Advance();
            Accept(TokenKind.Semicolon);
        }
    }

    // annotations, effect "(" scope ")" conditions ";"
    private (string? Id, SourceSpan IdSpan, PolicyBody? Body) ReadPolicy()
    {
        int start = current.Span.Start;
        List<KeyValuePair<string, string>> annotations = Annotations(out SourceSpan idSpan);
        string? id = ids == PolicyIds.FromAnnotation && idSpan.Length > 0 ? annotations.Find(a => a.Key == "id").Value : null;
        SourceSpan effectSpan = current.Span;
        if (id is null) idSpan = effectSpan;
        Effect effect = ReadEffect();
        Expect(TokenKind.OpenParenthesis, "'(' and the scope");
        (EntityScope principal, ActionScope action, EntityScope resource) = Scope(effectSpan);
        Expect(TokenKind.CloseParenthesis, "')'");
        List<Condition> conditions = Conditions();
        Expect(TokenKind.Semicolon, "';', 'when' or 'unless'");
        if (current.Kind == TokenKind.Stopped) return (id, idSpan, null);
        var source = new PolicySource(text, new SourceSpan(start, end - start));
        return (id, idSpan, new PolicyBody(effect, principal, action, resource, conditions, annotations, source));
    }

    // "@" key [ "(" text ")" ]
    private List<KeyValuePair<string, string>> Annotations(out SourceSpan id)
    {
        id = default;
        var annotations = new List<KeyValuePair<string, string>>();
        HashSet<string>? keys = null;
        while (current.Kind == TokenKind.At)
        {
            SourceSpan start = current.Span;
            Advance();
            string key = pool.Get(Word(current));
            if (!Expect(TokenKind.Identifier, "the key of an annotation")) break;
            string value = "";
            if (Accept(TokenKind.OpenParenthesis))
            {
                Token quoted = current;
                if (Expect(TokenKind.String, "the annotation's value, a text in quotes")) value = Unescape(quoted);
                Expect(TokenKind.CloseParenthesis, "')'");
            }
            SourceSpan whole = new(start.Start, end - start.Start);
            if (key == "id") id = whole;
            if (!(keys ??= new(StringComparer.Ordinal)).Add(key)) Report("duplicate_annotation", $"The annotation '@{Shown(key)}' stands twice.", whole);
            else annotations.Add(new(key, value));
        }
        return annotations;
    }

    private Effect ReadEffect()
    {
        if (current.Kind != TokenKind.Identifier)
        {
            Unexpected("'permit', 'forbid' or an annotation");
            return default;
        }
        Token token = Advance();
        switch (Word(token))
        {
            case "permit": return Effect.Permit;
            case "forbid": return Effect.Forbid;
            default:
                string word = Word(token).ToString();
                Report("invalid_effect", $"A policy begins with 'permit' or 'forbid', not with '{Shown(word)}'.", token.Span,
                    NearMiss.Help(word, ["permit", "forbid"]));
                return default;
        }
    }

    // ("when" | "unless") "{" expression "}"
    private List<Condition> Conditions()
    {
        var conditions = new List<Condition>();
        while (current.Kind == TokenKind.Identifier)
        {
            Token keyword = Advance();
            string word = Word(keyword).ToString();
            if (word is "permit" or "forbid")
            {
                Stop("missing_semicolon", "The policy before this one has no ';' at its end.", keyword.Span);
                break;
            }
            if (word is not ("when" or "unless"))
                Report("invalid_condition", $"A condition begins with 'when' or 'unless', not with '{Shown(word)}'.", keyword.Span,
                    NearMiss.Help(word, ["when", "unless"]));
            Expect(TokenKind.OpenBrace, "'{'");
            if (current.Kind == TokenKind.CloseBrace)
            {
                Report("empty_condition", $"There is nothing in the braces of '{Shown(word)}'.", keyword.Span.To(current.Span));
                Advance();
                continue;
            }
            conditions.Add(new Condition(word == "unless", Expression()));
            if (current.Kind == TokenKind.Assign) UseTwoEqualSigns();
            Expect(TokenKind.CloseBrace, "an operator or '}'");
        }
        return conditions;
    }
}
