using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>A code, and the consent it stands on: given now, or remembered.</summary>
/// <param name="hash">Of the code: made for a redirect, or of what the recipient polls with.</param>
/// <param name="decision">What makes a person's answer count once; null when a remembered consent answers.</param>
internal sealed class IssueCode(
    AuthorizationRequest request, SignInSession session, Approval approval, string hash, Once? decision, long registryVersion, DateTimeOffset now, string node) : Unit<IssueResult>
{
    /// <summary>OAuth 2.1 §4.1.2: a code is short-lived.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(60);

    private static readonly Sql
        Insert = new(
            """
            insert into consents (id, user_id, client_id, agent_id, tool_server, redirect_uri, client_keys, scope, authority, purpose, state, granted_at, remembered_until)
            values (@id, @user, @client, @agent, @server, @redirect, @keys, @scope, @authority, @purpose, 'active', @now, @until)
            """),
        Update = new("update consents set scope = @scope, authority = @authority, granted_at = @now, remembered_until = @until where id = @id"),
        Supersede = new("update consents set remembered_until = 0 where user_id = @user and client_id = @client and agent_id = @agent and purpose = @purpose"),
        EndFamilies = new("update refresh_families set state = 'revoked' where consent_id = @consent and state = 'active'"),
        InsertCode = new(
            """
            insert into codes (hash, consent_id, session_id, client_id, redirect_uri, challenge, nonce, jkt, scope, authority, task_expires_at, offline, created_at, expires_at)
            values (@hash, @consent, @session, @client, @recipient, @challenge, @nonce, @jkt, @scope, @authority, @until, @offline, @now, @expires)
            """);

    private readonly long ms = now.ToUnixTimeMilliseconds();
    private readonly PolledRecipient? polled = request.Recipient as PolledRecipient;

    public override StateLock Lock => StateLock.Exclusive;

    public override IssueResult Apply(WriteTx tx)
    {
        if (!RegistryVersion.IsCurrent(tx, registryVersion) || !ClientUse.IsCurrent(tx, request.Client))
            return new(IssueOutcome.Stale);
        if (decision is { } once && !once.Consume(tx))
        {
            tx.Append(Event(AuditTypes.ReplayDetected, Names.Reasons.Replay) with { Outcome = "refused" });
            return new(IssueOutcome.Replayed, once.Space);
        }
        if (!session.Lives(tx, now))
        {
            tx.Append(Event(AuditTypes.ConsentRefused, "session_ended") with { Outcome = "refused" });
            return new(IssueOutcome.Ended, "session_ended");
        }
        if (polled?.Approve(tx, ms) == false)
        {
            tx.Append(Event(AuditTypes.ConsentRefused, "not_waiting") with { Outcome = "refused" });
            return new(IssueOutcome.Replayed, "not_waiting");
        }

        var before = tx.First(ConsentMatch.Select(session.UserId, request), Consent.Read);
        var events = new List<AuditEvent>();
        if (decision is null && before?.Answers(request, now) != true)
            return new(IssueOutcome.Stale);
        if (ClientUse.Note(tx, request.Client, now, node) is { } registered)
            tx.Append(registered);
        var consent = decision is null ? before!.Id : Record(tx, before, events);

        tx.Run(InsertCode.With(
            hash, consent, session.Id, request.Client.Id, request.Recipient.Exact, request.Challenge ?? "", request.Nonce, request.Thumbprint, CodeScope, approval.Authority.ToJson(),
            (request.Asked as Asked.Delegation)?.Until.ToUnixTimeMilliseconds(), approval.Words?.Contains(Names.Scopes.OfflineAccess) == true ? 1L : 0L,
            ms, (polled?.Expires ?? now + Life).ToUnixTimeMilliseconds()));
        events.Add(Event(AuditTypes.CodeIssued, null) with { Cause = events.FirstOrDefault()?.Id, Data = new() { ["consent"] = consent, ["remembered"] = decision is null } });
        events.ForEach(tx.Append);
        return new(IssueOutcome.Issued);
    }

    private string? Scope => approval.Words is null ? null : ScopeWords.Join(approval.Words);

    // OpenID Connect Core §5.4: of who the person is a program learns what it asks for this time, also where it may learn more.
    private string? CodeScope => approval.Words is null ? null : ScopeWords.Join(approval.Words.Where(word => !ScopeWords.IsIdentity(word) || request.Asked switch
    {
        Asked.ByScope scope => scope.Words.Contains(word),
        Asked.Identity identity => identity.Words.Contains(word),
        _ => false,
    }));

    private string Record(WriteTx tx, Consent? before, List<AuditEvent> events)
    {
        var until = request.Recipient.Proven ? (now + Consent.Remembered).ToUnixTimeMilliseconds() : 0;
        var granted = Event(AuditTypes.ConsentGranted, null) with { Cause = request.Cause, Data = Told() };
        events.Add(granted);
        if (approval.Words is { } words && before is not null)
        {
            tx.Run(Update.With(Scope, approval.Authority.ToJson(), ms, until, before.Id));
            // What was taken back is gone now, and not when a token expires.
            if (before.Words.Any(word => !ScopeWords.Covers(words, word, (request.Asked as Asked.ByScope)?.Server)))
            {
                tx.Run(EndFamilies.With(before.Id));
                events.AddRange(GrantTree.RevokeOfConsent(tx, before.Id, "consent_narrowed", granted.Id, now, node));
            }
            return before.Id;
        }
        // Every task for a person is a decision of its own; the newest one is what is remembered.
        var delegation = request.Asked as Asked.Delegation;
        if (delegation is not null)
            tx.Run(Supersede.With(session.UserId, request.Client.Id, delegation.Agent.Id, delegation.Purpose));
        var id = Id.New(Id.Consent, now);
        tx.Run(Insert.With(
            id, session.UserId, request.Client.Id, delegation?.Agent.Id, (request.Asked as Asked.ByScope)?.Server.Id, request.Recipient.Registered, request.Client.KeysDigest,
            Scope, approval.Authority.ToJson(), delegation?.Purpose, ms, until));
        return id;
    }

    private JsonObject Told()
    {
        var told = new JsonObject { ["redirect"] = request.Recipient.Shown };
        if (Scope is { } scope)
            told["scope"] = scope;
        else
            told["authorization_details"] = JsonNode.Parse(approval.Authority.ToJson());
        if (request.Asked is Asked.Delegation delegation)
            (told["purpose"], told["expires_at"]) = (delegation.Purpose, delegation.Until.ToUnixTimeMilliseconds());
        return told;
    }

    private AuditEvent Event(string type, string? reason) => new()
    {
        Id = Id.New(Id.Event, now), Time = ms, Type = type, Outcome = "success", Reason = reason, User = session.UserId, Agent = request.Client.AgentId,
        Instance = request.Instance, Client = request.Client.Id, Resource = (request.Asked as Asked.ByScope)?.Server.Resource, Node = node,
    };
}
