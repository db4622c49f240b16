using System.Text.Json.Nodes;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>A tool as it is stored.</summary>
/// <param name="Reported">The digest of what was reported last; null = nothing was.</param>
internal sealed record StoredTool(string State, string Sensitivity, string? Class, string Approval, string? Digest, string OnChange, string? Reported);

/// <summary>Writes tools, whoever says what they are: a file, or somebody who approves or retires one.</summary>
internal static class ApplyTools
{
    private static readonly UpsertTable Tools = new("tools", ["tool_server", "name"], ["state", "sensitivity", "class", "approval", "digest", "on_change"], []);

    private static readonly Sql Reported = new("select reported_digest from tools where tool_server = @server and name = @name");

    /// <summary>What is wrong with its members together; null = nothing.</summary>
    public static string? Wrong(AppliedTool tool) => tool is { Sensitivity: Sensitivity.Destructive, OnChange: OnChange.Accept }
        ? "No change of a destructive tool is accepted unseen: on_change must be hold."
        : null;

    /// <summary>Null = there is no such tool.</summary>
    public static StoredTool? Read(WriteTx tx, string server, string name) => Tools.Read(tx, server, name) is { } row
        ? new((string)row[0]!, (string)row[1]!, (string?)row[2], (string)row[3]!, (string?)row[4], (string)row[5]!, ReportedOf(tx, server, name))
        : null;

    /// <summary>Guards ask again when anything is other than it was.</summary>
    /// <param name="reason">Why, in words of whoever did it.</param>
    public static void Write(ApplyChanges changes, string server, IReadOnlyList<AppliedTool> tools, string? reason = null)
    {
        var before = changes.Count;
        foreach (var tool in tools)
            Write(changes, server, tool, reason);
        if (changes.Count == before)
            return;
        changes.Tx.Run(Manifest.Keep.With(server));
        changes.Tx.Run(Manifest.Raise.With(server));
    }

    private static void Write(ApplyChanges changes, string server, AppliedTool tool, string? reason)
    {
        var tx = changes.Tx;
        var stored = Tools.Read(tx, server, tool.Name);
        var (was, pinned) = ((string?)stored?[0], (string?)stored?[4]);
        var (state, digest) = Approve(tool, was, pinned, ReportedOf(tx, server, tool.Name));
        var members = Tools.Write(tx, [server, tool.Name], stored, [state, tool.Sensitivity, tool.Class, tool.Approval, digest, tool.OnChange], changes.Now);
        var told = new JsonObject { ["after"] = Standing(state, digest) };
        if (was is not null)
            told["before"] = Standing(was, pinned);
        changes.Note("tool", $"{server}/{tool.Name}", stored is null, members, told, reason);
    }

    /// <summary>
    /// Naming a tool approves it; the definition approved is the file's digest, else the one pinned before, else what was last reported. A tool that
    /// drifted is approved again only by naming the new digest: the same file, applied at every start, must not wave a changed definition through. One
    /// that is approved as it was pinned stays so, whatever another version beside it reports.
    /// </summary>
    private static (string State, string? Digest) Approve(AppliedTool tool, string? was, string? pinned, string? reported)
    {
        var digest = tool.Digest ?? pinned ?? reported;
        if ((tool.State ?? was) == RegistryState.Retired)
            return (RegistryState.Retired, digest);
        var stays = was == RegistryState.Approved && digest == pinned;
        return (stays || reported is null || reported == digest ? RegistryState.Approved : RegistryState.Drifted, digest);
    }

    private static string? ReportedOf(WriteTx tx, string server, string name) => tx.First(Reported.With(server, name), row => row.IsDBNull(0) ? null : row.GetString(0));

    private static JsonObject Standing(string state, string? digest)
    {
        var standing = new JsonObject { ["state"] = state };
        if (digest is not null)
            standing["digest"] = digest;
        return standing;
    }
}
