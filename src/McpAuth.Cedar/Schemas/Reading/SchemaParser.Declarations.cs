using System.Text;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

internal sealed partial class SchemaParser
{
    private bool ReadEntity(NamespaceSyntax space, IReadOnlyList<KeyValuePair<string, string>> annotations)
    {
        Advance();
        if (ReadNames(() => ReadIdentifier("the name of an entity type")) is not { } names) return false;
        if (IsWord("enum")) return ReadEnumeration(space, names, annotations);

        List<NameSyntax>? parents = [];
        if (IsWord("in"))
        {
            Advance();
            parents = ReadPaths();
            if (parents is null) return false;
        }
        TypeSyntax? shape = null;
        bool equals = Is('=');
        if (equals) Advance();
        if (equals || Is('{'))
        {
            shape = ReadRecord(1);
            if (shape is null) return false;
        }
        TypeSyntax? tags = null;
        if (IsWord("tags"))
        {
            Advance();
            tags = ReadType(1);
            if (tags is null) return false;
        }
        if (!Is(';')) return Unexpected(tags is not null ? "';'" : shape is not null ? "'tags' or ';'" : "'in', '{', 'tags', 'enum' or ';'", ["in", "tags", "enum"]);
        Advance();
        space.Entities.Add(new(names, parents, shape, tags, null, annotations));
        return true;
    }

    private bool ReadEnumeration(NamespaceSyntax space, List<NameSyntax> names, IReadOnlyList<KeyValuePair<string, string>> annotations)
    {
        Advance();
        List<NameSyntax> ids = [];
        if (!Expect('[') || !ReadSeparated(() => ReadText("the id of an entity in quotes"), ids) || !Expect(']') || !Expect(';')) return false;
        space.Entities.Add(new(names, [], null, null, [.. ids.Select(i => i.Name).Distinct(StringComparer.Ordinal)], annotations));
        return true;
    }

    private bool ReadAction(NamespaceSyntax space, IReadOnlyList<KeyValuePair<string, string>> annotations)
    {
        Advance();
        if (ReadNames(ReadName) is not { } names) return false;
        List<ActionNameSyntax>? parents = [];
        if (IsWord("in"))
        {
            Advance();
            parents = ReadActionNames();
            if (parents is null) return false;
        }
        AppliesToSyntax? appliesTo = null;
        if (IsWord("appliesTo"))
        {
            appliesTo = ReadAppliesTo();
            if (appliesTo is null) return false;
        }
        // Attributes of actions are not supported, but an empty list of them may be written.
        if (IsWord("attributes"))
        {
            Advance();
            if (!Expect('{') || !Expect('}')) return false;
        }
        if (!Is(';'))
        {
            if (Is('{') && appliesTo is null) return Fail("unexpected_token", "Expected 'appliesTo' before the braces.");
            return Unexpected(appliesTo is null ? "'in', 'appliesTo' or ';'" : "';'", ["in", "appliesTo"]);
        }
        Advance();
        space.Actions.Add(new(names, parents, appliesTo, annotations));
        return true;
    }

    private List<ActionNameSyntax>? ReadActionNames()
    {
        if (!Is('[')) return ReadActionName() is { } one ? [one] : null;
        Advance();
        List<ActionNameSyntax> all = [];
        return ReadSeparated(ReadActionName, all) && Expect(']') ? all : null;
    }

    /// <summary><c>read</c>, <c>"read"</c>, or <c>Docs::Action::"read"</c>.</summary>
    private ActionNameSyntax? ReadActionName()
    {
        if (token.Kind == TokenKind.Text) return ReadText() is { } id ? new(null, id.Name, id.Place) : null;
        if (ReadIdentifier("the name of an action") is not { } first) return null;
        if (!IsPathSeparator) return new(null, first.Name, first.Place);
        var type = new StringBuilder(first.Name);
        while (true)
        {
            if (!IsPathSeparator)
            {
                Unexpected("'::'");
                return null;
            }
            Advance();
            if (token.Kind == TokenKind.Text)
                return ReadText() is { } id ? new(type.ToString(), id.Name, first.Place.Span.To(last).ToPlace()) : null;
            if (ReadIdentifier("a name, or the id of an action in quotes") is not { } part) return null;
            type.Append("::").Append(part.Name);
        }
    }

    private AppliesToSyntax? ReadAppliesTo()
    {
        Advance();
        SourceSpan start = token.Span;
        if (!Expect('{')) return null;
        List<NameSyntax>? principals = null, resources = null;
        TypeSyntax? context = null;
        while (!Is('}'))
        {
            string word = token.Kind == TokenKind.Word ? text.Substring(token.Span.Start, token.Span.Length) : "";
            bool twice = word switch { "principal" => principals is not null, "resource" => resources is not null, "context" => context is not null, _ => false };
            if (twice)
            {
                Fail("duplicate_member", $"'{word}' stands twice.");
                return null;
            }
            switch (word)
            {
                case "principal":
                    if ((principals = ReadTypesOf(word)) is null) return null;
                    break;
                case "resource":
                    if ((resources = ReadTypesOf(word)) is null) return null;
                    break;
                case "context":
                    if ((context = ReadContext()) is null) return null;
                    break;
                default:
                    Unexpected("'principal', 'resource' or 'context'", ["principal", "resource", "context"]);
                    return null;
            }
            if (Is(',')) Advance();
            else if (!Is('}'))
            {
                Unexpected("',' or '}'");
                return null;
            }
        }
        Advance();
        if (principals is not null && resources is not null) return new(principals, resources, context);
        string missing = principals is null ? "principal" : "resource";
        findings.Error("missing_member", $"'appliesTo' names no '{missing}'.", start.To(last).ToPlace(), "An action that is only a group has no 'appliesTo'.");
        return null;
    }

    private List<NameSyntax>? ReadTypesOf(string word)
    {
        SourceSpan start = token.Span;
        Advance();
        if (!Expect(':') || ReadPaths() is not { } types) return null;
        if (types.Count > 0) return types;
        findings.Error("empty_list", $"The types of '{word}' are none.", start.To(last).ToPlace(), "An action that is only a group has no 'appliesTo'.");
        return null;
    }

    private TypeSyntax? ReadContext()
    {
        Advance();
        if (!Expect(':')) return null;
        if (Is('{')) return ReadRecord(1);
        return ReadTypePath() is { } path ? new NamedTypeSyntax(path.Place, Reference.Common, path.Name) : null;
    }
}
