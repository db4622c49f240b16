using System.Security.Cryptography;
using McpAuthServer.Keys;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>Writes tool servers with their enrolment secrets and tools.</summary>
internal static class ApplyToolServers
{
    private const int ArgsKeySize = 32;

    private static readonly UpsertTable
        Servers = new("tool_servers", ["id"], ["resource", "name", "owner", "state"], ["args_key_wrapped", "args_key_version", "manifest"]),
        Tools = new("tools", ["tool_server", "name"], ["state", "sensitivity", "class", "approval", "digest"], []);

    // A secret that is known stays as it is, above all when it was used: the same file can be applied at every start.
    private static readonly Sql AddSecret = new(
        "insert into enrolment_secrets (hash, tool_server) values (@hash, @server) on conflict (hash) do nothing");

    private static readonly Sql Reported = new("select reported_digest from tools where tool_server = @server and name = @name");

    public static void Write(ApplyChanges changes, AppliedToolServer server, KeyEncryption keys)
    {
        var tx = changes.Tx;
        var stored = Servers.Read(tx, server.Id);
        IEnumerable<string> members = Servers.Write(tx, [server.Id], stored,
            [server.Resource.Value, server.Name, server.Owner.Value, server.State ?? stored?[3] ?? RegistryState.Active], changes.Now,
            initial: () => [keys.Wrap(RandomNumberGenerator.GetBytes(ArgsKeySize), ArgsKeyPurpose(server.Id)), 1L, 1L]);

        var added = 0;
        foreach (var secret in server.EnrolmentSecretHashes)
            added += tx.Run(AddSecret.With(secret.Value, server.Id));
        if (added > 0)
            members = members.Append("enrolment_secrets");
        changes.Note("tool_server", server.Id, stored is null, members);

        var before = changes.Count;
        foreach (var tool in server.Tools)
            Tool(changes, server.Id, tool);
        if (changes.Count > before)
            tx.Run(Manifest.Raise.With(server.Id));
    }

    /// <summary>What the wrapped argument key of a tool server is authenticated with.</summary>
    public static string ArgsKeyPurpose(string toolServer) => "args_key:" + toolServer;

    private static void Tool(ApplyChanges changes, string server, AppliedTool tool)
    {
        var tx = changes.Tx;
        var stored = Tools.Read(tx, server, tool.Name);
        var (state, digest) = Approve(tool, (string?)stored?[0], (string?)stored?[4], tx.First(Reported.With(server, tool.Name), row => row.IsDBNull(0) ? null : row.GetString(0)));
        changes.Note("tool", $"{server}/{tool.Name}", stored is null,
            Tools.Write(tx, [server, tool.Name], stored, [state, tool.Sensitivity, tool.Class, tool.Approval, digest], changes.Now));
    }

    /// <summary>
    /// Naming a tool approves it; the definition approved is the file's digest, else the one pinned before, else what was last reported. A tool that
    /// drifted is approved again only by naming the new digest: the same file, applied at every start, must not wave a changed definition through.
    /// </summary>
    private static (string State, string? Digest) Approve(AppliedTool tool, string? was, string? pinned, string? reported)
    {
        var digest = tool.Digest ?? pinned ?? reported;
        if ((tool.State ?? was) == RegistryState.Retired)
            return (RegistryState.Retired, digest);
        return (reported is null || reported == digest ? RegistryState.Approved : RegistryState.Drifted, digest);
    }
}
