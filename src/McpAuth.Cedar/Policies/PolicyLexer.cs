using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Policies;

/// <summary>The tokens of a policy text, one after the other; nothing is kept, whatever the length.</summary>
internal sealed class PolicyLexer(string text)
{
    private int at;

    public Token Next()
    {
        SkipBlanks();
        if (at == text.Length) return new(TokenKind.End, new(at, 0));
        char c = text[at];
        if (Identifiers.IsStart(c)) return Take(TokenKind.Identifier, Identifiers.Length(text.AsSpan(at)));
        if (char.IsAsciiDigit(c))
        {
            int end = text.AsSpan(at).IndexOfAnyExceptInRange('0', '9');
            return Take(TokenKind.Number, end < 0 ? text.Length - at : end);
        }
        char next = at + 1 < text.Length ? text[at + 1] : '\0';
        return c switch
        {
            '"' => Quoted(),
            '?' when Identifiers.IsStart(next) => Take(TokenKind.Slot, 1 + Identifiers.Length(text.AsSpan(at + 1))),
            '@' => Take(TokenKind.At, 1),
            '.' => Take(TokenKind.Dot, 1),
            ',' => Take(TokenKind.Comma, 1),
            ';' => Take(TokenKind.Semicolon, 1),
            ':' => next == ':' ? Take(TokenKind.Colons, 2) : Take(TokenKind.Colon, 1),
            '(' => Take(TokenKind.OpenParenthesis, 1),
            ')' => Take(TokenKind.CloseParenthesis, 1),
            '{' => Take(TokenKind.OpenBrace, 1),
            '}' => Take(TokenKind.CloseBrace, 1),
            '[' => Take(TokenKind.OpenBracket, 1),
            ']' => Take(TokenKind.CloseBracket, 1),
            '=' => next == '=' ? Take(TokenKind.Equal, 2) : Take(TokenKind.Assign, 1),
            '!' => next == '=' ? Take(TokenKind.NotEqual, 2) : Take(TokenKind.Not, 1),
            '<' => next == '=' ? Take(TokenKind.LessOrEqual, 2) : Take(TokenKind.Less, 1),
            '>' => next == '=' ? Take(TokenKind.GreaterOrEqual, 2) : Take(TokenKind.Greater, 1),
            '|' when next == '|' => Take(TokenKind.Or, 2),
            '&' when next == '&' => Take(TokenKind.And, 2),
            '+' => Take(TokenKind.Plus, 1),
            '-' => Take(TokenKind.Minus, 1),
            '*' => Take(TokenKind.Star, 1),
            '/' => Take(TokenKind.Slash, 1),
            '%' => Take(TokenKind.Percent, 1),
            _ => Take(TokenKind.Invalid, char.IsHighSurrogate(c) && char.IsLowSurrogate(next) ? 2 : 1),
        };
    }

    private Token Take(TokenKind kind, int length)
    {
        at += length;
        return new(kind, new(at - length, length));
    }

    private void SkipBlanks()
    {
        while (at < text.Length)
        {
            if (char.IsWhiteSpace(text[at])) at++;
            else if (text[at] == '/' && at + 1 < text.Length && text[at + 1] == '/')
            {
                int end = text.AsSpan(at).IndexOfAny('\n', '\r');
                at = end < 0 ? text.Length : at + end;
            }
            else return;
        }
    }

    /// <summary>To the closing quote; lines may end within. What the escapes mean is found out later, but none may be of a line's end.</summary>
    private Token Quoted()
    {
        int i = at + 1;
        while (true)
        {
            int stop = text.AsSpan(i).IndexOfAny('"', '\\');
            if (stop < 0) break;
            i += stop;
            if (text[i] == '"') return Take(TokenKind.String, i + 1 - at);
            if (i + 1 == text.Length) break;
            if (text[i + 1] == '\n') return Take(TokenKind.Invalid, i + 1 - at);
            i += 2;
        }
        return Take(TokenKind.Invalid, text.Length - at); // the rest of the text belongs to it: reported once
    }
}
