using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.People;

/// <summary>Begins sessions.</summary>
internal static class SessionBeginning
{
    private static readonly Sql Insert = new(
        """
        insert into sessions (id, user_id, auth_time, acr, expires_at)
        select @id, id, cast(@auth as bigint), @acr, cast(@expires as bigint) from users where id = @user and enabled = 1
        """);

    /// <summary>False when the user is disabled; under <see cref="StateLock.Shared"/> they stay enabled until the commit.</summary>
    public static bool Begin(WriteTx tx, SignInSession session) =>
        tx.Run(Insert.With(session.Id, session.AuthTime.ToUnixTimeMilliseconds(), session.Acr, session.Expires.ToUnixTimeMilliseconds(), session.UserId)) == 1;
}

/// <summary>Ends sessions and whatever lives by them; only from units under <see cref="StateLock.Exclusive"/>.</summary>
internal static class SessionEnding
{
    public const string SignedOut = "signed_out", Replaced = "replaced", PasswordChanged = "password_changed";

    private static readonly Sql
        Close = new("update sessions set ended_at = @now where id = @id and ended_at is null"),
        UserOf = new("select user_id from sessions where id = @id"),
        Lines = new("select id, grant_id from refresh_families where session_id = @session and state = 'active' order by id"),
        EndLine = new("update refresh_families set state = 'revoked' where id = @id"),
        MoveLines = new(
            "update refresh_families set session_id = @next where session_id = @session and state = 'active' and user_id = @user"),
        OpenOf = new("select id from sessions where user_id = @user and ended_at is null order by auth_time, id");

    /// <returns>The events of it, for the unit to append last; none when it had ended before.</returns>
    public static IReadOnlyList<AuditEvent> End(WriteTx tx, string id, string reason, DateTimeOffset now, string? node)
    {
        if (tx.Run(Close.With(now.ToUnixTimeMilliseconds(), id)) == 0)
            return [];
        var ended = new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.SignedOut, Outcome = "success", Reason = reason,
            User = tx.First(UserOf.With(id), r => r.GetString(0)), Node = node,
        };
        // Access without offline_access lasts as long as the sign-in that it was given in.
        List<AuditEvent> events = [ended];
        foreach (var (line, grant) in tx.All(Lines.With(id), r => (r.GetString(0), r.GetString(1))))
        {
            tx.Run(EndLine.With(line));
            events.AddRange(GrantTree.Revoke(tx, grant, null, reason, ended.Id, now, node ?? ""));
        }
        return events;
    }

    /// <summary>A new sign-in in the same browser: the old session ends. What the same person allowed in it goes on with the new one.</summary>
    public static IReadOnlyList<AuditEvent> Replace(WriteTx tx, string id, SignInSession next, DateTimeOffset now, string? node)
    {
        tx.Run(MoveLines.With(next.Id, id, next.UserId));
        return End(tx, id, Replaced, now, node);
    }

    /// <param name="except">The session that stays.</param>
    public static IReadOnlyList<AuditEvent> EndAllOf(WriteTx tx, string user, string? except, string reason, DateTimeOffset now, string? node) =>
        [.. tx.All(OpenOf.With(user), r => r.GetString(0)).Where(id => id != except).SelectMany(id => End(tx, id, reason, now, node))];
}

/// <summary>A person signs out. True when the session had not ended before.</summary>
internal sealed class EndSession(string id, DateTimeOffset now, string node) : Unit<bool>
{
    public override StateLock Lock => StateLock.Exclusive;

    public override bool Apply(WriteTx tx)
    {
        var events = SessionEnding.End(tx, id, SessionEnding.SignedOut, now, node);
        foreach (var e in events)
            tx.Append(e);
        return events.Count > 0;
    }
}
