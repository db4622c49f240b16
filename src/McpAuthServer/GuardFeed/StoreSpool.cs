using System.Security.Cryptography;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <param name="Canonical">The event as the guard hashed it.</param>
internal sealed record PresentedEntry(long Seq, string Prev, byte[] Canonical, AuditEvent Event);

/// <summary>A spool entry with what the server knows itself, or the reason why it is not believed.</summary>
internal sealed record CompletedEntry(PresentedEntry Entry, AuditEvent? Event, string? Disbelieved)
{
    private static readonly HashSet<string> Types = [AuditTypes.CallDecided, AuditTypes.CallFinished, AuditTypes.CallRefused, AuditTypes.ReplayDetected];

    public static CompletedEntry From(PresentedEntry entry, AuditEvent? issued, GuardCaller caller)
    {
        var e = entry.Event;
        // A decision's event carries the decision's own id, which the denied caller was told.
        var prefix = e.Type == AuditTypes.CallDecided ? Id.Decision : Id.Event;
        if (!Types.Contains(e.Type) || !e.Id.StartsWith(prefix, StringComparison.Ordinal) || e.Id.Length > 64)
            return new(entry, null, "unknown_type");
        if (e.Jti is not null && (issued is null || issued.Resource != caller.Server.Resource))
            return new(entry, null, "foreign_jti");
        return new(entry, e with
        {
            User = issued?.User, Agent = issued?.Agent, Instance = issued?.Instance, Client = issued?.Client, Chain = issued?.Chain, Task = issued?.Task,
            ParentTask = issued?.ParentTask, Grant = issued?.Grant, Resource = caller.Server.Resource, Node = caller.Guard.Id,
        }, null);
    }
}

/// <summary>
/// Stores what is new of a delivery and moves the guard's place, by one conditional write: a repeated delivery changes nothing. A gap or a
/// broken chain is recorded as an alert and does not stop the rest.
/// </summary>
internal sealed class StoreSpool(string guard, IReadOnlyList<CompletedEntry> entries, DateTimeOffset now, string node) : Unit<long?>
{
    private static readonly Sql
        Place = new("select spool_seq, spool_hash from guards where id = @id"),
        Move = new("update guards set spool_seq = @seq, spool_hash = @hash where id = @id and spool_seq = @was"),
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
        foreach (var (entry, completed, disbelieved) in fresh)
        {
            if (entry.Seq != seq + 1 || entry.Prev != hash)
                events.Add(Alert(AuditTypes.GuardGap, entry.Seq != seq + 1 ? "missing_entries" : "broken_chain", new() { ["after"] = seq, ["seq"] = entry.Seq }));
            // The chain goes on from what the guard says it stands on, so that one break is one alert.
            (seq, hash) = (entry.Seq, Hash(entry.Prev, entry.Canonical));
            if (completed is not null && ids.Add(completed.Id) && tx.First(Exists.With(completed.Id), r => r.GetInt64(0)) == 0)
                events.Add(completed);
            else
                events.Add(Alert(AuditTypes.GuardRefused, disbelieved ?? "repeated_id", new() { ["seq"] = entry.Seq }));
        }
        if (tx.Run(Move.With(seq, hash, guard, at.Seq)) == 0)
            return null;
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
