using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>What stands on a person's consent alone: a root in the tree of authority that has no task, and the one token that is issued with it.</summary>
internal abstract record RootPlan
{
    public required string UserId { get; init; }
    public required string ClientId { get; init; }
    public required string Consent { get; init; }
    public required string GrantId { get; init; }
    public required string Jti { get; init; }
    public required DateTimeOffset IssuedAt { get; init; }
    public required DateTimeOffset Expires { get; init; }

    /// <summary>The key the token is bound to; null = Bearer.</summary>
    public required string? Thumbprint { get; init; }

    /// <summary>The certificate it is bound to as well, or alone.</summary>
    public string? CertificateThumbprint { get; init; }
    public required string GrantType { get; init; }
    public required ICredential Credential { get; init; }
    public required IReadOnlyList<Once> Consume { get; init; }
    public required long RegistryVersion { get; init; }

    public abstract string? Agent { get; }
    public abstract Authority Granted { get; }

    /// <summary>When the root ends.</summary>
    public abstract DateTimeOffset Ends { get; }

    /// <summary>The member of the event that says what it is for.</summary>
    public abstract (string Name, string Value) Told { get; }
}

/// <summary>What a person hands to an agent, for one task, and the token that opens it.</summary>
/// <param name="Until">When the task ends at the latest.</param>
internal sealed record DelegationPlan(string AgentId, Authority Authority, string Purpose, DateTimeOffset Until, Presence Presence) : RootPlan
{
    public override string Agent => AgentId;
    public override Authority Granted => Authority;
    public override DateTimeOffset Ends => Until;
    public override (string, string) Told => ("purpose", Purpose);
}

/// <summary>Who a person is, told to a program, and the token that it can ask again with.</summary>
/// <param name="Scope">The words.</param>
internal sealed record IdentityPlan(string Scope) : RootPlan
{
    public override string? Agent => null;
    public override Authority Granted => Authority.None;
    public override DateTimeOffset Ends => Expires;
    public override (string, string) Told => (Names.OAuth.Scope, Scope);
}

/// <summary>The one commit of a root: the code is used, the root stands, the event says so.</summary>
internal sealed class IssueRoot(RootPlan plan, string node) : Unit<IssueResult>
{
    private static readonly Sql
        UserState = new("select enabled from users where id = @id"),
        Insert = new(
            """
            insert into grants (id, subject, agent_id, user_id, client_id, consent_id, authority, chain, lineage, depth, state, created_at, expires_at, token_exp)
            values (@id, @user, @agent, @user, @client, @consent, @authority, '', '', 0, 'active', @now, @until, @token_exp)
            """);

    public override IssueResult Apply(WriteTx tx)
    {
        if (!RegistryVersion.IsCurrent(tx, plan.RegistryVersion))
            return new(IssueOutcome.Stale);
        foreach (var once in plan.Consume)
            if (!once.Consume(tx))
            {
                tx.Append(Event(AuditTypes.ReplayDetected, "refused", Names.Reasons.Replay));
                return new(IssueOutcome.Replayed, once.Space);
            }
        if (tx.First(UserState.With(plan.UserId), r => r.GetInt64(0)) != 1)
            return Refuse(tx, Names.Reasons.UserDisabled);
        var use = plan.Credential.Use(tx);
        if (use.Ended is { } gone)
            return Refuse(tx, gone);
        if (use.Reuse is { } reuse)
            return new(IssueOutcome.Reused, Reuse: reuse);
        tx.Run(Insert.With(
            plan.GrantId, plan.UserId, plan.Agent, plan.ClientId, plan.Consent, plan.Granted.ToJson(), plan.IssuedAt.ToUnixTimeMilliseconds(),
            plan.Ends.ToUnixTimeMilliseconds(), plan.Expires.ToUnixTimeMilliseconds()));
        tx.Append(Event(AuditTypes.TokenIssued, "success", null) with
        {
            Jti = plan.Jti, Data = new JsonObject { ["grant_type"] = plan.GrantType, [plan.Told.Name] = plan.Told.Value, ["exp"] = plan.Expires.ToUnixTimeSeconds() },
        });
        return new(IssueOutcome.Issued);
    }

    private IssueResult Refuse(WriteTx tx, string reason)
    {
        tx.Append(Event(AuditTypes.TokenRefused, "refused", reason));
        return new(IssueOutcome.Ended, reason);
    }

    private AuditEvent Event(string type, string outcome, string? reason) => new()
    {
        Id = Id.New(Id.Event, plan.IssuedAt), Time = plan.IssuedAt.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Reason = reason, User = plan.UserId,
        Agent = plan.Agent, Client = plan.ClientId, Grant = plan.GrantId, Node = node,
    };
}

/// <summary>Begins the one task that a delegation is for: a second one would count its budgets anew.</summary>
internal sealed class BeginDelegatedTask(string grant, DateTimeOffset until) : ICredential
{
    public const string Used = "delegation_used";

    private readonly Once once = Once.Delegation(grant, until);

    public CredentialUse Use(WriteTx tx) => once.Consume(tx) ? default : new(Ended: Used);
}
