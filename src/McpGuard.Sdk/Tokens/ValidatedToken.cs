using System.Collections.Frozen;
using System.Security.Claims;
using McpAuth.Protocol.ToolCalls;
using McpGuard.Sdk.Policy;

namespace McpGuard.Sdk.Tokens;

/// <summary>An access token whose signature and claims were checked. Immutable, shared by concurrent requests; expiry is checked again at each use.</summary>
internal sealed class ValidatedToken
{
    private PolicyCaller? policyCaller;

    public required string Jti { get; init; }
    public required string Subject { get; init; }
    public required string? SubjectProfile { get; init; }
    public required string ClientId { get; init; }
    public required long IssuedAt { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
    public required FrozenSet<string> Scopes { get; init; }

    /// <summary>A missing scope can be asked for (authority by scope only).</summary>
    public required bool StepUp { get; init; }

    /// <summary>The thumbprint of the key that must prove possession; null = bearer.</summary>
    public required string? Jkt { get; init; }

    /// <summary>The thumbprint of the certificate that every request must come with (RFC 8705 §3.1); null = none.</summary>
    public required string? Certificate { get; init; }

    /// <summary>True when <c>authorization_details</c> decides alone.</summary>
    public required bool Explicit { get; init; }

    /// <summary>What it grants here; null = nothing (or authority by scope).</summary>
    public required LocationAuthority? Authority { get; init; }

    public required string? Task { get; init; }
    public required string? Grant { get; init; }
    public required string[] Chain { get; init; }
    public required string? Instance { get; init; }
    public required string? Assurance { get; init; }
    public required string[] Groups { get; init; }

    // Context for policies, as the server verified it; never authority.
    public string? Acr { get; init; }
    public DateTimeOffset? AuthTime { get; init; }
    public DateTimeOffset? TaskExpires { get; init; }
    public string? ParentTask { get; init; }
    public string? Workload { get; init; }
    public string? AgentOwner { get; init; }
    public string? AgentClass { get; init; }
    public DateTimeOffset? AgentReview { get; init; }

    /// <summary>Its holder as policies see it, made at the first decision.</summary>
    public PolicyCaller PolicyCaller => Volatile.Read(ref policyCaller) ?? Interlocked.CompareExchange(ref policyCaller, new PolicyCaller(this), null) ?? policyCaller;

    /// <summary>Everything whose end ends this token: jti, grant, lineage, task, instance, client, subject, every actor, the key that signed it, its audience, and whatever ends all.</summary>
    public required string[] Names { get; init; }

    public required ClaimsPrincipal Principal { get; init; }

    /// <summary>The governed agent: the outermost actor, or the subject when it acts alone.</summary>
    public string? Agent => Chain.Length > 0 ? Chain[0] : SubjectProfile == McpAuth.Protocol.Names.Claims.ProfileAgent ? Subject : null;
}
