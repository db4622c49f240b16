using System.Collections.Concurrent;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>The key of each tool server under which guards digest arguments; guessed arguments cannot be confirmed without it.</summary>
internal sealed class ArgsKeys(IReadStore store, KeyEncryption encryption)
{
    private static readonly Sql Select = new("select args_key_wrapped, args_key_version from tool_servers where id = @id");

    private readonly ConcurrentDictionary<string, ArgsKey> known = new(StringComparer.Ordinal);

    public async Task<ArgsKey> OfAsync(string toolServer, CancellationToken cancel)
    {
        if (known.TryGetValue(toolServer, out var key))
            return key;
        var row = await store.First(Select.With(toolServer), r => (Wrapped: (byte[])r.GetValue(0), Version: (int)r.GetInt64(1)), cancel);
        return known[toolServer] = new ArgsKey(row.Version, Base64Url.Encode(encryption.Unwrap(row.Wrapped, ApplyToolServers.ArgsKeyPurpose(toolServer))));
    }
}
