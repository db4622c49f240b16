using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>Lets an enterprise allow again what somebody had stopped; nothing that ended comes back by it.</summary>
/// <param name="user">Whose it must be; another's is not told apart from none. Null = anybody's.</param>
/// <param name="by">Of at least the rank that stopped it (invariant 12).</param>
/// <param name="reason">In the words of whoever lifts it; null when they need not say.</param>
internal sealed class LiftConsent(string id, string? user, Initiator by, string? reason, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql
        Find = new("select user_id, client_id, agent_id, stopped_by from consents where id = @id and stopped_by > 0"),
        Lift = new("update consents set stopped_by = 0 where id = @id");

    public override StateLock Lock => StateLock.Exclusive;

    /// <summary>False when there is nothing that they could lift.</summary>
    public override bool Apply(WriteTx tx)
    {
        var stopped = tx.First(Find.With(id), r => (Stopped?)new Stopped(r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2), (Rank)r.GetInt64(3)));
        if (stopped is null || (user is not null && stopped.User != user) || stopped.By > by.Rank)
            return false;
        tx.Run(Lift.With(id));
        tx.Append(new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.ConsentLifted, Outcome = "success", Reason = reason, User = stopped.User,
            Agent = stopped.Agent, Client = stopped.Client, Node = node, Data = new() { ["consent"] = id, ["by"] = by.Name },
        });
        return true;
    }

    private sealed record Stopped(string User, string Client, string? Agent, Rank By);
}
