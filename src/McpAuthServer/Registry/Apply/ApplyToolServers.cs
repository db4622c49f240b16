using System.Security.Cryptography;
using McpAuthServer.Keys;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>Writes tool servers with their enrolment secrets; their tools are <see cref="ApplyTools"/>'.</summary>
internal static class ApplyToolServers
{
    private const int ArgsKeySize = 32;

    private static readonly UpsertTable Servers = new(
        "tool_servers", ["id"], ["resource", "name", "owner", "state", "development"], ["args_key_wrapped", "args_key_version", "manifest"]);

    // A secret that is known stays as it is, above all when it was used: the same file can be applied at every start.
    private static readonly Sql AddSecret = new(
        "insert into enrolment_secrets (hash, tool_server) values (@hash, @server) on conflict (hash) do nothing");

    public static void Write(ApplyChanges changes, AppliedToolServer server, KeyEncryption keys)
    {
        var tx = changes.Tx;
        var stored = Servers.Read(tx, server.Id);
        IEnumerable<string> members = Servers.Write(tx, [server.Id], stored,
            [server.Resource.Value, server.Name, server.Owner.Value, server.State ?? stored?[3] ?? RegistryState.Active, server.Development ? 1L : 0L], changes.Now,
            initial: () => [keys.Wrap(RandomNumberGenerator.GetBytes(ArgsKeySize), ArgsKeyPurpose(server.Id)), 1L, 1L]);
        // Guards report again, and so hear of it.
        if (stored is not null && members.Contains("development", StringComparer.Ordinal))
            tx.Run(Manifest.Raise.With(server.Id));

        var added = 0;
        foreach (var secret in server.EnrolmentSecretHashes)
            added += tx.Run(AddSecret.With(secret.Value, server.Id));
        if (added > 0)
            members = members.Append("enrolment_secrets");
        changes.Note("tool_server", server.Id, stored is null, members);
        ApplyTools.Write(changes, server.Id, server.Tools);
    }

    /// <summary>What the wrapped argument key of a tool server is authenticated with.</summary>
    public static string ArgsKeyPurpose(string toolServer) => "args_key:" + toolServer;
}
