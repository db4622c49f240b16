using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

/// <summary>
/// The text form of a schema (Cedar schema grammar of language version 4.5). After an error it goes on behind the next semicolon, so that one
/// reading finds what is wrong in every declaration. A method that reads something gives null when it reported why it cannot.
/// </summary>
internal sealed partial class SchemaParser
{
    private static readonly string[] Declarations = ["entity", "action", "type", "namespace"];

    private readonly string text;
    private readonly SchemaLexer lexer;
    private readonly Findings findings;
    private readonly Dictionary<string, NamespaceSyntax> namespaces = new(StringComparer.Ordinal);
    private Token token;
    private SourceSpan last;
    private int braces;

    private SchemaParser(string text, Findings findings)
    {
        (this.text, this.findings) = (text, findings);
        lexer = new(text);
        token = lexer.Next();
    }

    public static SchemaSyntax Parse(string text, Findings findings)
    {
        if (text.Length > Limits.Text)
        {
            findings.Error("too_long", $"The schema has {text.Length} characters; at most {Limits.Text} are read.", default);
            return new([]);
        }
        return new SchemaParser(text, findings).ReadAll();
    }

    private SchemaSyntax ReadAll()
    {
        // Declarations outside of any namespace stand together in the empty one.
        var empty = new NamespaceSyntax(null, default, []);
        while (token.Kind != TokenKind.End && !findings.Full)
        {
            var annotations = ReadAnnotations();
            if (annotations is null) Recover(0);
            else if (IsWord("namespace")) ReadNamespace(annotations);
            else ReadDeclaration(empty, annotations);
        }
        bool any = empty.CommonTypes.Count + empty.Entities.Count + empty.Actions.Count > 0;
        return new([.. any ? [empty] : Array.Empty<NamespaceSyntax>(), .. namespaces.Values]);
    }

    private void ReadNamespace(IReadOnlyList<KeyValuePair<string, string>> annotations)
    {
        Advance();
        if (ReadPath() is not { } name || !Expect('{'))
        {
            Recover(0);
            return;
        }
        var space = new NamespaceSyntax(name.Name, name.Place, annotations);
        if (SchemaWords.IsCedars(name.Name)) Reserved(name);
        else if (!namespaces.TryAdd(name.Name, space))
            findings.Error("duplicate_namespace", $"The namespace '{name.Name}' stands twice.", name.Place, "Put all of its declarations into one block.");
        while (!Is('}') && token.Kind != TokenKind.End && !findings.Full)
        {
            if (ReadAnnotations() is { } own) ReadDeclaration(space, own);
            else Recover(1);
        }
        if (!Expect('}')) return;
        if (!Is(';')) return;
        findings.Error("unexpected_token", "No ';' follows a namespace.", token.Span.ToPlace());
        Advance();
    }

    private void ReadDeclaration(NamespaceSyntax space, IReadOnlyList<KeyValuePair<string, string>> annotations)
    {
        int outside = braces;
        string word = token.Kind == TokenKind.Word ? text.Substring(token.Span.Start, token.Span.Length) : "";
        bool read = word switch
        {
            "entity" => ReadEntity(space, annotations),
            "action" => ReadAction(space, annotations),
            "type" => ReadCommonType(space, annotations),
            "namespace" => Fail("nested_namespace", "A namespace cannot stand within another one.", "Write its full name, such as 'A::B'."),
            _ => Unexpected("'entity', 'action', 'type' or 'namespace'", Declarations),
        };
        if (!read) Recover(outside);
    }

    private bool ReadCommonType(NamespaceSyntax space, IReadOnlyList<KeyValuePair<string, string>> annotations)
    {
        Advance();
        if (ReadIdentifier() is not { } name || !Expect('=') || ReadType(1) is not { } type || !Expect(';')) return false;
        space.CommonTypes.Add(new(name, type, annotations));
        return true;
    }

    /// <summary>Null where one is wrong; empty where there are none.</summary>
    private List<KeyValuePair<string, string>>? ReadAnnotations()
    {
        List<KeyValuePair<string, string>> all = [];
        HashSet<string>? keys = null;
        while (Is('@'))
        {
            Advance();
            if (token.Kind != TokenKind.Word) return Unexpected("the name of an annotation") ? all : null;
            string key = Advance();
            string value = "";
            if (!(keys ??= new(StringComparer.Ordinal)).Add(key))
            {
                findings.Error("duplicate_annotation", $"The annotation '{key}' stands twice.", last.ToPlace());
                return null;
            }
            if (Is('('))
            {
                Advance();
                if (ReadText() is not { } written || !Expect(')')) return null;
                value = written.Name;
            }
            all.Add(new(key, value));
        }
        return all;
    }

    /// <summary>Behind the next semicolon, or before the brace that closes what stands around the declaration.</summary>
    private void Recover(int outside)
    {
        while (token.Kind != TokenKind.End)
        {
            if (braces <= outside && Is(';'))
            {
                Advance();
                return;
            }
            if (braces <= outside && Is('}'))
            {
                if (outside == 0) Advance(); // closes nothing; whoever stops before it would never get on
                return;
            }
            Advance();
        }
    }

    private bool Is(char mark) => token.Kind == TokenKind.Mark && token.Span.Length == 1 && text[token.Span.Start] == mark;

    private bool IsPathSeparator => token.Kind == TokenKind.Mark && token.Span.Length == 2;

    private bool IsWord(string word) => token.Kind == TokenKind.Word && text.AsSpan(token.Span.Start, token.Span.Length).SequenceEqual(word);

    /// <returns>The text of the token that was passed.</returns>
    private string Advance()
    {
        if (Is('{')) braces++;
        else if (Is('}')) braces = Math.Max(0, braces - 1);
        last = token.Span;
        string passed = token.Kind == TokenKind.Word ? text.Substring(last.Start, last.Length) : "";
        token = lexer.Next();
        return passed;
    }

    private bool Expect(char mark)
    {
        if (!Is(mark)) return Unexpected($"'{mark}'");
        Advance();
        return true;
    }

    /// <returns>False, always.</returns>
    private bool Unexpected(string expected, IEnumerable<string>? words = null)
    {
        string found = token.Kind switch
        {
            TokenKind.End => "the text ends here",
            TokenKind.Unknown when text[token.Span.Start] == '"' => "here a text begins that has no end",
            _ => $"here stands '{Shown(token.Span)}'",
        };
        string? help = words is not null && token.Kind == TokenKind.Word ? NearMiss.Help(text.Substring(token.Span.Start, token.Span.Length), words) : null;
        findings.Error("unexpected_token", $"Expected {expected}, but {found}.", token.Span.ToPlace(), help);
        return false;
    }

    private bool Fail(string code, string message, string? help = null)
    {
        findings.Error(code, message, token.Span.ToPlace(), help);
        return false;
    }

    private void Reserved(NameSyntax name) =>
        findings.Error("reserved_name", $"The name '{name.Name}' is not free: '{SchemaWords.Cedar}' belongs to the built-in types.", name.Place);

    private string Shown(SourceSpan span) => span.Length <= 40 ? text.Substring(span.Start, span.Length) : string.Concat(text.AsSpan(span.Start, 40), "…");
}

/// <summary>Spans of a text as places.</summary>
internal static class SpanPlaces
{
    public static Place ToPlace(this SourceSpan span) => new(span);
}
