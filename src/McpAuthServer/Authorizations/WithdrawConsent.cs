using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>Takes a consent back, and with it everything that stands on it: tasks, grants, refresh tokens.</summary>
/// <param name="user">Whose it must be; another's is not told apart from none.</param>
internal sealed class WithdrawConsent(string id, string user, Initiator by, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql Find = new("select user_id from consents where id = @id and user_id = @user and state = 'active'");

    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>False when there is no such consent of this person.</summary>
    public override bool Apply(WriteTx tx)
    {
        if (tx.First(Find.With(id, user), r => r.GetString(0)) is null)
            return false;
        ConsentEnding.Withdraw(tx, id, Names.Reasons.ConsentWithdrawn, by, cause: null, now, node, forGood: true).ForEach(tx.Append);
        return true;
    }
}

/// <summary>The end of a consent; only for units under <see cref="StateLock.Exclusive"/>.</summary>
internal static class ConsentEnding
{
    private static readonly Sql
        Find = new("select user_id, client_id, agent_id from consents where id = @id"),
        End = new("update consents set state = 'withdrawn', remembered_until = 0, ended_at = @now, stopped_by = case when provider_id is null then 0 else @rank end where id = @id"),
        Tasks = new(
            """
            select distinct t.id from tasks t join grants g on g.task_id = t.id
            where g.consent_id = @consent and t.origin = 'delegated' and t.state in ('active', 'suspended') order by t.id
            """),
        EndFamilies = new("update refresh_families set state = 'revoked' where consent_id = @consent and state = 'active'");

    /// <param name="id">One that stands.</param>
    /// <param name="reason">Of all that ends with it.</param>
    /// <param name="forGood">Whether somebody meant this very consent. Where an enterprise allows it, that stops it until they, or somebody of a higher rank, lift it (invariant 12).</param>
    /// <returns>The events, for the caller to append when everything else is written.</returns>
    public static List<AuditEvent> Withdraw(WriteTx tx, string id, string reason, Initiator by, string? cause, DateTimeOffset now, string? node, bool forGood = false)
    {
        var (user, client, agent) = tx.First(Find.With(id), r => (r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2)));
        var ms = now.ToUnixTimeMilliseconds();
        var withdrawn = new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = ms, Type = AuditTypes.ConsentWithdrawn, Outcome = "success", User = user, Agent = agent, Client = client, Cause = cause, Node = node,
            Data = new() { ["consent"] = id, ["by"] = by.Name },
        };
        tx.Run(End.With(ms, forGood ? (long)by.Rank : 0L, id));
        tx.Run(EndFamilies.With(id));
        List<AuditEvent> events = [withdrawn];
        foreach (var task in tx.All(Tasks.With(id), r => r.GetString(0)))
            events.AddRange(TaskTree.End(tx, task, TaskState.Revoked, reason, by, withdrawn.Id, now, node));
        events.AddRange(GrantTree.RevokeOfConsent(tx, id, reason, withdrawn.Id, now, node));
        return events;
    }
}
