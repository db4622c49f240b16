using System.Collections.Concurrent;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Registry;

namespace McpAuthServer.Clients;

/// <summary>
/// Finds OAuth software by its client id, in whatever way it became known. What is not in the registry's snapshot changes only together with the
/// registry's version, so a unit that checks the version has checked the client as well.
/// </summary>
internal sealed class ClientDirectory(ClientRows rows, ClientDocuments documents, KeySets keySets)
{
    public const string UnknownClient = "unknown_client";

    private const int Most = 10_000;

    private static readonly Fault Unknown = new(UnknownClient, "The client is unknown.");

    private volatile Page page = new(0);

    /// <summary>The client as it is now; may ask the network for it.</summary>
    public async ValueTask<ClientRecord?> FindAsync(string id, RegistrySnapshot registry, CancellationToken cancel) =>
        (await ResolveAsync(id, registry, cancel)).TryGet(out var client, out _) ? client : null;

    /// <summary>The same, and why there is none: a reason, and a sentence for whoever writes the client.</summary>
    public async ValueTask<Result<ClientRecord>> ResolveAsync(string id, RegistrySnapshot registry, CancellationToken cancel)
    {
        var known = await KnownAsync(id, registry, cancel);
        if (known is null ? id.StartsWith(ClientDocuments.Scheme, StringComparison.Ordinal) : known.Origin == ClientOrigin.Document)
            return await documents.FindAsync(id, known, cancel);
        return known is null ? Unknown : known;
    }

    /// <summary>
    /// The client as it was last seen; asks the network only for one that nobody has seen. For where a client comes back to what it was let into: a
    /// document that cannot be fetched just then does not lock it out.
    /// </summary>
    public async ValueTask<Result<ClientRecord>> AtHandAsync(string id, RegistrySnapshot registry, CancellationToken cancel) =>
        await KnownAsync(id, registry, cancel) is { } known ? known : await ResolveAsync(id, registry, cancel);

    /// <summary>The client as it was last seen, without leaving this machine.</summary>
    public async ValueTask<ClientRecord?> KnownAsync(string id, RegistrySnapshot registry, CancellationToken cancel)
    {
        if (registry.Clients.GetValueOrDefault(id) is { } registered)
            return registered;
        var isDocument = id.StartsWith(ClientDocuments.Scheme, StringComparison.Ordinal);
        if (isDocument ? !documents.Address(id).Ok : !id.StartsWith(Id.DynamicClient, StringComparison.Ordinal))
            return null;
        var current = page;
        if (current.Version < registry.Version)
            page = current = new(registry.Version);
        if (current.Version == registry.Version && current.Clients.TryGetValue(id, out var seen) && !documents.IsDue(seen))
            return seen;
        if (await rows.FindAsync(id, cancel) is not { Client: var client })
            return null;
        if (current.Version == registry.Version && current.Clients.Count < Most)
            current.Clients[id] = client;
        return client;
    }

    /// <summary>What the client's assertions are verified by.</summary>
    /// <param name="keyId">The assertion's; its key may have been published only just now.</param>
    public async ValueTask<Result<IReadOnlyList<VerificationKey>>> KeysAsync(ClientRecord client, string? keyId, CancellationToken cancel) =>
        client.KeySet is { } address ? await keySets.FindAsync(address, keyId, client.InUse, cancel) : Result<IReadOnlyList<VerificationKey>>.Of(client.Keys);

    /// <summary>What was read at one version of the registry.</summary>
    private sealed class Page(long version)
    {
        public long Version { get; } = version;
        public ConcurrentDictionary<string, ClientRecord> Clients { get; } = new(StringComparer.Ordinal);
    }
}
