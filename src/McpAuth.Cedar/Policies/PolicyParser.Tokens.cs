using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Policies;

/// <summary>Tokens and errors.</summary>
internal sealed partial class PolicyParser
{
    /// <summary>As much of a name or text as a message shows.</summary>
    private const int ShownLength = 40;

    private Token Advance()
    {
        Token token = current;
        if (token.Kind == TokenKind.Stopped) return token;
        end = token.Span.End;
        current = ahead;
        if (ahead.Kind != TokenKind.End) ahead = lexer.Next();
        return token;
    }

    private bool Accept(TokenKind kind)
    {
        if (current.Kind != kind) return false;
        Advance();
        return true;
    }

    private bool Expect(TokenKind kind, string what)
    {
        if (Accept(kind)) return true;
        Unexpected(what);
        return false;
    }

    private ReadOnlySpan<char> Word(Token token) => text.AsSpan(token.Span.Start, token.Span.Length);

    private bool IsWord(string word) => current.Kind == TokenKind.Identifier && Word(current).SequenceEqual(word);

    private SourceSpan From(int start) => new(start, end - start);

    private void Report(string code, string message, SourceSpan where, string? help = null)
    {
        // What comes behind an error of grammar would be made up.
        if (current.Kind == TokenKind.Stopped || errors.Count >= Limits.Errors) return;
        errors.Add(new Diagnostic(code, message, new SourceLocation(text, where), Help: help));
    }

    /// <summary>Reports and ends the policy: the parser sees no more of its tokens.</summary>
    private void Stop(string code, string message, SourceSpan where, string? help = null)
    {
        if (current.Kind == TokenKind.Stopped) return;
        Report(code, message, where, help);
        stoppedAt = current;
        current = new(TokenKind.Stopped, current.Span);
    }

    private void Unexpected(string expected, string? help = null)
    {
        if (current.Kind == TokenKind.Invalid) InvalidToken();
        else if (current.Kind == TokenKind.End)
            Stop("unexpected_end", $"Here {expected} is expected, but the text ends.", current.Span, help);
        else Stop("unexpected_token", $"Here {expected} is expected, not {Described(current)}.", current.Span, help);
    }

    private void InvalidToken()
    {
        ReadOnlySpan<char> found = Word(current);
        if (found[0] == '"')
        {
            if (found.Length > 1 && found[^1] == '\\' && current.Span.End < text.Length)
                Stop("invalid_escape", "A backslash cannot stand at the end of a line.", new(current.Span.End - 1, 1));
            else Stop("unterminated_text", "This text has no closing quote.", new(current.Span.Start, 1));
            return;
        }
        string? help = found switch
        {
            "&" => "use '&&'",
            "|" => "use '||'",
            "'" => "texts stand in double quotes",
            "?" => "a slot is '?principal' or '?resource'",
            _ => null,
        };
        string shown = char.IsControl(found[0]) || char.IsSurrogate(found[0]) && found.Length == 1 || found[0] == '\uFEFF'
            ? $"U+{(int)found[0]:X4}" : found.ToString();
        Stop("invalid_character", $"The character '{shown}' has no meaning here.", current.Span, help);
    }

    private string Described(Token token) => token.Kind switch
    {
        TokenKind.String => $"the text {Shown(Word(token).ToString())}",
        TokenKind.Number => $"the number {Shown(Word(token).ToString())}",
        _ => $"'{Shown(Word(token).ToString())}'",
    };

    private static string Shown(string name) => name.Length <= ShownLength ? name : string.Concat(name.AsSpan(0, ShownLength), "…");

    /// <summary>What a text in quotes means; empty, and an error, when an escape is none.</summary>
    private string Unescape(Token quoted)
    {
        if (EscapedText.Read(Inside(quoted), out EscapedText.Fault fault) is { } value) return value;
        ReportEscape(quoted, fault);
        return "";
    }

    private ReadOnlySpan<char> Inside(Token quoted) => Word(quoted)[1..^1];

    private void ReportEscape(Token quoted, EscapedText.Fault fault) =>
        Report("invalid_escape", fault.Message, new(quoted.Span.Start + 1 + fault.Start, fault.Length));
}
