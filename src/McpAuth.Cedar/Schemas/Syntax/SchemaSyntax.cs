using Annotations = System.Collections.Generic.IReadOnlyList<System.Collections.Generic.KeyValuePair<string, string>>;

namespace McpAuth.Cedar.Schemas.Syntax;

/// <summary>A schema as it was written, in either form: names are not resolved yet.</summary>
/// <param name="Namespaces">Their names differ; null is the name of the empty one.</param>
internal sealed record SchemaSyntax(IReadOnlyList<NamespaceSyntax> Namespaces);

internal sealed class NamespaceSyntax(string? name, Place place, Annotations annotations)
{
    public string? Name { get; } = name;

    public Place Place { get; } = place;

    public Annotations Annotations { get; } = annotations;

    public List<CommonTypeSyntax> CommonTypes { get; } = [];

    public List<EntitySyntax> Entities { get; } = [];

    public List<ActionSyntax> Actions { get; } = [];
}

/// <summary>A name, and where it stands.</summary>
internal readonly record struct NameSyntax(string Name, Place Place);

/// <summary><c>type Name = …;</c></summary>
internal sealed record CommonTypeSyntax(NameSyntax Name, TypeSyntax Type, Annotations Annotations);

/// <summary><c>entity A, B in […] { … } tags …;</c> or <c>entity A enum […];</c>: one declaration, since many names may share a large one.</summary>
/// <param name="Ids">Of an enumerated type; then there are no parents, attributes or tags.</param>
internal sealed record EntitySyntax(
    IReadOnlyList<NameSyntax> Names,
    IReadOnlyList<NameSyntax> Parents,
    TypeSyntax? Shape,
    TypeSyntax? Tags,
    IReadOnlyList<string>? Ids,
    Annotations Annotations);

/// <summary><c>action a, b in […] appliesTo { … };</c></summary>
internal sealed record ActionSyntax(
    IReadOnlyList<NameSyntax> Ids,
    IReadOnlyList<ActionNameSyntax> Parents,
    AppliesToSyntax? AppliesTo,
    Annotations Annotations);

/// <summary>An action as a group: its id, and its type where that is written.</summary>
internal readonly record struct ActionNameSyntax(string? Type, string Id, Place Place);

internal sealed record AppliesToSyntax(IReadOnlyList<NameSyntax> Principals, IReadOnlyList<NameSyntax> Resources, TypeSyntax? Context);
