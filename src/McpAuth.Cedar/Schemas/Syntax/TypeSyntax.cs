using McpAuth.Cedar.Values;
using Annotations = System.Collections.Generic.IReadOnlyList<System.Collections.Generic.KeyValuePair<string, string>>;

namespace McpAuth.Cedar.Schemas.Syntax;

/// <summary>A type as it was written. Nests at most <see cref="Limits.Depth"/> deep: readers see to that.</summary>
internal abstract class TypeSyntax(Place place)
{
    public Place Place { get; } = place;
}

/// <summary>What a name may stand for.</summary>
internal enum Reference
{
    Entity,
    Common,
    EntityOrCommon,
}

internal sealed class NamedTypeSyntax(Place place, Reference kind, string name) : TypeSyntax(place)
{
    public Reference Kind { get; } = kind;

    public string Name { get; } = name;
}

/// <summary>Only in JSON: <c>Boolean</c>, <c>Long</c>, <c>String</c>. In text these are names like others.</summary>
internal sealed class PrimitiveTypeSyntax(Place place, ValueKind kind) : TypeSyntax(place)
{
    public ValueKind Kind { get; } = kind;
}

/// <summary>Only in JSON.</summary>
internal sealed class ExtensionTypeSyntax(Place place, string name) : TypeSyntax(place)
{
    public string Name { get; } = name;
}

internal sealed class SetTypeSyntax(Place place, TypeSyntax element) : TypeSyntax(place)
{
    public TypeSyntax Element { get; } = element;
}

internal sealed class RecordTypeSyntax(Place place, IReadOnlyList<AttributeSyntax> attributes) : TypeSyntax(place)
{
    /// <summary>Their names differ.</summary>
    public IReadOnlyList<AttributeSyntax> Attributes { get; } = attributes;
}

internal sealed record AttributeSyntax(NameSyntax Name, TypeSyntax Type, bool Required, Annotations Annotations);
