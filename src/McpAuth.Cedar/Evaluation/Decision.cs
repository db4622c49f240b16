namespace McpAuth.Cedar.Evaluation;

/// <summary>What the policies say to a request.</summary>
public enum Decision
{
    /// <summary>Also when nothing was decided: the value of <c>default</c>.</summary>
    Deny,
    Allow,
}

/// <summary>Why a request is denied.</summary>
public enum DenialCause
{
    /// <summary>It is allowed.</summary>
    None,

    /// <summary>No <c>permit</c> is satisfied.</summary>
    NothingPermits,

    /// <summary>A <c>forbid</c> is satisfied.</summary>
    Forbidden,

    /// <summary><see cref="AuthorizationMode.Strict"/> only: a <c>forbid</c> could not be evaluated, so nobody knows whether it forbids.</summary>
    ForbidFailed,

    /// <summary>
    /// The request is not one that the schema knows (<see cref="AuthorizationMode.Strict"/> only), or the tool call is malformed (always).
    /// </summary>
    RequestInvalid,

    /// <summary>A policy could not be evaluated, and the policies were written for a product that denies then.</summary>
    PolicyFailed,
}

/// <summary>What becomes of policies that fail.</summary>
public enum AuthorizationMode
{
    /// <summary>As the language defines it: a policy that fails is as if it were not there, a <c>forbid</c> too.</summary>
    CedarCompatible,

    /// <summary>The request must conform to the schema, and a <c>forbid</c> that fails denies. What cannot be decided is not allowed.</summary>
    Strict,
}
