using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Attestation;
using McpAuthServer.Federation;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Delegation;

/// <summary>The separate facts of who acts: whose authority, which agent, which running copy, which software.</summary>
/// <param name="Chain">Subjects of the <c>act</c> chain, outermost first; empty when the subject acts itself.</param>
internal sealed record Principals(
    string Subject, string SubjectProfile, string? User, string? Agent, string? Instance, string Client, IReadOnlyList<string> Chain);

/// <summary>What the instance was attested with, as a token tells it (context, never authority).</summary>
internal sealed record InstanceContext(string Id, string Thumbprint, string? Workload, string Assurance, DateTimeOffset Expires, bool Active = true);

/// <summary>What a token tells of the person's sign-in and standing.</summary>
internal sealed record Presence(DateTimeOffset? AuthTime, string? Acr, Person Person)
{
    public IReadOnlyList<string> Groups => Person.Groups;
}

/// <summary>A line of refresh tokens that begins with this issuance.</summary>
/// <param name="Session">The sign-in it ends with; null = it outlives it, or belongs to an agent.</param>
/// <param name="Scope">By scope: the words as they were granted, <c>offline_access</c> included.</param>
/// <param name="Expires">The whole line's end; a token that is not used ends earlier.</param>
/// <param name="Certificate">The thumbprint of the certificate that it is bound to.</param>
internal sealed record NewFamily(string Id, OpaqueToken Token, string? Session, string? Scope, DateTimeOffset Expires, string? Certificate = null);

/// <summary>
/// A credential other than assertion and proof that an issuance uses up: a code, a refresh token, what a person handed over. Runs in the unit
/// before anything is minted, so a crash costs a retry and never a replay.
/// </summary>
internal interface ICredential
{
    CredentialUse Use(WriteTx tx);
}

/// <param name="Ended">Why it cannot be used; null when it can.</param>
/// <param name="Reuse">It was used before.</param>
/// <param name="Successor">A refresh token that was presented again in time: the successor it has already, sealed.</param>
internal readonly record struct CredentialUse(string? Ended = null, Reuse? Reuse = null, byte[]? Successor = null);

/// <summary>What the first use of a code or refresh token led to, to be revoked because of the second.</summary>
/// <param name="Family">Of the refresh token; null for a code.</param>
internal sealed record Reuse(string? Family, string Grant, string Reason)
{
    public const string Code = "code_reuse", Refresh = "refresh_reuse";
}

/// <summary>A tool server's tool that does some of its work at another tool server.</summary>
/// <param name="Resource">Of the tool server that asks.</param>
internal sealed record Downstream(string Guard, string Resource, string Tool);

/// <summary>A task that the issuance itself creates.</summary>
/// <param name="Resumable">See <see cref="TaskRecord"/>.</param>
internal sealed record NewTask(string Id, string? ParentId, string Origin, string Purpose, Authority Authority, DateTimeOffset Expires, bool Resumable = false);

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

    /// <summary>True when only the instance that holds the task may have this: another may have taken it up since it was planned.</summary>
    public bool ForHolder { get; init; }

    /// <summary>What a person adds to their session task that runs already.</summary>
    public Authority? SessionAdds { get; init; }

    public required string GrantId { get; init; }

    /// <summary>False when a further token is issued under a grant that exists.</summary>
    public bool NewGrant { get; init; } = true;
    public string? ParentGrant { get; init; }

    /// <summary>The person's consent that the grant stands on; withdrawing it revokes the root, and so all below.</summary>
    public string? Consent { get; init; }

    /// <summary>Ancestors' grants, tasks and instances.</summary>
    public IReadOnlyList<string> Lineage { get; init; } = [];
    public InstanceContext? Instance { get; init; }

    /// <summary>The guard, its tool server and its tool that this is for, where a tool server asked for it.</summary>
    public Downstream? Downstream { get; init; }

    /// <summary>The evidence that the instance is attested by in the same commit.</summary>
    public Attesting? Attests { get; init; }

    /// <summary>What an identity provider's word leaves behind in the same commit.</summary>
    public Federating? Federates { get; init; }

    /// <summary>The key the token is bound to; null = Bearer.</summary>
    public string? Thumbprint { get; init; }

    /// <summary>The certificate it is bound to as well, or alone.</summary>
    public string? CertificateThumbprint { get; init; }

    public required string Jti { get; init; }
    public required DateTimeOffset IssuedAt { get; init; }
    public required DateTimeOffset Expires { get; init; }
    public required long RegistryVersion { get; init; }
    public required string GrantType { get; init; }

    /// <summary>The subject token's id when this came from an exchange: the event's cause.</summary>
    public string? Cause { get; init; }
    public IReadOnlyList<Once> Consume { get; init; } = [];
    public ICredential? Credential { get; init; }
    public NewFamily? Family { get; init; }

    /// <summary>What an ID token beside it tells, where <c>openid</c> was granted; the words for that are the client's, and no tool server's.</summary>
    public (IdTokenClaims Claims, string Scope)? Identity { get; init; }

    /// <summary>The agent as it is registered, for what a token tells of it.</summary>
    public AgentRecord? Acting { get; init; }

    /// <summary>The policies that had no objection; null = there are none.</summary>
    public string? PolicyHash { get; init; }

    /// <summary>Of the person, where there is one.</summary>
    public Presence? Presence { get; init; }

    /// <summary>An attested agent's token is bound to its instance's key and ends with it.</summary>
    public Issuance BoundTo(InstanceContext instance) => this with
    {
        Instance = instance, Thumbprint = Thumbprint ?? instance.Thumbprint, Expires = Earliest(Expires, instance.Expires),
    };

    /// <summary>Never beyond what it stands on (invariants 1 and 3).</summary>
    public static DateTimeOffset Earliest(params ReadOnlySpan<DateTimeOffset> bounds)
    {
        var least = bounds[0];
        foreach (var bound in bounds)
            least = bound < least ? bound : least;
        return DateTimeOffset.FromUnixTimeSeconds(least.ToUnixTimeSeconds());
    }
}
