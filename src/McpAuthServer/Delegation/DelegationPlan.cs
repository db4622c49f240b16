using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>What a person hands to an agent: a root in the tree of authority, for one task, and the token that opens it.</summary>
/// <param name="Until">When the task ends at the latest.</param>
internal sealed record DelegationPlan(
    string UserId, string AgentId, string ClientId, string Consent, Authority Authority, string Purpose, DateTimeOffset Until, string GrantId, string Jti,
    DateTimeOffset IssuedAt, DateTimeOffset Expires, string? Thumbprint, Presence Presence, ICredential Credential, IReadOnlyList<Once> Consume, long RegistryVersion)
{
    /// <summary>The certificate the token is bound to as well, or alone.</summary>
    public string? CertificateThumbprint { get; init; }
}

/// <summary>The one commit of a delegation: the code is used, the root stands, the event says so.</summary>
internal sealed class IssueDelegation(DelegationPlan plan, string node) : Unit<IssueResult>
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
            plan.GrantId, plan.UserId, plan.AgentId, plan.ClientId, plan.Consent, plan.Authority.ToJson(), plan.IssuedAt.ToUnixTimeMilliseconds(),
            plan.Until.ToUnixTimeMilliseconds(), plan.Expires.ToUnixTimeMilliseconds()));
        tx.Append(Event(AuditTypes.TokenIssued, "success", null) with
        {
            Jti = plan.Jti,
            Data = new JsonObject { ["grant_type"] = Names.OAuth.AuthorizationCode, ["purpose"] = plan.Purpose, ["exp"] = plan.Expires.ToUnixTimeSeconds() },
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
        Agent = plan.AgentId, Client = plan.ClientId, Grant = plan.GrantId, Node = node,
    };
}

/// <summary>Begins the one task that a delegation is for: a second one would count its budgets anew.</summary>
internal sealed class BeginDelegatedTask(string grant, DateTimeOffset until) : ICredential
{
    public const string Used = "delegation_used";

    private readonly Once once = Once.Delegation(grant, until);

    public CredentialUse Use(WriteTx tx) => once.Consume(tx) ? default : new(Ended: Used);
}
