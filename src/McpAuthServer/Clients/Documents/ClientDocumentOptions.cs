namespace McpAuthServer.Clients.Documents;

/// <summary>Clients that are known by the address of a document about them (section <c>McpAuth:ClientDocuments</c>).</summary>
public sealed class ClientDocumentOptions
{
    /// <summary>Off: an address is a client id only where the registry says so, and the metadata does not offer more.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>
    /// The only hosts from which documents and clients' key sets are fetched: a name, or <c>*.example.com</c> for all names below it. Empty = any
    /// public host.
    /// </summary>
    public IList<string> AllowHosts { get; } = [];

    /// <summary>Hosts from which nothing is fetched, in the same form; they win over <see cref="AllowHosts"/>.</summary>
    public IList<string> DenyHosts { get; } = [];

    /// <summary>
    /// For tests and development alone: <c>host:port</c> on this machine from which documents may come, e.g. <c>localhost:8443</c>. Still by TLS, with
    /// a certificate that this process trusts (<c>SSL_CERT_FILE</c>). While there is one, every start warns, is recorded, and readiness says so.
    /// </summary>
    public IList<string> Loopback { get; } = [];

    internal IEnumerable<string> Faults()
    {
        foreach (var host in AllowHosts.Concat(DenyHosts).Where(host => !HostName.IsPublic(host.StartsWith("*.", StringComparison.Ordinal) ? host.AsSpan(2) : host)))
            yield return $"McpAuth:ClientDocuments: '{host}' must be the name of a host in lower case, or *. before one";
        foreach (var entry in Loopback.Where(entry => !IsLoopbackEntry(entry)))
            yield return $"McpAuth:ClientDocuments:Loopback: '{entry}' must be host:port with localhost or a loopback address, e.g. localhost:8443";
    }

    private static bool IsLoopbackEntry(string entry) =>
        Uri.TryCreate($"https://{entry}/", UriKind.Absolute, out var uri) && $"{uri.Host}:{uri.Port}" == entry && HostName.IsLoopback(uri.Host);
}
