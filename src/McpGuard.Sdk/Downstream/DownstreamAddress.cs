namespace McpGuard.Sdk.Downstream;

/// <summary>Where the token of one resource may be sent: to its own address and below it.</summary>
internal sealed class DownstreamAddress
{
    private readonly Uri resource;
    private readonly string path;

    /// <exception cref="ArgumentException">A token must not be sent there: it is neither https nor on this machine, or has a query, a fragment or user information.</exception>
    public DownstreamAddress(string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) || !(uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && McpGuardOptionsValidator.IsLoopback(uri.Host)))
            || address.Contains('?') || address.Contains('#') || uri.UserInfo.Length > 0)
            throw new ArgumentException("The resource must be an https address (http only on loopback) without query and fragment.", nameof(address));
        (resource, path) = (uri, uri.AbsolutePath.TrimEnd('/'));
    }

    public bool Covers(Uri uri)
    {
        if (!uri.IsAbsoluteUri || uri.Scheme != resource.Scheme || uri.IdnHost != resource.IdnHost || uri.Port != resource.Port) return false;
        string to = uri.AbsolutePath;
        // Some servers take an encoded slash for one, and what follows for a way out.
        if (to.Contains("%2f", StringComparison.OrdinalIgnoreCase) || to.Contains("%5c", StringComparison.OrdinalIgnoreCase)) return false;
        return to.StartsWith(path, StringComparison.Ordinal) && (to.Length == path.Length || to[path.Length] == '/');
    }
}
