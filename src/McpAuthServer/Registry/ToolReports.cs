using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry;

/// <summary>The manifest's number of a tool server: guards ask again when it grew.</summary>
internal static class Manifest
{
    public static readonly Sql Raise = new("update tool_servers set manifest = manifest + 1 where id = @id");

    /// <summary>Keeps the definition of what is approved, as it is reported when it is: a later report replaces the one beside it.</summary>
    public static readonly Sql Keep = new(
        """
        update tools set approved_definition = definition, approved_definition_digest = reported_digest
        where tool_server = @server and state = 'approved' and digest = reported_digest and coalesce(approved_definition_digest, '') <> digest
        """);
}

/// <param name="Definition">The definition's JSON text.</param>
/// <param name="Digest"><c>sha-256:</c> and the base64url SHA-256 over its RFC 8785 form, computed here, never taken from the guard.</param>
internal sealed record ReportedTool(string Name, string Definition, string Digest)
{
    /// <summary>How dangerous its annotations claim it is (MCP, <c>ToolAnnotations</c>), which nobody has checked; without a claim, the worst.</summary>
    public string ClaimedSensitivity()
    {
        using var json = JsonDocument.Parse(Definition);
        return json.RootElement is not { ValueKind: JsonValueKind.Object } definition || !definition.TryGetProperty("annotations", out var annotations) || annotations.ValueKind != JsonValueKind.Object
            ? Sensitivity.Destructive
            : Says("readOnlyHint", JsonValueKind.True) ? Sensitivity.Read : Says("destructiveHint", JsonValueKind.False) ? Sensitivity.Write : Sensitivity.Destructive;

        bool Says(string hint, JsonValueKind what) => annotations.TryGetProperty(hint, out var said) && said.ValueKind == what;
    }
}

/// <summary>
/// What a guard serves, against what was approved: an unknown tool is recorded as <c>new</c> and <c>destructive</c>, an approved one without a
/// pinned definition gets the reported one, and one whose definition differs from the pinned one drifts until it is as approved again. A tool that is
/// marked to <see cref="OnChange.Accept"/> does not drift, and in developer mode whatever is reported is approved: both on record. A guard that says again what it said before
/// undoes no approval of another version: where two versions run side by side, each hears of its own, the one that is refused can be looked at, and neither makes the
/// other ask for ever.
/// </summary>
internal sealed class ToolReportUnit(string toolServer, IReadOnlyList<ReportedTool> reported, TimeProvider time, string? guard = null) : Unit<ManifestResponse?>
{
    /// <summary>More tools of one server than this are not recorded: a broken guard must not fill the registry.</summary>
    public const int MaxTools = 1000;

    private const string Development = "development";

    private static readonly Sql
        Server = new("select resource, manifest, development from tool_servers where id = @id"),
        Known = new("select name, state, sensitivity, digest, reported_digest, approval, on_change, approved_definition_digest from tools where tool_server = @server"),
        Insert = new("insert into tools (tool_server, name, state, sensitivity, class, approval, digest, reported_digest, definition, changed_at) " +
            "values (@server, @name, @state, @sensitivity, null, 'none', @digest, @reported, @definition, @now)"),
        Update = new("update tools set state = @state, sensitivity = @sensitivity, digest = @digest, on_change = @change, reported_digest = @reported, definition = @definition, " +
            "changed_at = @now where tool_server = @server and name = @name"),
        Restore = new("update tools set state = @state, changed_at = @now where tool_server = @server and name = @name"),
        Keep = new("update tools set approved_definition = @definition, approved_definition_digest = @digest where tool_server = @server and name = @name");

    /// <summary>A tool's state decides what may be issued for it.</summary>
    public override StateLock Lock => StateLock.Exclusive;

