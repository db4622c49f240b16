using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

internal enum TokenKind
{
    End,
    Word,
    Text,
    Mark,
    Unknown,
}

/// <param name="Kind">Of a <see cref="TokenKind.Mark"/> the span tells which.</param>
internal readonly record struct Token(TokenKind Kind, SourceSpan Span);

/// <summary>The tokens of a schema text, one at a time. Spaces and comments separate them.</summary>
internal sealed class SchemaLexer(string text)
{
    private const string Marks = ",;:{}[]<>=?@()";
    private int at;

    public Token Next()
    {
        SkipSpace();
        int start = at;
        if (at == text.Length) return new(TokenKind.End, new(at, 0));
        char c = text[at++];
        if (Identifiers.IsStart(c))
        {
            at = start + Identifiers.Length(text.AsSpan(start));
            return Made(TokenKind.Word, start);
        }
        if (c == '"') return Made(SkipText() ? TokenKind.Text : TokenKind.Unknown, start);
        if (c == ':' && at < text.Length && text[at] == ':') at++;
        if (char.IsHighSurrogate(c) && at < text.Length && char.IsLowSurrogate(text[at])) at++;
        return Made(Marks.Contains(c, StringComparison.Ordinal) ? TokenKind.Mark : TokenKind.Unknown, start);
    }

    private Token Made(TokenKind kind, int start) => new(kind, new(start, at - start));

    private void SkipSpace()
    {
        while (at < text.Length)
        {
            if (char.IsWhiteSpace(text[at])) at++;
            else if (text.AsSpan(at).StartsWith("//"))
            {
                int line = text.AsSpan(at).IndexOfAny('\r', '\n');
                at = line < 0 ? text.Length : at + line;
            }
            else return;
        }
    }

    /// <returns>Whether the closing quote was found. What stands between is looked at when it is needed.</returns>
    private bool SkipText()
    {
        while (at < text.Length)
        {
            char c = text[at++];
            if (c == '"') return true;
            if (c == '\\' && at < text.Length) at++;
        }
        return false;
    }
}
