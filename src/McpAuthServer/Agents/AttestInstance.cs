using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Attestation;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Agents;

internal readonly record struct Attested(IssueOutcome Outcome, string? Reason = null, InstanceContext? Instance = null, bool Renewed = false);

/// <summary>
/// Creates or renews an instance. A key belongs to one agent, and to one instance at a time, which one program is; the key of an ended one is burnt. Evidence
/// that may be presented again belongs to the key that came with it first.
/// </summary>
/// <param name="jwk">The instance's public key.</param>
internal sealed class AttestInstance(
    Evidence evidence, string thumbprint, JsonElement jwk, long registryVersion, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<Attested>
{
    private static readonly Sql
        OfKey = new("select id, agent_id, state, expires_at, evidence, workload from instances where jkt = @jkt order by attested_at desc, id desc limit 1"),
        Insert = new(
            """
            insert into instances (id, agent_id, client_id, jkt, jwk, state, evidence, evidence_digest, workload, assurance, attested_at, expires_at)
            values (@id, @agent, @client, @jkt, @jwk, 'active', @evidence, @digest, @workload, @assurance, @now, @expires)
            """),
        Extend = new("update instances set expires_at = @expires, evidence_digest = @digest where id = @id and state = 'active'");

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
        var known = tx.First(OfKey.With(thumbprint), r => new Known(
            r.GetString(0), r.GetString(1), r.GetString(2), r.GetInt64(3), r.GetString(4), r.IsDBNull(5) ? null : r.GetString(5)));
        if (Refuses(tx, known) is { } reason)
        {
            tx.Append(Event(AuditTypes.InstanceRefused, "refused", null, reason));
            return new(IssueOutcome.Ended, reason);
        }
        var renewed = known is not null && known.Expires > ms;
        var id = renewed ? known!.Id : fresh;
        if (renewed)
            tx.Run(Extend.With(expires.ToUnixTimeMilliseconds(), evidence.Digest?.Value, id));
        else
            tx.Run(Insert.With(id, evidence.Agent, evidence.Client, thumbprint, jwk.GetRawText(), evidence.Kind, evidence.Digest?.Value, evidence.Workload, evidence.Assurance, ms,
                expires.ToUnixTimeMilliseconds()));
        tx.Append(Event(renewed ? AuditTypes.InstanceRenewed : AuditTypes.InstanceAttested, "success", id, null));
        return new(IssueOutcome.Issued, Instance: new InstanceContext(id, thumbprint, evidence.Workload, evidence.Assurance, expires), Renewed: renewed);
    }

    private string? Refuses(WriteTx tx, Known? known)
    {
        if (known is not null && known.Agent != evidence.Agent)
            return Names.Reasons.ActorUnauthorized;
        if (known is not null && known.State != "active")
            return Names.Reasons.InstanceEnded;
        if (known is not null && (known.Evidence != evidence.Kind || known.Workload != evidence.Workload))
            return OtherProgram;
        // Last: it is written down whose the evidence is.
        return evidence.Digest?.Belongs(tx, thumbprint) == false ? OtherKey : null;
    }

    /// <summary>The key is of an instance that another program is.</summary>
    public const string OtherProgram = "key_of_another_workload";

    /// <summary>The evidence came with another key before: one of the two is not the program it is of.</summary>
    public const string OtherKey = "evidence_of_another_key";

    private AuditEvent Event(string type, string outcome, string? instance, string? reason) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Reason = reason, Agent = evidence.Agent, Instance = instance,
        Client = evidence.Client, Jti = outcome == "success" ? Jti : null, Node = node, Data = Told(),
    };

    private JsonObject Told()
    {
        var told = new JsonObject { ["evidence"] = evidence.Kind, ["jkt"] = thumbprint, ["assurance"] = evidence.Assurance };
        if (evidence.Workload is { } workload)
            told["workload"] = workload;
        if (evidence.Digest is { } digest)
            told["evidence_digest"] = digest.Value;
        return told;
    }

    private sealed record Known(string Id, string Agent, string State, long Expires, string Evidence, string? Workload);
}
