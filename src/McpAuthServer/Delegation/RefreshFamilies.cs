using System.Data.Common;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Delegation;

/// <summary>A refresh token as presented, with its line.</summary>
internal sealed record RefreshRecord(
    string Hash, long ExpiresAt, long? UsedAt, string Family, string ClientId, string? UserId, string? Consent, string? Session, string? AgentId, string? Instance,
    string? Thumbprint, string TaskId, string GrantId, string? Scope, DateTimeOffset? AuthTime, string? Acr, string State, long FamilyExpires, string? Certificate);

/// <summary>Lines of refresh tokens: each token is used once and names its successor (OAuth 2.1 §4.3.1).</summary>
internal sealed class RefreshFamilies(IReadStore store)
{
    /// <summary>How long a token may lie unused.</summary>
    public static readonly TimeSpan Idle = TimeSpan.FromHours(8);

    /// <summary>With <c>offline_access</c>, the whole line.</summary>
    public static readonly TimeSpan Offline = TimeSpan.FromDays(30);

    private static readonly Sql
        ByHash = new(
            """
            select t.hash, t.expires_at, t.used_at, f.id, f.client_id, f.user_id, f.consent_id, f.session_id, f.agent_id, f.instance_id, f.jkt, f.task_id, f.grant_id, f.scope,
              f.auth_time, f.acr, f.state, f.expires_at, f.certificate
            from refresh_tokens t join refresh_families f on f.id = t.family_id where t.hash = @hash
            """),
        InsertFamily = new(
            """
            insert into refresh_families (id, client_id, user_id, consent_id, session_id, agent_id, instance_id, jkt, task_id, grant_id, scope, auth_time, acr, state,
              created_at, expires_at, certificate)
            values (@id, @client, @user, @consent, @session, @agent, @instance, @jkt, @task, @grant, @scope, @auth_time, @acr, 'active', @now, @expires, @certificate)
            """),
        InsertToken = new("insert into refresh_tokens (hash, family_id, expires_at) values (@hash, @family, @expires)");

    public Task<RefreshRecord?> Find(string hash, CancellationToken cancel) => store.First(ByHash.With(hash), Read, cancel);

    public static void Begin(WriteTx tx, NewFamily family, Issuance plan)
    {
        var agents = plan.Who.Instance is not null;
        tx.Run(InsertFamily.With(
            family.Id, plan.Who.Client, plan.Who.User, plan.Consent, family.Session, agents ? plan.Who.Agent : null, plan.Who.Instance, plan.Thumbprint, plan.TaskId, plan.GrantId,
            family.Scope, plan.Presence?.AuthTime?.ToUnixTimeMilliseconds(), plan.Presence?.Acr, plan.IssuedAt.ToUnixTimeMilliseconds(), family.Expires.ToUnixTimeMilliseconds(), family.Certificate));
        Add(tx, family.Token, family.Id, plan.IssuedAt, family.Expires);
    }

    public static void Add(WriteTx tx, OpaqueToken token, string family, DateTimeOffset now, DateTimeOffset familyExpires)
    {
        var idle = now + Idle;
        tx.Run(InsertToken.With(token.Hash, family, (idle < familyExpires ? idle : familyExpires).ToUnixTimeMilliseconds()));
    }

    private static RefreshRecord? Read(DbDataReader r)
    {
        return new(
            r.GetString(0), r.GetInt64(1), r.IsDBNull(2) ? null : r.GetInt64(2), r.GetString(3), r.GetString(4), Text(5), Text(6), Text(7), Text(8), Text(9), Text(10),
            r.GetString(11), r.GetString(12), Text(13), r.IsDBNull(14) ? null : DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(14)), Text(15), r.GetString(16), r.GetInt64(17), Text(18));

        string? Text(int i) => r.IsDBNull(i) ? null : r.GetString(i);
    }
}

/// <summary>Uses a refresh token: it gets its successor, and its line follows to the grant and task of this issuance.</summary>
/// <param name="presented">The token itself; its successor is sealed under it.</param>
/// <param name="tolerant">Whether the same token may come again at once: a public client's, bound to nothing (two windows that share a store).</param>
internal sealed class UseRefreshToken(RefreshRecord record, OpaqueToken presented, OpaqueToken successor, bool tolerant, string grant, string task, DateTimeOffset now) : ICredential
{
    /// <summary>How long a repeated token gets the successor it has already.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(30);

    private static readonly Sql
        Rotate = new(
            """
            update refresh_tokens set used_at = @now, successor_hash = @next, successor = @sealed where hash = @hash and used_at is null and expires_at > @now
              and exists (select 1 from refresh_families f where f.id = @family and f.state = 'active' and f.expires_at > @now)
            """),
        Follow = new("update refresh_families set grant_id = @grant, task_id = @task where id = @family"),
        SessionLives = new("select count(*) from sessions where id = @id and ended_at is null and expires_at > @now"),
        State = new(
            """
            select f.state, t.used_at, t.successor, (select n.used_at from refresh_tokens n where n.hash = t.successor_hash)
            from refresh_tokens t join refresh_families f on f.id = t.family_id where t.hash = @hash
            """);

    // Sealed once: the unit may be run again.
    private readonly byte[] box = presented.Seal(successor);

    public CredentialUse Use(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        if (record.Session is { } session && tx.First(SessionLives.With(session, ms), r => r.GetInt64(0)) == 0)
            return new(Ended: "session_ended");
        if (tx.Run(Rotate.With(ms, successor.Hash, box, record.Hash, record.Family)) == 1)
        {
            RefreshFamilies.Add(tx, successor, record.Family, now, DateTimeOffset.FromUnixTimeMilliseconds(record.FamilyExpires));
            tx.Run(Follow.With(grant, task, record.Family));
            return default;
        }
        var (state, used, next, nextUsed) = tx.First(State.With(record.Hash), r => (
            r.GetString(0), r.IsDBNull(1) ? (long?)null : r.GetInt64(1), r.IsDBNull(2) ? null : (byte[])r.GetValue(2), r.IsDBNull(3) ? (long?)null : r.GetInt64(3)));
        if (state != "active")
            return new(Ended: Names.Reasons.Revoked);
        if (used is null)
            return new(Ended: Names.Reasons.Expired);
        return tolerant && nextUsed is null && ms - used <= (long)Tolerance.TotalMilliseconds ? new(Successor: next) : new(Reuse: new(record.Family, record.GrantId, Reuse.Refresh));
    }
}

/// <summary>A code or refresh token came a second time: whoever has it now, what came of its first use is not theirs alone (OAuth 2.1 §4.1.3, §4.3.1).</summary>
/// <param name="refusal">The event, to be completed.</param>
internal sealed class RevokeReused(Reuse reuse, AuditEvent refusal, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<string?>
{
    private static readonly Sql End = new("update refresh_families set state = 'revoked' where id = @id and state = 'active'");

    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>The space of what was replayed beside it; else null.</summary>
    public override string? Apply(WriteTx tx)
    {
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(refusal with { Type = AuditTypes.ReplayDetected, Reason = Names.Reasons.Replay });
                return once.Space;
            }
        if (reuse.Family is { } family)
            tx.Run(End.With(family));
        var events = GrantTree.Revoke(tx, reuse.Grant, null, reuse.Reason, refusal.Id, now, node);
        tx.Append(refusal with { Type = AuditTypes.ReplayDetected, Reason = reuse.Reason, Grant = reuse.Grant });
        events.ForEach(tx.Append);
        return null;
    }
}
