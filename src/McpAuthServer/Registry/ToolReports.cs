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
}

/// <param name="Definition">The definition's JSON text.</param>
/// <param name="Digest"><c>sha-256:</c> and the base64url SHA-256 over its RFC 8785 form, computed here, never taken from the guard.</param>
internal sealed record ReportedTool(string Name, string Definition, string Digest);

/// <summary>
/// What a guard serves, against what was approved: an unknown tool is recorded as <c>new</c> and <c>destructive</c>, an approved one without a
/// pinned definition gets the reported one, and one whose definition differs from the pinned one drifts until it is as approved again.
/// </summary>
internal sealed class ToolReportUnit(string toolServer, IReadOnlyList<ReportedTool> reported, TimeProvider time, string? guard = null) : Unit<ManifestResponse?>
{
    /// <summary>More tools of one server than this are not recorded: a broken guard must not fill the registry.</summary>
    public const int MaxTools = 1000;

    private static readonly Sql
        Server = new("select resource, manifest from tool_servers where id = @id"),
        Known = new("select name, state, sensitivity, digest, reported_digest from tools where tool_server = @server"),
        Insert = new("insert into tools (tool_server, name, state, sensitivity, class, approval, digest, reported_digest, definition, changed_at) " +
            "values (@server, @name, 'new', 'destructive', null, 'none', null, @reported, @definition, @now)"),
        Update = new("update tools set state = @state, digest = @digest, reported_digest = @reported, definition = @definition, changed_at = @now " +
            "where tool_server = @server and name = @name");

    /// <summary>A tool's state decides what may be issued for it.</summary>
    public override StateLock Lock => StateLock.Exclusive;

    /// <returns>The state of every reported tool, in order; null when there is no such tool server.</returns>
    public override ManifestResponse? Apply(WriteTx tx)
    {
        var now = time.GetUtcNow();
        var server = tx.First(Server.With(toolServer), row => new ServerRow(row.GetString(0), row.GetInt64(1)));
        if (server is null)
            return null;
        var tools = tx.All(Known.With(toolServer), row => new ToolRow(row.GetString(0), row.GetString(1), row.GetString(2), Text(row, 3), Text(row, 4)))
            .ToDictionary(t => t.Name, StringComparer.Ordinal);

        var states = new List<ManifestToolState>(reported.Count);
        var changed = new JsonArray();
        foreach (var report in reported)
        {
            var stored = tools.GetValueOrDefault(report.Name);
            var next = Next(stored, report);
            states.Add(new ManifestToolState(next.Name, next.State, next.Sensitivity, next.Digest));
            if (next == stored || !Recordable(stored, report, tools.Count))
                continue;
            if (stored is null)
                tx.Run(Insert.With(toolServer, report.Name, report.Digest, report.Definition, now.ToUnixTimeMilliseconds()));
            else
                tx.Run(Update.With(next.State, next.Digest, report.Digest, report.Definition, now.ToUnixTimeMilliseconds(), toolServer, report.Name));
            tools[report.Name] = next;
            // A changed definition of a tool that is not approved is kept for who approves it, but decides nothing.
            if (stored is null || stored.State != next.State || stored.Digest != next.Digest)
                changed.Add(new JsonObject { ["tool"] = next.Name, ["state"] = next.State, ["digest"] = next.Digest });
        }

        var manifest = server.Manifest;
        if (changed.Count > 0)
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
        return new ManifestResponse(manifest, states);
    }

    private static ToolRow Next(ToolRow? stored, ReportedTool report)
    {
        if (stored is null)
            return new ToolRow(report.Name, RegistryState.New, "destructive", null, report.Digest);
        var next = stored with { Reported = report.Digest };
        if (stored.State is not (RegistryState.Approved or RegistryState.Drifted))
            return next;
        var pinned = stored.Digest ?? report.Digest;
        return next with { Digest = pinned, State = pinned == report.Digest ? RegistryState.Approved : RegistryState.Drifted };
    }

    /// <summary>A name outside the grammar can never be approved, so it is answered as new and not kept.</summary>
    private static bool Recordable(ToolRow? stored, ReportedTool report, int known) =>
        stored is not null || (known < MaxTools && ApplyGrammar.IsToolName(report.Name));

    private static string? Text(System.Data.Common.DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private sealed record ServerRow(string Resource, long Manifest);

    private sealed record ToolRow(string Name, string State, string Sensitivity, string? Digest, string? Reported);
}
