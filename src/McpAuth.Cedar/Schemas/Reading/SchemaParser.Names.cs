using System.Text;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

internal sealed partial class SchemaParser
{
    private NameSyntax? ReadIdentifier(string expected = "a name")
    {
        if (token.Kind != TokenKind.Word)
        {
            Unexpected(expected);
            return null;
        }
        SourceSpan span = token.Span;
        string name = text.Substring(span.Start, span.Length);
        if (SchemaWords.IsReserved(name))
        {
            Fail("reserved_name", $"'{name}' is a word of the policy language and no name.");
            return null;
        }
        Advance();
        return new(name, span.ToPlace());
    }

    /// <summary>The text between quotes.</summary>
    private NameSyntax? ReadText(string expected = "a text in quotes")
    {
        if (token.Kind != TokenKind.Text)
        {
            Unexpected(expected);
            return null;
        }
        SourceSpan span = token.Span;
        if (EscapedText.Read(text.AsSpan(span.Start + 1, span.Length - 2), out EscapedText.Fault fault) is not { } value)
        {
            findings.Error("invalid_escape", fault.Message, new SourceSpan(span.Start + 1 + fault.Start, fault.Length).ToPlace());
            return null;
        }
        Advance();
        return new(value, span.ToPlace());
    }

    /// <summary>An identifier, or any text between quotes.</summary>
    private NameSyntax? ReadName() => token.Kind == TokenKind.Text ? ReadText() : ReadIdentifier("a name, or a text in quotes");

    /// <summary>SchemaWords joined by <c>::</c>.</summary>
    private NameSyntax? ReadPath()
    {
        if (ReadIdentifier() is not { } first) return null;
        if (!IsPathSeparator) return first;
        var path = new StringBuilder(first.Name);
        while (IsPathSeparator)
        {
            Advance();
            if (ReadIdentifier() is not { } part) return null;
            path.Append("::").Append(part.Name);
        }
        return new(path.ToString(), first.Place.Span.To(last).ToPlace());
    }

    /// <summary>One path, or any number in brackets.</summary>
    private List<NameSyntax>? ReadPaths()
    {
        if (!Is('[')) return ReadPath() is { } one ? [one] : null;
        Advance();
        List<NameSyntax> all = [];
        if (!Is(']'))
        {
            if (!ReadSeparated(ReadPath, all)) return null;
        }
        return Expect(']') ? all : null;
    }

    /// <summary>One or more with commas between.</summary>
    private bool ReadSeparated<T>(Func<T?> read, List<T> into)
        where T : struct
    {
        while (true)
        {
            if (read() is not { } one) return false;
            into.Add(one);
            if (!Is(',')) return true;
            Advance();
        }
    }

    private List<NameSyntax>? ReadNames(Func<NameSyntax?> read)
    {
        List<NameSyntax> all = [];
        return ReadSeparated(read, all) ? all : null;
    }
}
