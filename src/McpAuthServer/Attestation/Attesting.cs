using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Attestation;

/// <summary>
/// Creates or renews an instance, within a unit. A key belongs to one agent, and to one instance at a time, which one program is; the key of an ended one is
/// burnt. Evidence that may be presented again belongs to the key that came with it first.
/// </summary>
/// <param name="jwk">The instance's public key.</param>
internal sealed class Attesting(Evidence evidence, string thumbprint, JsonElement jwk, DateTimeOffset now)
{
    /// <summary>The key is of an instance that another program is.</summary>
    public const string OtherProgram = "key_of_another_workload";

    /// <summary>The evidence came with another key before: one of the two is not the program it is of.</summary>
    public const string OtherKey = "evidence_of_another_key";

    private static readonly Sql
        OfKey = new("select id, agent_id, state, expires_at, evidence, workload from instances where jkt = @jkt order by attested_at desc, id desc limit 1"),
        Insert = new(
            """
            insert into instances (id, agent_id, client_id, jkt, jwk, state, evidence, evidence_digest, workload, assurance, attested_at, expires_at)
            values (@id, @agent, @client, @jkt, @jwk, 'active', @evidence, @digest, @workload, @assurance, @now, @expires)
            """),
        Extend = new("update instances set expires_at = @expires, evidence_digest = @digest where id = @id and state = 'active'");

    public Evidence Evidence => evidence;
    public string Thumbprint => thumbprint;

    /// <summary>Until when the instance lives after this.</summary>
    public DateTimeOffset Expires { get; } = now + Limits.Instance;

    /// <summary>The living instance of the key, which would be renewed; null = a new one.</summary>
    public string? Renews(WriteTx tx) =>
        Find(tx) is { State: "active" } known && known.Agent == evidence.Agent && known.Expires > now.ToUnixTimeMilliseconds() ? known.Id : null;

    /// <summary>Writes it, and appends what happened.</summary>
    /// <param name="id">Of the instance, if it is a new one.</param>
    /// <param name="jti">Of the token that goes with it.</param>
    /// <returns>The instance's id and whether it was there; or the reason of a refusal, which has been appended.</returns>
    public (string? Instance, bool Renewed, string? Refused) Run(WriteTx tx, string id, string jti, string node)
    {
        var known = Find(tx);
        if (Refuses(tx, known) is { } reason)
        {
            tx.Append(Event(AuditTypes.InstanceRefused, "refused", null, reason, null, node));
            return (null, false, reason);
        }
        var (ms, expires) = (now.ToUnixTimeMilliseconds(), Expires.ToUnixTimeMilliseconds());
        var renewed = known is { State: "active" } && known.Expires > ms;
        if (renewed)
            tx.Run(Extend.With(expires, evidence.Digest?.Value, id = known!.Id));
        else
            tx.Run(Insert.With(id, evidence.Agent, evidence.Client, thumbprint, jwk.GetRawText(), evidence.Kind, evidence.Digest?.Value, evidence.Workload, evidence.Assurance, ms, expires));
        tx.Append(Event(renewed ? AuditTypes.InstanceRenewed : AuditTypes.InstanceAttested, "success", id, null, jti, node));
        return (id, renewed, null);
    }

    public AuditEvent Event(string type, string outcome, string? instance, string? reason, string? jti, string node)
    {
        var told = new JsonObject { ["evidence"] = evidence.Kind, ["jkt"] = thumbprint, ["assurance"] = evidence.Assurance };
        if (evidence.Workload is { } workload)
            told["workload"] = workload;
        if (evidence.Digest is { } digest)
            told["evidence_digest"] = digest.Value;
        return new()
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = outcome, Reason = reason, Agent = evidence.Agent, Instance = instance,
            Client = evidence.Client, Jti = jti, Node = node, Data = told,
        };
    }

    private string? Refuses(WriteTx tx, Known? known)
    {
        if (known is not null && known.Agent != evidence.Agent)
            return Names.Reasons.ActorUnauthorized;
        if (known is { State: not ("active" or "expired") })
            return Names.Reasons.InstanceEnded;
        if (known is not null && (known.Evidence != evidence.Kind || known.Workload != evidence.Workload))
            return OtherProgram;
        // Last: it is written down whose the evidence is.
        return evidence.Digest?.Belongs(tx, thumbprint) == false ? OtherKey : null;
    }

    private Known? Find(WriteTx tx) => tx.First(OfKey.With(thumbprint), r => new Known(
        r.GetString(0), r.GetString(1), r.GetString(2), r.GetInt64(3), r.GetString(4), r.IsDBNull(5) ? null : r.GetString(5)));

    private sealed record Known(string Id, string Agent, string State, long Expires, string Evidence, string? Workload);
}