    /// <returns>The state of every reported tool, in order; null when there is no such tool server.</returns>
    public override ManifestResponse? Apply(WriteTx tx)
    {
        var now = time.GetUtcNow();
        var server = tx.First(Server.With(toolServer), row => new ServerRow(row.GetString(0), row.GetInt64(1), row.GetInt64(2) != 0));
        if (server is null)
            return null;
        var tools = tx.All(Known.With(toolServer),
                row => new ToolRow(row.GetString(0), row.GetString(1), row.GetString(2), Text(row, 3), Text(row, 4), row.GetString(5), row.GetString(6), Text(row, 7)))
            .ToDictionary(t => t.Name, StringComparer.Ordinal);
        var said = new SaidByGuards(tx, toolServer, guard);

        var states = new List<ManifestToolState>(reported.Count);
        var developed = new List<string>();
        var changed = new JsonArray();
        var kept = false;
        foreach (var report in reported)
        {
            var stored = tools.GetValueOrDefault(report.Name);
            var recordable = Recordable(stored, report, tools.Count);
            var repeated = said.Before(report);
            if (!repeated && recordable)
                said.Remember(report);
            var (next, by) = Next(stored, report, server.Development && recordable, repeated, said);
            // What stays approved beside a repetition of something else is not what this guard serves.
            var state = next.State == RegistryState.Approved && next.Digest != report.Digest ? RegistryState.Drifted : next.State;
            states.Add(new ManifestToolState(next.Name, state, next.Sensitivity, next.Digest, next.Approval));
            if (next == stored || !recordable)
                continue;
            if (stored is null)
                tx.Run(Insert.With(toolServer, report.Name, next.State, next.Sensitivity, next.Digest, report.Digest, report.Definition, now.ToUnixTimeMilliseconds()));
            else if (next.Reported != report.Digest)
                tx.Run(Restore.With(next.State, now.ToUnixTimeMilliseconds(), toolServer, report.Name));
            else
                tx.Run(Update.With(next.State, next.Sensitivity, next.Digest, next.OnChange, report.Digest, report.Definition, now.ToUnixTimeMilliseconds(), toolServer, report.Name));
            if (next.Kept != stored?.Kept)
            {
                tx.Run(Keep.With(report.Definition, next.Kept, toolServer, report.Name));
                kept = true;
            }
            tools[report.Name] = next;
            if (by == Development)
                developed.Add(next.Name);
            // A changed definition of a tool that is not approved is kept for who approves it, but decides nothing.
            if (stored is null || stored.State != next.State || stored.Digest != next.Digest)
                changed.Add(Told(stored, next, by));
        }

        var manifest = server.Manifest;
        if (changed.Count > 0 || kept)
        {
            tx.Run(Manifest.Raise.With(toolServer));
            RegistryVersion.Raise(tx);
            manifest++;
        }
        tx.Append(new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.ManifestReported, Outcome = "success", Resource = server.Resource,
            Node = guard, Data = new JsonObject { ["tool_server"] = toolServer, ["reported"] = reported.Count, ["changed"] = changed },
        });
        return new ManifestResponse(manifest, states, server.Development ? developed : null);
    }

    /// <param name="repeated">The guard said the same before.</param>
    /// <returns>The tool as it is now, and what approved it unseen, if anything did.</returns>
    private static (ToolRow Next, string? By) Next(ToolRow? stored, ReportedTool report, bool development, bool repeated, SaidByGuards said)
    {
        var next = stored is null
            ? new ToolRow(report.Name, RegistryState.New, Sensitivity.Destructive, null, report.Digest, "none", OnChange.Hold, null)
            : stored with { Reported = report.Digest };
        var approved = next with { State = RegistryState.Approved, Digest = report.Digest, Kept = report.Digest };
        var approvable = next.State is RegistryState.Approved or RegistryState.Drifted;
        if (approvable && (next.Digest ?? report.Digest) == report.Digest)
            // As approved. What another guard serves still waits to be looked at.
            return (stored?.Reported is { } other && other != report.Digest && (repeated || said.ByAnother(report.Name, other)) ? approved with { Reported = other } : approved, null);
        if (repeated && next.State == RegistryState.Approved)
            return (next, null);
        if (development && next.State != RegistryState.Retired)
        {
            var claimed = report.ClaimedSensitivity();
            return (approved with { Sensitivity = claimed, OnChange = claimed == Sensitivity.Destructive ? OnChange.Hold : next.OnChange }, Development);
        }
        if (!approvable)
            return (next, null);
        // It changes now, under the mark. What had changed before the mark was set waits for somebody to look.
        return next.OnChange == OnChange.Accept && !repeated && stored?.Reported != report.Digest ? (approved, OnChange.Accept) : (next with { State = RegistryState.Drifted }, null);
    }

    private static JsonObject Told(ToolRow? stored, ToolRow next, string? by)
    {
        var told = new JsonObject { ["tool"] = next.Name, ["state"] = next.State, ["digest"] = next.Digest };
        if (by is null)
            return told;
        told["approved_by"] = by;
        told["sensitivity"] = next.Sensitivity;
        if (stored?.Digest is { } before)
            told["before"] = before;
        return told;
    }

    /// <summary>A name outside the grammar can never be approved, so it is answered as new and not kept.</summary>
    private static bool Recordable(ToolRow? stored, ReportedTool report, int known) =>
        stored is not null || (known < MaxTools && ApplyGrammar.IsToolName(report.Name));

    private static string? Text(System.Data.Common.DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private sealed record ServerRow(string Resource, long Manifest, bool Development);

    /// <param name="Kept">Digest of the definition that is kept as the approved one.</param>
    private sealed record ToolRow(string Name, string State, string Sensitivity, string? Digest, string? Reported, string Approval, string OnChange, string? Kept);
}
