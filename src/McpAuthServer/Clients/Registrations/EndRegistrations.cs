using McpAuth.Protocol.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients.Registrations;

/// <summary>
/// Ends registrations of clients that registered themselves, and all that people allowed them (RFC 7592 §2.3). One that nobody ever allowed anything
/// leaves no trace but the record; the row of another stays, retired, for what refers to it.
/// </summary>
/// <param name="due">Only those whose time has come; else whichever are named.</param>
/// <returns>How many ended.</returns>
internal sealed class EndRegistrations(IReadOnlyList<string> ids, bool due, DateTimeOffset now, string node) : Unit<int>
{
    public const string Deleted = "deleted", Unused = "unused";

    private static readonly Sql
        Lives = new("select expires_at from clients where id = @id and origin = 'dynamic' and state = 'active'"),
        Remove = new("delete from clients where id = @id and not exists (select 1 from consents where client_id = @id)"),
        Retire = new("update clients set state = 'retired', secret_hash = null, registration_hash = null, expires_at = null, changed_at = @now where id = @id"),
        Sessions = new("select id from tasks where client_id = @id and origin = 'session' and state = 'active'"),
        Consents = new("select id from consents where client_id = @id and state = 'active' order by granted_at, id");

    private static readonly Initiator By = new(null, null, null, Rank.Administrator);

    public override StateLock Lock => StateLock.Exclusive;

    public override int Apply(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        var events = new List<AuditEvent>();
        var ended = 0;
        foreach (var id in ids)
        {
            if (tx.First(Lives.With(id), r => (long?)r.GetInt64(0)) is not { } expires || (due && expires > ms))
                continue;
            ended++;
            var reason = due ? Unused : Deleted;
            var deleted = ClientEvents.Deleted(id, ClientOrigin.Dynamic, reason, now, node);
            events.Add(deleted);
            if (tx.Run(Remove.With(id)) == 1)
                continue;
            tx.Run(Retire.With(ms, id));
            Revocations.Deny(tx, SubjectKind.Client, id, "client_" + reason, ms);
            foreach (var session in tx.All(Sessions.With(id), r => r.GetString(0)))
                events.AddRange(TaskTree.End(tx, session, TaskState.Revoked, "client_" + reason, By, deleted.Id, now, node));
            foreach (var consent in tx.All(Consents.With(id), r => r.GetString(0)))
                events.AddRange(ConsentEnding.Withdraw(tx, consent, "client_" + reason, By, deleted.Id, now, node));
        }
        if (ended > 0)
            RegistryVersion.Raise(tx);
        events.ForEach(tx.Append);
        return ended;
    }
}
