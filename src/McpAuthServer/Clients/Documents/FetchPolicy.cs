using McpAuth.Protocol;

namespace McpAuthServer.Clients.Documents;

/// <summary>Which addresses of other parties may be fetched at all, judged by their text alone (a name is looked up later, and its addresses judged again).</summary>
internal sealed class FetchPolicy(ServerOptions server)
{
    private readonly ClientDocumentOptions options = server.ClientDocuments;

    public const int MaxLength = 500;

    /// <summary>Null with the reason when it may not. What may is in its normal form: what is asked for is what was written.</summary>
    public Result<Uri> Read(string text) => !Admissible(text).TryGet(out var uri, out var fault) ? fault
        : IsLoopback(uri) || Admits(uri.Host) ? uri
        : new Fault(FetchFaults.Host, "This server does not take it from there.");

    /// <summary>The same for an address that an administrator has registered: the lists of hosts are about strangers.</summary>
    public Result<Uri> ReadRegistered(string text) => Admissible(text);

    private Result<Uri> Admissible(string text)
    {
        if (text.Length > MaxLength || text.Any(c => c is <= ' ' or >= '\x7f' or '\\') || !text.StartsWith("https://", StringComparison.Ordinal))
            return Refuse($"It must be an https address of at most {MaxLength} plain characters.");
        // RFC 3986 §6.2.2: another spelling of the same address would be another client, or another address to another reader.
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.AbsoluteUri != text)
            return Refuse("It must be in its normal form: no dot segments, no standard port, nothing in capitals that has no case.");
        if (uri.UserInfo.Length > 0 || uri.Fragment.Length > 0 || text.Contains('#', StringComparison.Ordinal) || AuthorityOf(text).Contains('@'))
            return Refuse("It must not have user information or a fragment.");
        return IsLoopback(uri) || HostName.IsPublic(uri.Host) ? uri : Refuse("Its host must be a public name.");
    }

    /// <summary>Whether the operator has opened this one place on the machine itself.</summary>
    public bool IsLoopback(Uri uri) => options.Loopback.Contains($"{uri.Host}:{uri.Port}");

    private bool Admits(string host) =>
        !options.DenyHosts.Any(pattern => Matches(pattern, host)) && (options.AllowHosts.Count == 0 || options.AllowHosts.Any(pattern => Matches(pattern, host)));

    private static bool Matches(string pattern, string host) =>
        pattern.StartsWith("*.", StringComparison.Ordinal) ? host.EndsWith(pattern[1..], StringComparison.Ordinal) : host == pattern;

    private static ReadOnlySpan<char> AuthorityOf(string text)
    {
        var rest = text.AsSpan("https://".Length);
        var end = rest.IndexOfAny('/', '?');
        return end < 0 ? rest : rest[..end];
    }

    private static Fault Refuse(string message) => new(FetchFaults.Address, message);
}
