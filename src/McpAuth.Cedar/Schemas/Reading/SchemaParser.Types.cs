using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

internal sealed partial class SchemaParser
{
    /// <param name="depth">Of this type within the declaration; checked before anything is read deeper.</param>
    private TypeSyntax? ReadType(int depth)
    {
        if (depth > Limits.Depth)
        {
            Fail("too_deep", $"Types nest more than {Limits.Depth} deep here.");
            return null;
        }
        if (Is('{')) return ReadRecord(depth);
        SourceSpan start = token.Span;
        if (ReadTypePath() is not { } path) return null;
        // 'Set' alone is a name like others: a type may be called so.
        if (path.Name != "Set" || !Is('<')) return new NamedTypeSyntax(path.Place, Reference.EntityOrCommon, path.Name);
        Advance();
        if (ReadType(depth + 1) is not { } element || !Expect('>')) return null;
        return new SetTypeSyntax(start.To(last).ToPlace(), element);
    }

    private NameSyntax? ReadTypePath()
    {
        if (token.Kind == TokenKind.Word) return ReadPath();
        Unexpected("a type");
        return null;
    }

    private RecordTypeSyntax? ReadRecord(int depth)
    {
        SourceSpan start = token.Span;
        if (!Expect('{')) return null;
        List<AttributeSyntax> attributes = [];
        Dictionary<string, int> names = new(StringComparer.Ordinal);
        while (!Is('}'))
        {
            if (ReadAttribute(depth) is not { } attribute) return null;
            if (names.TryGetValue(attribute.Name.Name, out int before))
            {
                // Cedar takes the last one and says nothing.
                findings.Warning("duplicate_attribute", $"The attribute '{attribute.Name.Name}' stands twice; only the last one counts.", attribute.Name.Place);
                attributes[before] = attribute;
            }
            else
            {
                names.Add(attribute.Name.Name, attributes.Count);
                attributes.Add(attribute);
            }
            if (Is(',')) Advance();
            else if (!Is('}'))
            {
                Unexpected("',' or '}'");
                return null;
            }
        }
        Advance();
        return new(start.To(last).ToPlace(), attributes);
    }

    private AttributeSyntax? ReadAttribute(int depth)
    {
        if (ReadAnnotations() is not { } annotations || ReadName() is not { } name) return null;
        bool optional = Is('?');
        if (optional) Advance();
        if (!Expect(':') || ReadType(depth + 1) is not { } type) return null;
        return new(name, type, !optional, annotations);
    }
}
