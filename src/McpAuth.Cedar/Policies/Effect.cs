namespace McpAuth.Cedar.Policies;

/// <summary>What a policy does when it is satisfied.</summary>
public enum Effect
{
    Permit,
    Forbid,
}
