using McpAuth.Cedar.Schemas.Reading;
using McpAuth.Cedar.Schemas.Resolution;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

/// <summary>A schema: which entity types, actions and contexts there are. Resolved and well-formed; immutable.</summary>
public sealed partial class CedarSchema
{
    private readonly SchemaSyntax syntax;
    private readonly SchemaNames names;
    private readonly Dictionary<string, HashSet<string>> enumerations;

    /// <param name="syntax">What it was read from, to be written back.</param>
    internal CedarSchema(IEnumerable<EntityTypeDeclaration> entityTypes, IEnumerable<ActionDeclaration> actions, SchemaSyntax syntax, SchemaNames names)
    {
        EntityTypes = entityTypes.ToDictionary(e => e.Name, StringComparer.Ordinal);
        Actions = actions.ToDictionary(a => a.Uid);
        (this.syntax, this.names) = (syntax, names);
        types = new(() => new(EntityTypes.Keys, type => EntityTypes.GetValueOrDefault(type)?.Parents, StringComparer.Ordinal));
        this.actions = new(() => new(Actions.Keys, action => Actions.GetValueOrDefault(action)?.Parents, EqualityComparer<EntityUid>.Default));
        actionTypes = new(ActionTypes);
        enumerations = EntityTypes.Values.Where(e => e.Ids is not null).ToDictionary(e => e.Name, e => new HashSet<string>(e.Ids!, StringComparer.Ordinal), StringComparer.Ordinal);
    }

    /// <summary>By full name. The types of actions are not among them.</summary>
    public IReadOnlyDictionary<string, EntityTypeDeclaration> EntityTypes { get; }

    public IReadOnlyDictionary<EntityUid, ActionDeclaration> Actions { get; }

    /// <summary>Reads the text form (<c>.cedarschema</c>). Findings have their place in the text.</summary>
    /// <param name="text">At most <see cref="Limits.Text"/> characters.</param>
    public static Parsed<CedarSchema> Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var findings = new Findings(text);
        return SchemaResolver.Resolve(SchemaParser.Parse(text, findings), findings);
    }

    /// <summary>Reads the JSON form. Findings have their path in the document. Members that are unknown or stand twice are errors.</summary>
    /// <param name="utf8">At most <see cref="Limits.Text"/> bytes.</param>
    public static Parsed<CedarSchema> ParseJson(ReadOnlySpan<byte> utf8)
    {
        var findings = new Findings(null);
        return SchemaResolver.Resolve(JsonSchemaReader.Read(utf8, findings), findings);
    }
}
