using System.Collections.Concurrent;
using System.Net.Http.Headers;
using McpAuth.Protocol;

namespace McpAuth.Client;

/// <summary>The newest nonce each server has asked for (RFC 9449 §8.2: a nonce stays with the server that sent it).</summary>
internal sealed class DpopNonces
{
    private const int Longest = 256;
    private readonly ConcurrentDictionary<string, string> byOrigin = new(StringComparer.Ordinal);

    public string? For(Uri uri) => byOrigin.GetValueOrDefault(Origin(uri));

    /// <summary>True when the answer brought a nonce other than the one that was used.</summary>
    public bool Learn(Uri uri, HttpResponseHeaders headers, string? used)
    {
        if (!headers.TryGetValues(Names.Dpop.Nonce, out IEnumerable<string>? values)) return false;
        string[] all = [.. values];
        if (all is not [{ Length: > 0 and <= Longest } nonce]) return false;
        byOrigin[Origin(uri)] = nonce;
        return nonce != used;
    }

    private static string Origin(Uri uri) => uri.GetLeftPart(UriPartial.Authority);
}
