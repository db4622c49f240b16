using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>A tool's arguments as a schema would write their type.</summary>
internal static class InputSyntax
{
    /// <param name="notes">Gets what has no type, each with the tool's name before the path.</param>
    public static TypeSyntax Of(McpTool tool, List<Diagnostic> notes)
    {
        InputType input = InputTypes.Of(tool.InputSchema);
        notes.AddRange(input.Notes.Select(n => n with { Path = $"{tool.Name}: {n.Path}" }));
        return Of(input.Type);
    }

    /// <summary>As deep as <see cref="InputTypes"/> lets types be.</summary>
    private static TypeSyntax Of(CedarType type) => type switch
    {
        RecordType record => new RecordTypeSyntax(default, [.. record.Attributes.Select(a => new AttributeSyntax(new(a.Key, default), Of(a.Value.Type), a.Value.Required, []))]),
        SetType set => new SetTypeSyntax(default, Of(set.Element)),
        PrimitiveType { Kind: ValueKind.Bool } => Named("Bool"),
        PrimitiveType { Kind: ValueKind.Long } => Named("Long"),
        PrimitiveType { Kind: ValueKind.Decimal } => Named("decimal"),
        _ => Named("String"),
    };

    private static NamedTypeSyntax Named(string name) => new(default, Reference.Common, name);
}
