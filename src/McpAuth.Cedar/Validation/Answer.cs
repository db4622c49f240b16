using System.Collections.Immutable;
using McpAuth.Cedar.Validation.Types;

namespace McpAuth.Cedar.Validation;

/// <summary>What the type checker found out about an expression.</summary>
/// <param name="Type">Null when it cannot have one. A type may be known although something is wrong: a comparison is a Bool whatever it compares.</param>
/// <param name="Ok">Whether nothing in it is wrong.</param>
/// <param name="Capabilities">The attributes and tags that are there if the expression is true.</param>
internal readonly record struct Answer(StaticType? Type, bool Ok, ImmutableHashSet<Capability> Capabilities)
{
    public static Answer Good(StaticType type) => new(type, true, []);

    public static Answer Good(StaticType type, ImmutableHashSet<Capability> capabilities) => new(type, true, capabilities);

    public static Answer Bad(StaticType? type = null) => new(type, false, []);

    /// <summary>This, if all that it was made of is fine too.</summary>
    public Answer If(bool ok) => ok ? this : Bad(Type);
}

/// <summary>That an expression has an attribute or a tag. Expressions that are written alike have the same number (<see cref="ExprNumbers"/>).</summary>
/// <param name="Attribute">The attribute; null for a tag.</param>
/// <param name="Tag">The number of the expression that says which tag.</param>
internal readonly record struct Capability(int On, string? Attribute, int Tag);
