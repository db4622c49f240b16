using System.Data.Common;
using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>A code as issued, with the consent and the sign-in it stands on.</summary>
/// <param name="Thumbprint">Of the key that alone may redeem it (RFC 9449 §10); null = anybody who has the verifier.</param>
/// <param name="Grant">What it was redeemed for; null while it is unused.</param>
internal sealed record CodeRecord(
    string Hash, string Consent, string Session, string ClientId, string RedirectUri, string Challenge, string? Scope, Authority Authority, DateTimeOffset? TaskExpires,
    DateTimeOffset Expires, string? Grant, string UserId, string? AgentId, string? ToolServer, string? Purpose, DateTimeOffset AuthTime, string Acr, DateTimeOffset SessionExpires, string? Nonce, string? Thumbprint);

/// <summary>Reads codes.</summary>
internal sealed class CodeStore(IReadStore store)
{
    private static readonly Sql ByHash = new(
        """
        select c.hash, c.consent_id, c.session_id, c.client_id, c.redirect_uri, c.challenge, c.scope, c.authority, c.task_expires_at, c.expires_at, c.grant_id,
          k.user_id, k.agent_id, k.tool_server, k.purpose, s.auth_time, s.acr, s.expires_at, c.nonce, c.jkt
        from codes c join consents k on k.id = c.consent_id join sessions s on s.id = c.session_id where c.hash = @hash
        """);

    public Task<CodeRecord?> Find(string hash, CancellationToken cancel) => store.First(ByHash.With(hash), Read, cancel);

    private static CodeRecord? Read(DbDataReader r)
    {
        return new(
            r.GetString(0), r.GetString(1), r.GetString(2), r.GetString(3), r.GetString(4), r.GetString(5), Text(6),
            TaskRecord.ReadAuthority(r.GetString(7)), r.IsDBNull(8) ? null : Time(8), Time(9), Text(10),
            r.GetString(11), Text(12), Text(13), Text(14), Time(15), r.GetString(16), Time(17), Text(18), Text(19));

        string? Text(int i) => r.IsDBNull(i) ? null : r.GetString(i);
        DateTimeOffset Time(int i) => DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(i));
    }
}

/// <summary>Uses a code (RFC 6749 §4.1.2: once), while the sign-in and the consent it came from still stand.</summary>
internal sealed class UseCode(CodeRecord code, string grant, DateTimeOffset now) : ICredential
{
    private static readonly Sql
        Mark = new(
            """
            update codes set used_at = @now, grant_id = @grant where hash = @hash and used_at is null and expires_at > @now
              and exists (select 1 from consents k where k.id = @consent and k.state = 'active')
              and exists (select 1 from sessions s where s.id = @session and s.ended_at is null and s.expires_at > @now)
            """),
        State = new("select grant_id, expires_at from codes where hash = @hash");

    public CredentialUse Use(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        if (tx.Run(Mark.With(ms, grant, code.Hash, code.Consent, code.Session)) == 1)
            return default;
        var (first, expires) = tx.First(State.With(code.Hash), r => (r.IsDBNull(0) ? null : r.GetString(0), r.GetInt64(1)));
        return first is not null ? new(Reuse: new(null, first, Reuse.Code)) : new(Ended: expires <= ms ? Names.Reasons.Expired : Names.Reasons.Revoked);
    }
}
