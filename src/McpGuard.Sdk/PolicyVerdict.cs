namespace McpGuard.Sdk;

/// <summary>What a <see cref="CallPolicy"/> answers, with what the audit event names.</summary>
public sealed record PolicyVerdict
{
    private PolicyVerdict(bool allowed, string? reason, string? policyHash, IReadOnlyList<string>? policyIds) =>
        (Allowed, Reason, PolicyHash, PolicyIds) = (allowed, reason, policyHash, policyIds);

    public bool Allowed { get; }

    /// <summary>A short word for the audit event, never shown to the caller.</summary>
    public string? Reason { get; }

    /// <summary>Which version of the policies decided.</summary>
    public string? PolicyHash { get; }

    /// <summary>The policies that decided.</summary>
    public IReadOnlyList<string>? PolicyIds { get; }

    public static PolicyVerdict Allow(string? policyHash = null, IReadOnlyList<string>? policyIds = null) => new(true, null, policyHash, policyIds);

    public static PolicyVerdict Deny(string reason, string? policyHash = null, IReadOnlyList<string>? policyIds = null) =>
        new(false, reason, policyHash, policyIds);
}
