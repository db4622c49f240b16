using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;

namespace McpAuthServer.Policies;

/// <summary>What a guard tells of the policies of one decision, beside the audit event.</summary>
/// <param name="Sealed">What they were asked, encrypted by the guard.</param>
/// <param name="Decided"><c>allow</c> or <c>deny</c>: what they said; the call may have been denied by something else.</param>
/// <param name="Shadow">The version that was asked beside them, and what it said.</param>
internal sealed record PolicyTold(string? Sealed, string? Decided, (long Version, string Decision)? Shadow)
{
    private const int Longest = 256 * 1024;

    /// <summary>
    /// Takes what is kept elsewhere out of the event, and out of its data: an audit record lives for good, arguments do not. The digest stays, so that what is kept elsewhere cannot be
    /// exchanged.
    /// </summary>
    public static PolicyTold? Take(ref AuditEvent e)
    {
        if (e.Data is not { } data)
            return null;
        var request = Text(data, "request") is { Length: <= Longest } text ? text : null;
        var shadow = data["shadow"] is JsonObject said && said["version"] is JsonValue number && number.TryGetValue(out long version) && Decision(said, "decision") is { } decision
            ? (version, decision) : ((long, string)?)null;
        var told = new PolicyTold(request, Decision(data, "policy"), shadow);

        // Members that are not as they must be are nobody's word.
        foreach (var member in (string[])["request", "shadow", "policy"])
            data.Remove(member);
        if (request is not null)
            data["request_digest"] = "sha-256:" + Base64Url.Sha256(request);
        if (told.Decided is not null)
            data["policy"] = told.Decided;
        if (shadow is { } there)
            data["shadow"] = new JsonObject { ["version"] = there.Item1, ["decision"] = there.Item2 };
        if (data.Count == 0)
            e = e with { Data = null };
        return told;
    }

    private static string? Text(JsonObject data, string member) => data[member] is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static string? Decision(JsonObject data, string member) => Text(data, member) is "allow" or "deny" ? Text(data, member) : null;
}

/// <summary>Keeps what decisions were made on, and what shadows said of them.</summary>
internal sealed class PolicyRequests(IReadStore store)
{
    private static readonly Sql
        Keep = new("insert into policy_requests (decision, tool_server, sealed, expires_at) values (@id, @server, @sealed, @until) on conflict do nothing"),
        Compare = new("insert into policy_comparisons (tool_server, version, compared, differing) values (@server, @version, @compared, @differing) " +
            "on conflict (tool_server, version) do update set compared = policy_comparisons.compared + excluded.compared, differing = policy_comparisons.differing + excluded.differing"),
        Differ = new("insert into policy_differences (decision, tool_server, version, at, tool, decided, shadow, told_at) " +
            "values (@id, @server, @version, @at, @tool, @decided, @shadow, @told) on conflict do nothing"),
        Find = new("select tool_server, sealed from policy_requests where decision = @id"),
        Event = new("select body from audit_events where id = @id and type = 'call.decided'"),
        Compared = new("select compared, differing from policy_comparisons where tool_server = @server and version = @version"),
        Differences = new("select decision, at, tool, decided, shadow from policy_differences " +
            "where tool_server = @server and version = @version and (@after = '' or decision < @after) order by decision desc limit @limit");

    public static void Store(WriteTx tx, string server, IReadOnlyList<(AuditEvent Event, PolicyTold Told)> all, long now, long? keepUntil)
    {
        foreach (var (e, told) in all)
            if (told.Sealed is not null && keepUntil is { } until)
                tx.Run(Keep.With(e.Id, server, told.Sealed, until));
        foreach (var version in all.Where(t => t.Told is { Shadow: not null, Decided: not null }).GroupBy(t => t.Told.Shadow!.Value.Version))
        {
            var differing = version.Where(t => t.Told.Decided != t.Told.Shadow!.Value.Decision).ToList();
            tx.Run(Compare.With(server, version.Key, (long)version.Count(), (long)differing.Count));
            foreach (var (e, told) in differing)
                tx.Run(Differ.With(e.Id, server, version.Key, e.Time, e.Tool, told.Decided, told.Shadow!.Value.Decision, now));
        }
    }

    /// <summary>The decision's event; null when there is none of that id.</summary>
    public async Task<AuditEvent?> DecisionAsync(string id, CancellationToken cancel) =>
        await store.First(Event.With(id), r => r.GetString(0), cancel) is { } body ? JsonSerializer.Deserialize(body, ProtocolJson.Default.AuditEvent) : null;

    /// <summary>What it was made on, as the guard encrypted it; null when it is not kept, or no longer.</summary>
    public async Task<(string ToolServer, string Sealed)?> FindAsync(string id, CancellationToken cancel) =>
        await store.First(Find.With(id), r => ((string, string)?)(r.GetString(0), r.GetString(1)), cancel);

    /// <summary>How many decisions a shadow was asked about, and in how many it said something else.</summary>
    public Task<(long Compared, long Differing)> ComparedAsync(string server, long version, CancellationToken cancel) =>
        store.First(Compared.With(server, version), r => (r.GetInt64(0), r.GetInt64(1)), cancel);

    /// <summary>Newest first.</summary>
    public Task<List<JsonObject>> DifferencesAsync(string server, long version, string after, long limit, CancellationToken cancel) =>
        store.All(Differences.With(server, version, after, limit), r => new JsonObject
        {
            ["id"] = r.GetString(0), ["at"] = DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(1)), ["tool"] = r.IsDBNull(2) ? null : r.GetString(2), ["decided"] = r.GetString(3), ["shadow"] = r.GetString(4),
        }, cancel);
}
