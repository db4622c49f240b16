using McpAuthServer.Registry;

namespace McpAuthServer.Clients;

/// <summary>
/// Finds OAuth software by its client id, in whatever way it became known. What is not in the registry's snapshot changes only together with the
/// registry's version, so a unit that checks the version has checked the client as well.
/// </summary>
internal sealed class ClientDirectory
{
    /// <summary>The client as it is now; may ask the network for it.</summary>
    public ValueTask<ClientRecord?> FindAsync(string id, RegistrySnapshot registry, CancellationToken cancel) => KnownAsync(id, registry, cancel);

#pragma warning disable CA1822 // Other kinds of clients come from the store.
    /// <summary>The client as it was last seen, without leaving this machine.</summary>
    public ValueTask<ClientRecord?> KnownAsync(string id, RegistrySnapshot registry, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        return new(registry.Clients.GetValueOrDefault(id));
    }
}
