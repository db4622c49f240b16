namespace McpAuth.Cedar.Validation;

/// <summary>How much a policy may leave open.</summary>
public enum ValidationMode
{
    /// <summary>What tools can reason about: no comparison, set or branch of two different types, extension values from literals only.</summary>
    Strict,

    /// <summary>All that cannot go wrong for want of an attribute or by a wrong type.</summary>
    Permissive,
}
