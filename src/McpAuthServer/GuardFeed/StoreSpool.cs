using System.Security.Cryptography;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Http;
using McpAuthServer.Policies;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <param name="Canonical">The event as the guard hashed it.</param>
internal sealed record PresentedEntry(long Seq, string Prev, byte[] Canonical, AuditEvent Event);

/// <summary>A spool entry with what the server knows itself, or the reason why it is not believed.</summary>
internal sealed record CompletedEntry(PresentedEntry Entry, AuditEvent? Event, string? Disbelieved)
{
    /// <summary>What a decision's policies said and were asked.</summary>
    public PolicyTold? Told { get; init; }

    private static readonly HashSet<string> Types = [AuditTypes.CallDecided, AuditTypes.CallFinished, AuditTypes.CallRefused, AuditTypes.ReplayDetected, AuditTypes.DownstreamUsed];

    /// <summary>The token that a call used at another tool server; null where the event tells of none.</summary>
    public static string? TokenUsed(AuditEvent e) =>
        e.Type == AuditTypes.DownstreamUsed && e.Data?["jti"] is JsonValue value && value.TryGetValue(out string? jti) ? jti : null;

    /// <param name="issued">What was issued as the event's token.</param>
    /// <param name="used">What was issued as <see cref="TokenUsed"/>.</param>
    public static CompletedEntry From(PresentedEntry entry, AuditEvent? issued, AuditEvent? used, GuardCaller caller)
    {
        var e = entry.Event;
        // A decision's event carries the decision's own id, which the denied caller was told.
        var prefix = e.Type == AuditTypes.CallDecided ? Id.Decision : Id.Event;
        if (!Types.Contains(e.Type) || !e.Id.StartsWith(prefix, StringComparison.Ordinal) || e.Id.Length > 64)
            return new(entry, null, "unknown_type");
        if (e.Jti is not null && (issued is null || issued.Resource != caller.Server.Resource))
            return new(entry, null, "foreign_jti");
        // What a call used elsewhere was this guard's own, in the task of the call.
        if (e.Type == AuditTypes.DownstreamUsed && (issued is null || (TokenUsed(e) is not null && (used?.Client != caller.Guard.Id || used.Task != issued.Task))))
            return new(entry, null, "foreign_jti");
        var told = e.Type == AuditTypes.CallDecided ? PolicyTold.Take(ref e) : null;
        return new(entry, e with
        {
            User = issued?.User, Agent = issued?.Agent, Instance = issued?.Instance, Client = issued?.Client, Chain = issued?.Chain, Task = issued?.Task,
            ParentTask = issued?.ParentTask, Grant = issued?.Grant, Resource = caller.Server.Resource, Node = caller.Guard.Id,
        }, null) { Told = told };
    }
}

/// <summary>
/// Stores what is new of a delivery and moves the guard's place, by one conditional write: a repeated delivery changes nothing. A gap or a
/// broken chain is recorded as an alert and does not stop the rest.
/// </summary>
/// <param name="keepUntil">How long what decisions were made on is kept, in epoch milliseconds; null = it is not.</param>
internal sealed class StoreSpool(string guard, string toolServer, IReadOnlyList<CompletedEntry> entries, DateTimeOffset now, long? keepUntil, string node) : Unit<long?>
{
    private static readonly Sql
        Place = new("select spool_seq, spool_hash from guards where id = @id"),
        Move = new("update guards set spool_seq = @seq, spool_hash = @hash where id = @id and spool_seq = @was"),
        Used = new("select count(*) from approvals where id = @approval and used_by = @decision"),
        Exists = new("select count(*) from audit_events where id = @id");

    public override StateLock Lock => StateLock.None;

    /// <summary>The last place that is stored; null when another delivery moved it in between.</summary>
    public override long? Apply(WriteTx tx)
    {
        var at = tx.First(Place.With(guard), r => (Seq: r.GetInt64(0), Hash: r.GetString(1)));
        var fresh = entries.Where(e => e.Entry.Seq > at.Seq).ToList();
        if (fresh.Count == 0)
            return at.Seq;

        var events = new List<AuditEvent>(fresh.Count);
        var (seq, hash) = at;
        var ids = new HashSet<string>(StringComparer.Ordinal);
        var told = new List<(AuditEvent Event, PolicyTold Told)>();
        foreach (var fresher in fresh)
        {
            var (entry, completed, disbelieved) = fresher;
            if (entry.Seq != seq + 1 || entry.Prev != hash)
                events.Add(Alert(AuditTypes.GuardGap, entry.Seq != seq + 1 ? "missing_entries" : "broken_chain", new() { ["after"] = seq, ["seq"] = entry.Seq }));
            // The chain goes on from what the guard says it stands on, so that one break is one alert.
            (seq, hash) = (entry.Seq, Hash(entry.Prev, entry.Canonical));
            if (completed is not null && ids.Add(completed.Id) && tx.First(Exists.With(completed.Id), r => r.GetInt64(0)) == 0)
            {
                // A guard's word that a person said yes counts where it was used up for this decision.
                if (completed.Approval is { } yes && tx.First(Used.With(yes, completed.Id), r => r.GetInt64(0)) == 0)
                {
                    completed = completed with { Approval = null };
                    events.Add(Alert(AuditTypes.GuardRefused, "unknown_approval", new() { ["seq"] = entry.Seq }));
                }
                events.Add(completed);
                if (fresher.Told is { } policy)
                    told.Add((completed, policy));
            }
            else
                events.Add(Alert(AuditTypes.GuardRefused, disbelieved ?? "repeated_id", new() { ["seq"] = entry.Seq }));
        }
        if (tx.Run(Move.With(seq, hash, guard, at.Seq)) == 0)
            return null;
        PolicyRequests.Store(tx, toolServer, told, keepUntil);
        events.ForEach(tx.Append);
        return seq;
    }

    private static string Hash(string prev, byte[] canonical)
    {
        byte[] above = Base64Url.TryDecode(prev, out var bytes) ? bytes : [];
        return Base64Url.Encode(SHA256.HashData([.. above, .. canonical]));
    }

    private AuditEvent Alert(string type, string reason, System.Text.Json.Nodes.JsonObject data) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = "refused", Reason = reason, Client = guard, Node = node, Data = data,
    };
}
