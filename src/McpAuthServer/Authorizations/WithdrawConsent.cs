using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>Takes a consent back, and with it everything that stands on it: tasks, grants, refresh tokens.</summary>
/// <param name="user">Whose it must be; another's is not told apart from none.</param>
internal sealed class WithdrawConsent(string id, string user, Initiator by, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql
        Find = new("select client_id, agent_id from consents where id = @id and user_id = @user and state = 'active'"),
        Withdraw = new("update consents set state = 'withdrawn', remembered_until = 0, ended_at = @now where id = @id"),
        Tasks = new(
            """
            select distinct t.id from tasks t join grants g on g.task_id = t.id
            where g.consent_id = @consent and t.origin = 'delegated' and t.state in ('active', 'suspended') order by t.id
            """),
        EndFamilies = new("update refresh_families set state = 'revoked' where consent_id = @consent and state = 'active'");

    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>False when there is no such consent of this person.</summary>
    public override bool Apply(WriteTx tx)
    {
        if (tx.First(Find.With(id, user), r => ((string Client, string? Agent)?)(r.GetString(0), r.IsDBNull(1) ? null : r.GetString(1))) is not { } consent)
            return false;
        var ms = now.ToUnixTimeMilliseconds();
        var withdrawn = new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = ms, Type = AuditTypes.ConsentWithdrawn, Outcome = "success", User = user, Agent = consent.Agent, Client = consent.Client, Node = node,
            Data = new() { ["consent"] = id, ["by"] = by.Name },
        };
        tx.Run(Withdraw.With(ms, id));
        tx.Run(EndFamilies.With(id));
        List<AuditEvent> events = [withdrawn];
        foreach (var task in tx.All(Tasks.With(id), r => r.GetString(0)))
            events.AddRange(TaskTree.End(tx, task, TaskState.Revoked, "consent_withdrawn", by, withdrawn.Id, now, node));
        events.AddRange(GrantTree.RevokeOfConsent(tx, id, "consent_withdrawn", withdrawn.Id, now, node));
        events.ForEach(tx.Append);
        return true;
    }
}
