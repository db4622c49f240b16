using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

/// <summary>An entity type.</summary>
/// <param name="Name">Full, with its namespace.</param>
/// <param name="Parents">The types whose entities may be direct parents of one of these (<c>in</c> in a schema).</param>
/// <param name="Attributes">Empty for an enumerated type.</param>
/// <param name="Tags">The type of every tag; null when there are none.</param>
/// <param name="Ids">The ids there are of an enumerated type; null when any is possible.</param>
public sealed record EntityTypeDeclaration(
    string Name,
    IReadOnlySet<string> Parents,
    RecordType Attributes,
    CedarType? Tags = null,
    IReadOnlyList<string>? Ids = null)
{
    public IReadOnlyList<KeyValuePair<string, string>> Annotations { get; init; } = [];
}

/// <summary>An action.</summary>
/// <param name="Parents">The groups it is directly in.</param>
/// <param name="Principals">The entity types that may be the principal; none where <c>appliesTo</c> is absent: the action is only a group.</param>
/// <param name="Resources">The same for the resource.</param>
public sealed record ActionDeclaration(
    EntityUid Uid,
    IReadOnlySet<EntityUid> Parents,
    IReadOnlySet<string> Principals,
    IReadOnlySet<string> Resources,
    RecordType Context)
{
    public IReadOnlyList<KeyValuePair<string, string>> Annotations { get; init; } = [];
}
