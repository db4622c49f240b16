namespace McpAuth.Cedar;

/// <summary>
/// What the engine takes at the most. A stack that overflows cannot be caught in .NET, so whatever recurses is bounded by the depth of what was
/// read, and everything that is read is bounded here.
/// </summary>
public static class Limits
{
    /// <summary>How deep expressions, values, types and JSON may nest. A chain of one operator is as deep as it has operands.</summary>
    public const int Depth = 200;

    /// <summary>Characters (UTF-16) of one policy or schema text, and bytes of one JSON document: 16 Mi.</summary>
    public const int Text = 16 * 1024 * 1024;

    /// <summary>Pairs of an entity and an ancestor in one store; entities with the same parents count once. A chain of 2,900 entities has as many.</summary>
    public const int Ancestors = 4 * 1024 * 1024;

    /// <summary>Errors reported for one text; the first ones are what matters.</summary>
    public const int Errors = 100;
}
