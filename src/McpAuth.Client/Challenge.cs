using System.Net.Http.Headers;
using System.Text.RegularExpressions;

namespace McpAuth.Client;

/// <summary>The <c>error</c> of a <c>WWW-Authenticate</c> challenge (RFC 6750 §3, RFC 9449 §7.1).</summary>
internal static partial class Challenge
{
    public static string? Error(HttpResponseHeaders headers)
    {
        foreach (AuthenticationHeaderValue challenge in headers.WwwAuthenticate)
            if (challenge.Parameter is { } parameters && ErrorParameter().Match(parameters) is { Success: true } match)
                return match.Groups[1].Value;
        return null;
    }

    [GeneratedRegex("""(?:^|[,\s])error="([a-z_]{1,64})"(?:$|[,\s])""", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 100)]
    private static partial Regex ErrorParameter();
}
