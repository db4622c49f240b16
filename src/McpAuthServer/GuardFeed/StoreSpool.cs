using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Http;
using McpAuthServer.Policies;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary>A spool entry with what the server knows itself, or the reason why it is not believed.</summary>
/// <param name="Told">What a decision's policies said and were asked.</param>
internal sealed record CompletedEntry(PresentedEntry Entry, AuditEvent? Event, string? Disbelieved, PolicyTold? Told = null)
{
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
        // Whoever reads the record makes a date of it.
        if (e.Time is < 0 or > Limits.LatestTime)
            return new(entry, null, "wrong_time");
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
        }, null, told);
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
        Given = new("select count(*) from policy_sets where tool_server = @server and version = @version and state <> 'draft'");

    /// <summary>The version beside that was last found to be given; a delivery names one, mostly.</summary>
    private long? asked;

    public override StateLock Lock => StateLock.None;

    /// <summary>The last place that is stored; null when another delivery moved it in between.</summary>
    public override long? Apply(WriteTx tx)
    {
        var at = tx.First(Place.With(guard), r => (Seq: r.GetInt64(0), Hash: r.GetString(1)));
        var fresh = entries.Where(e => e.Entry.Seq > at.Seq).ToList();
        if (fresh.Count == 0)
            return at.Seq;

        var last = fresh[^1].Entry;
        if (tx.Run(Move.With(last.Seq, last.Hash, guard, at.Seq)) == 0)
            return null;

        var (seq, hash) = at;
        var told = new List<(AuditEvent Event, PolicyTold Told)>();
        foreach (var (entry, completed, disbelieved, policy) in fresh)
        {
            if (entry.Seq != seq + 1 || entry.Prev != hash)
                Alert(tx, AuditTypes.GuardGap, entry.Seq != seq + 1 ? "missing_entries" : "broken_chain", new() { ["after"] = seq, ["seq"] = entry.Seq });
            // The chain goes on from what the guard says it stands on, so that one break is one alert.
            (seq, hash) = (entry.Seq, entry.Hash);
            if (completed is null)
            {
                Alert(tx, AuditTypes.GuardRefused, disbelieved!, new() { ["seq"] = entry.Seq });
                continue;
            }
            var (believed, believedPolicy) = Shadowed(tx, Believed(tx, completed, entry), policy, entry);
            if (!tx.AppendNew(believed))
                Alert(tx, AuditTypes.GuardRefused, "repeated_id", new() { ["seq"] = entry.Seq });
            else if (believedPolicy is not null)
                told.Add((believed, believedPolicy));
        }
        PolicyRequests.Store(tx, toolServer, told, now.ToUnixTimeMilliseconds(), keepUntil);
        return seq;
    }

    /// <summary>A guard's word that a person said yes counts where it was used up for this decision.</summary>
    private AuditEvent Believed(WriteTx tx, AuditEvent completed, PresentedEntry entry)
    {
        if (completed.Approval is not { } yes || tx.First(Used.With(yes, completed.Id), r => r.GetInt64(0)) > 0)
            return completed;
        Alert(tx, AuditTypes.GuardRefused, "unknown_approval", new() { ["seq"] = entry.Seq });
        return completed with { Approval = null };
    }

    /// <summary>A guard's word of a version beside the one that decides counts where guards can have been given that version.</summary>
    private (AuditEvent Event, PolicyTold? Told) Shadowed(WriteTx tx, AuditEvent completed, PolicyTold? told, PresentedEntry entry)
    {
        if (told?.Shadow is not { } shadow || shadow.Version == asked)
            return (completed, told);
        if (tx.First(Given.With(toolServer, shadow.Version), r => r.GetInt64(0)) > 0)
        {
            asked = shadow.Version;
            return (completed, told);
        }
        Alert(tx, AuditTypes.GuardRefused, "unknown_shadow", new() { ["seq"] = entry.Seq });
        // A copy: the unit may run again.
        var data = completed.Data!.DeepClone().AsObject();
        data.Remove("shadow");
        return (completed with { Data = data.Count > 0 ? data : null }, told with { Shadow = null });
    }

    private void Alert(WriteTx tx, string type, string reason, JsonObject data) => tx.Append(new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = "refused", Reason = reason, Client = guard, Node = node, Data = data,
    });
}
