using McpAuthServer.Storage;

namespace McpAuthServer.Registry;

/// <summary>What each guard of a tool server reported last, tool by tool, as one of them reports.</summary>
/// <param name="guard">Who reports; null = nobody in particular, of whom nothing is remembered.</param>
internal sealed class SaidByGuards(WriteTx tx, string toolServer, string? guard)
{
    /// <summary>Nothing tells that a guard is gone for good, so the newest that were enrolled are remembered, and no more.</summary>
    public const int MostGuards = 1000;

    private static readonly Sql
        Own = new("select tool, digest from guard_reports where guard_id = @guard"),
        Add = new("insert into guard_reports (guard_id, tool, digest) values (@guard, @tool, @digest) on conflict (guard_id, tool) do update set digest = excluded.digest"),
        Others = new(
            "select 1 from guards g join guard_reports r on r.guard_id = g.id where g.tool_server = @server and g.id <> @guard and r.tool = @tool and r.digest = @digest limit 1"),
        // Only older ones than who is heard for the first time: two that came back after they were forgotten do not make each other be forgotten for ever.
        Oldest = new(
            """
            delete from guard_reports where guard_id < @guard and guard_id in (
              select id from guards where tool_server = @server order by id desc limit 1000000 offset @most)
            """),
        Unlike = new(
            """
            select 1 from guard_reports r join tools t on t.tool_server = @server and t.name = r.tool where r.guard_id = @guard and t.state = 'approved' and t.digest <> r.digest limit 1
            """),
        Remove = new("delete from guard_reports where guard_id = @guard");

    private readonly Dictionary<string, string> own = guard is null
        ? new(StringComparer.Ordinal)
        : tx.All(Own.With(guard), row => (Tool: row.GetString(0), Digest: row.GetString(1))).ToDictionary(r => r.Tool, r => r.Digest, StringComparer.Ordinal);

    private bool heard;

    /// <summary>Whether the guard said the same the last time.</summary>
    public bool Before(ReportedTool report) => own.GetValueOrDefault(report.Name) == report.Digest;

    public void Remember(ReportedTool report)
    {
        if (guard is null)
            return;
        tx.Run(Add.With(guard, report.Name, report.Digest));
        if (own.Count == 0 && !heard)
            tx.Run(Oldest.With(guard, toolServer, MostGuards));
        heard = true;
    }

    /// <summary>Whether another guard of the tool server said it last.</summary>
    public bool ByAnother(string tool, string digest) => tx.First(Others.With(toolServer, guard ?? "", tool, digest), _ => true);

    /// <summary>The guard's next report is its first. It is asked for where what is approved is something else.</summary>
    public static void Forget(WriteTx tx, string toolServer, string guard)
    {
        var unlike = tx.First(Unlike.With(toolServer, guard), _ => true);
        tx.Run(Remove.With(guard));
        if (!unlike)
            return;
        tx.Run(Manifest.Raise.With(toolServer));
        RegistryVersion.Raise(tx);
    }
}
