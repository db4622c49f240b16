using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Agents;

internal readonly record struct Attested(IssueOutcome Outcome, string? Reason = null, InstanceContext? Instance = null, bool Renewed = false);

/// <summary>Creates or renews an instance. A key belongs to one agent, and to one instance at a time; the key of an ended one is burnt.</summary>
internal sealed class AttestInstance(
    string agent, string client, string thumbprint, long registryVersion, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<Attested>
{
    private const string Assurance = "registered-key";

    private static readonly Sql
        OfKey = new("select id, agent_id, state, expires_at from instances where jkt = @jkt order by attested_at desc, id desc limit 1"),
        Insert = new("insert into instances (id, agent_id, jkt, state, workload, assurance, attested_at, expires_at) values (@id, @agent, @jkt, 'active', null, @assurance, @now, @expires)"),
        Extend = new("update instances set expires_at = @expires where id = @id and state = 'active'");

    private readonly string fresh = Id.New(Id.Instance, now);

    /// <summary>Of the instance token that goes with it.</summary>
    public string Jti { get; } = Id.New(Id.InstanceToken, now);

    // Two attestations with one key at the same time must not make two instances.
    public override StateLock Lock => StateLock.Exclusive;

    public override Attested Apply(WriteTx tx)
    {
        if (!RegistryVersion.IsCurrent(tx, registryVersion))
            return new(IssueOutcome.Stale);
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(Event(AuditTypes.ReplayDetected, "refused", null, Names.Reasons.Replay));
                return new(IssueOutcome.Replayed, once.Space);
            }

        var ms = now.ToUnixTimeMilliseconds();
        var expires = now + Limits.Instance;
        var known = tx.First(OfKey.With(thumbprint), r => (Id: r.GetString(0), Agent: r.GetString(1), State: r.GetString(2), Expires: r.GetInt64(3)));
        if (known.Id is not null && (known.Agent != agent || known.State != "active"))
        {
            var reason = known.Agent != agent ? Names.Reasons.ActorUnauthorized : Names.Reasons.InstanceEnded;
            tx.Append(Event(AuditTypes.InstanceRefused, "refused", null, reason));
            return new(IssueOutcome.Ended, reason);
        }
        var renewed = known.Id is not null && known.Expires > ms;
        var id = renewed ? known.Id! : fresh;
        if (renewed)
            tx.Run(Extend.With(expires.ToUnixTimeMilliseconds(), id));
        else
            tx.Run(Insert.With(id, agent, thumbprint, Assurance, ms, expires.ToUnixTimeMilliseconds()));
        tx.Append(Event(renewed ? AuditTypes.InstanceRenewed : AuditTypes.InstanceAttested, "success", id, null));
        return new(IssueOutcome.Issued, Instance: new InstanceContext(id, thumbprint, null, Assurance, expires), Renewed: renewed);
    }

    private AuditEvent Event(string type, string outcome, string? instance, string? reason) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Reason = reason, Agent = agent, Instance = instance,
        Client = client, Jti = outcome == "success" ? Jti : null, Node = node,
        Data = new() { ["evidence"] = Names.ClientAssertion.PrivateKeyJwt, ["jkt"] = thumbprint, ["assurance"] = Assurance },
    };
}
