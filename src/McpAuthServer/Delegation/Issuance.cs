using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>The separate facts of who acts: whose authority, which agent, which running copy, which software.</summary>
/// <param name="Chain">Subjects of the <c>act</c> chain, outermost first; empty when the subject acts itself.</param>
internal sealed record Principals(
    string Subject, string SubjectProfile, string? User, string? Agent, string? Instance, string Client, IReadOnlyList<string> Chain);

/// <summary>What the instance was attested with, as a token tells it (context, never authority).</summary>
internal sealed record InstanceContext(string Id, string Thumbprint, string? Workload, string Assurance, DateTimeOffset Expires, bool Active = true);

/// <summary>A task that the issuance itself creates.</summary>
internal sealed record NewTask(string Id, string? ParentId, string Origin, string Purpose, Authority Authority, DateTimeOffset Expires);

/// <summary>Everything decided about one access token before it is signed: the output of a grant, the input of signing and of the one commit.</summary>
internal sealed record Issuance
{
    private string? authorityJson;

    public required Principals Who { get; init; }
    public required ToolServerRecord Target { get; init; }

    /// <summary>Only at <see cref="Target"/>.</summary>
    public required Authority Authority { get; init; }

    /// <summary>As it is stored, written once.</summary>
    public string AuthorityJson => authorityJson ??= Authority.ToJson();

    /// <summary>The projection of explicit authority, or the granted scope itself when <see cref="ByScope"/>.</summary>
    public required string Scope { get; init; }

    /// <summary>Authority by scope: no <c>authorization_details</c>, and it can step up.</summary>
    public bool ByScope { get; init; }

    public required string TaskId { get; init; }
    public required DateTimeOffset TaskExpires { get; init; }

    /// <summary>True when the task stands under another, whose states then count too.</summary>
    public bool TaskHasParent { get; init; }
    public NewTask? NewTask { get; init; }

    public required string GrantId { get; init; }

    /// <summary>False when a further token is issued under a grant that exists.</summary>
    public bool NewGrant { get; init; } = true;
    public string? ParentGrant { get; init; }

    /// <summary>Ancestors' grants, tasks and instances.</summary>
    public IReadOnlyList<string> Lineage { get; init; } = [];
    public InstanceContext? Instance { get; init; }

    /// <summary>The key the token is bound to; null = Bearer.</summary>
    public string? Thumbprint { get; init; }

    public required string Jti { get; init; }
    public required DateTimeOffset IssuedAt { get; init; }
    public required DateTimeOffset Expires { get; init; }
    public required long RegistryVersion { get; init; }
    public required string GrantType { get; init; }

    /// <summary>The subject token's id when this came from an exchange: the event's cause.</summary>
    public string? Cause { get; init; }
    public IReadOnlyList<Once> Consume { get; init; } = [];

    /// <summary>Never beyond what it stands on (invariants 1 and 3).</summary>
    public static DateTimeOffset Earliest(params ReadOnlySpan<DateTimeOffset> bounds)
    {
        var least = bounds[0];
        foreach (var bound in bounds)
            least = bound < least ? bound : least;
        return DateTimeOffset.FromUnixTimeSeconds(least.ToUnixTimeSeconds());
    }
}
