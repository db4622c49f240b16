using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Policies;

internal enum TokenKind
{
    /// <summary>The end of the text.</summary>
    End,

    /// <summary>After an error the parser sees no more tokens of the policy.</summary>
    Stopped,

    /// <summary>A character that begins no token, or a text without its end.</summary>
    Invalid,
    Identifier,
    Number,
    String,

    /// <summary><c>?principal</c> or another name.</summary>
    Slot,
    At,
    Dot,
    Comma,
    Semicolon,
    Colon,
    Colons,
    OpenParenthesis,
    CloseParenthesis,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Or,
    And,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Not,

    /// <summary>A single <c>=</c>: no token of the language, but a common mistake.</summary>
    Assign,
}

internal readonly record struct Token(TokenKind Kind, SourceSpan Span);
